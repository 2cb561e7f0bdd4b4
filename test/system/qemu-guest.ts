/**
 * Real QEMUs with a real guest each: an ARM board whose only program reads the keyboard controller and writes each byte
 * that it gets to the serial line. So what a test reads there is what guest code read from its device.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

/** Every QEMU ends after this, whatever becomes of the test. */
const LIFE_S = 60;

/** PL050 keyboard, PL011 serial line, secondary and primary interrupt controller of the board `versatilepb`. */
const KEYBOARD = 0x1000_6000;
const SERIAL = 0x101f_1000;
const SECONDARY_ENABLE = 0x1000_3008;
const PRIMARY_ENABLE = 0x1014_0010;

/** The guest, in ARM words; the assembler is beside them. It sleeps between interrupts, so that it costs nothing. */
const GUEST = [
  0xe59f_0048, // ldr r0, =KEYBOARD
  0xe59f_1048, // ldr r1, =SERIAL
  0xe59f_3048, // ldr r3, =SECONDARY_ENABLE
  0xe3a0_4008, // mov r4, #8            line 3: keyboard
  0xe583_4000, // str r4, [r3]
  0xe59f_3040, // ldr r3, =PRIMARY_ENABLE
  0xe3a0_4102, // mov r4, #0x80000000   line 31: the secondary controller
  0xe583_4000, // str r4, [r3]
  0xe3a0_4010, // mov r4, #0x10         interrupt when a byte is there
  0xe580_4000, // str r4, [r0]
  0xe3a0_4052, // mov r4, #'R'          ready
  0xe5c1_4000, // strb r4, [r1]
  0xe590_2004, // loop: ldr r2, [r0, #4]
  0xe312_0010, // tst r2, #0x10
  0x0a00_0002, // beq idle
  0xe590_2008, // ldr r2, [r0, #8]
  0xe5c1_2000, // strb r2, [r1]
  0xeaff_fff9, // b loop
  0xee07_4f90, // idle: mcr p15, 0, r4, c7, c0, 4   wait for interrupt
  0xeaff_fff7, // b loop
  KEYBOARD,
  SERIAL,
  SECONDARY_ENABLE,
  PRIMARY_ENABLE,
];

/** What the guest writes first. */
export const READY = 'R'.charCodeAt(0);

/** Bytes of the keyboard (PS/2, set 2) for a few keys. */
export const SCAN = { '1': 0x16, '2': 0x1e, '3': 0x26, '4': 0x25, a: 0x1c } as const;
/** Goes before the byte of a key that is let go. */
export const UP = 0xf0;

/** Throws an Error that says what to install, if there is no QEMU. */
export function needQemu(): void {
  if (spawnSync('qemu-system-arm', ['--version']).status === 0) return;
  throw new Error('this test needs qemu-system-arm, of the package of that name; .ci/run installs it');
}

/**
 * The board has a sound chip, for which newer QEMUs want to be told that there is no sound; older ones do not know
 * the words.
 */
function noAudio(): string[] {
  const [, major] =
    /version (\d+)/.exec(spawnSync('qemu-system-arm', ['--version'], { encoding: 'utf8' }).stdout) ?? [];
  return Number(major) >= 8 ? ['-audio', 'none'] : [];
}

/** A QEMU that may be ended and started again. */
export class Qemu {
  readonly address: string;
  /** Every byte that the guest wrote, of all its lives. */
  readonly written: number[] = [];
  readonly #folder: string;
  readonly #name: string;
  /** A second QMP socket: for the test, as a person would use it. */
  readonly #monitor: string;
  #child: ChildProcess | undefined;
  #errors = '';

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    this.#monitor = join(folder, `${name}.monitor`);
    this.address = `unix:${join(folder, `${name}.qmp`)}`;
  }

  /** `waits`: with `-S`, for its first instruction. */
  start(waits = false): void {
    const guest = join(this.#folder, 'guest.bin');
    writeFileSync(guest, new Uint8Array(Uint32Array.from(GUEST).buffer));
    const args = [
      ...['-M', 'versatilepb', '-m', '16', '-accel', 'tcg', '-nodefaults', '-display', 'none'],
      ...noAudio(),
      ...['-serial', 'stdio', '-device', `loader,file=${guest},addr=0,force-raw=on,cpu-num=0`],
      ...['-qmp', `unix:${join(this.#folder, `${this.#name}.qmp`)},server=on,wait=off`],
      ...['-qmp', `unix:${this.#monitor},server=on,wait=off`],
      ...(waits ? ['-S'] : []),
    ];
    // `timeout` runs in the foreground, so that its process is QEMU's parent and ends with it.
    const child = spawn('timeout', ['--foreground', `${LIFE_S}`, 'qemu-system-arm', ...args], {
      env: { ...process.env, QEMU_AUDIO_DRV: 'none' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (bytes: Buffer) => this.written.push(...bytes));
    child.stderr.on('data', (bytes: Buffer) => {
      this.#errors = (this.#errors + bytes).slice(-2_000);
    });
    this.#child = child;
  }

  get errors(): string {
    return this.#errors;
  }

  /** Process of the QEMU itself. */
  get pid(): number {
    const { pid } = this.#child!;
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
  }

  /** Gives a command over the second socket. */
  async command(name: string): Promise<void> {
    const socket = connect(this.#monitor);
    socket.write(`{"execute":"qmp_capabilities"}\n{"execute":"${name}","id":7}\n`);
    await new Promise<void>((resolve) => {
      let said = '';
      // One that quits may reset the connection before it is closed.
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.on('data', (bytes) => {
        said += bytes;
        if (said.includes('"id": 7')) socket.destroy();
      });
    });
  }

  /** Throws when it is gone. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    const { pid } = this;
    // 0 would be our own process group.
    if (!(pid > 0)) throw new Error(`${this.#name}: no such QEMU`);
    process.kill(pid, signal);
  }

  /** Ends it, also when it is stopped, and waits until it is gone. */
  async end(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    try {
      this.signal('SIGKILL');
    } catch {
      // It has ended by itself, and `timeout` is about to.
    }
    await ended;
  }
}
