/**
 * A QEMU whose memory, registers and PCI devices a test drives by the qtest protocol, without any guest code.
 *
 * Calls block, as a hypervisor's own accesses do: QEMU's qtest channel is two FIFOs, read and written in place. Writes
 * are collected and go out before the next read. Protocol: system/qtest.c of QEMU.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where `virt` has its RAM and its SMMU, and, with highmem=off, PCI configuration space and windows of devices. */
export const RAM = 0x4000_0000;
export const SMMU = 0x0905_0000;
export const ECAM = 0x3f00_0000;
export const PCI_WINDOW = 0x1000_0000;

/**
 * Bytes of commands that are collected at most. Half of what a pipe holds (65,536 on Linux), and the answer to a write
 * is shorter than the write: neither side ever waits for the other to read.
 */
const COLLECTED_MAX = 32_768;

/** First slot of bus 0 for what leads to other buses; streams of bus 0 are below. */
export const BUS_SLOT = 24;

export interface QtestOptions {
  /** QEMU with stage 2 in its SMMUv3. */
  readonly program: string;
  /** A device `edu` for each: bus, slot and function in 8, 5 and 3 bits; buses 0 to 15, slots of bus 0 below 24. */
  readonly streams: readonly number[];
  /** Of the machine, from `RAM` on; QEMU takes what is touched. */
  readonly ramMib: number;
  /** It ends after so many seconds whatever becomes of the test; a read then fails instead of waiting for ever. */
  readonly lifeS: number;
}

export class Qtest {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #commands: number;
  readonly #answers: number;
  readonly #log: string;
  readonly #buffer = Buffer.alloc(65_536);
  #text = '';
  #collected = '';
  /** Answers that are due for commands whose answer says nothing. */
  #due = 0;

  /** Starts QEMU. Throws an Error with what it said when it does not answer. */
  constructor(options: QtestOptions) {
    this.#folder = mkdtempSync(join(tmpdir(), 'baton-qtest-'));
    this.#log = join(this.#folder, 'errors');
    const [to, from] = [join(this.#folder, 'commands'), join(this.#folder, 'answers')];
    execFileSync('mkfifo', [to, from]);
    // Opened for both directions first, so that no open waits for another one; what QEMU inherits is closed here, so
    // that its end is the end of the file.
    const inherited = [openSync(to, 'r+'), openSync(from, 'r+'), openSync(this.#log, 'w')] as const;
    this.#commands = openSync(to, 'w');
    this.#answers = openSync(from, 'r');
    // `timeout` runs in the foreground, so that its process is QEMU's parent and ends with it.
    const args = ['--foreground', '-s', 'KILL', `${options.lifeS}`, options.program, ...argumentsOf(options)];
    this.#child = spawn('timeout', args, { stdio: [...inherited] });
    for (const descriptor of inherited) closeSync(descriptor);
    try {
      this.read32(SMMU);
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** Reads 32 bits. */
  read32(address: number): number {
    return Number(this.#ask(`readl 0x${address.toString(16)}`));
  }

  /** Reads 32 bits at each address, in one exchange. */
  read32s(addresses: readonly number[]): number[] {
    this.#flush();
    let text = '';
    for (const address of addresses) text += `readl 0x${address.toString(16)}\n`;
    this.#send(text);
    return addresses.map(() => Number(this.#answer()));
  }

  /** Reads `bytes` from `address`: at most a page, whose answer fits into a pipe. */
  readBytes(address: number, bytes: number): Buffer {
    return Buffer.from(this.#ask(`read 0x${address.toString(16)} 0x${bytes.toString(16)}`).slice(2), 'hex');
  }

  write32(address: number, value: number): void {
    this.#collect(`writel 0x${address.toString(16)} 0x${(value >>> 0).toString(16)}\n`);
  }

  write64(address: number, low: number, high: number): void {
    const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    this.#collect(`writeq 0x${address.toString(16)} 0x${value.toString(16)}\n`);
  }

  /** Fills `bytes` from `address` with zeros. */
  clear(address: number, bytes: number): void {
    this.#collect(`memset 0x${address.toString(16)} 0x${bytes.toString(16)} 0x0\n`);
  }

  /** Ends it at once and removes its files. */
  end(): void {
    // `timeout` would wait for it: QEMU itself is ended, by the number of its process.
    for (const pid of childrenOf(this.#child.pid)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    closeSync(this.#commands);
    closeSync(this.#answers);
    rmSync(this.#folder, { recursive: true });
  }

  #ask(command: string): string {
    this.#flush();
    this.#send(`${command}\n`);
    return this.#answer();
  }

  #collect(line: string): void {
    if (this.#collected.length + line.length > COLLECTED_MAX) this.#flush();
    this.#collected += line;
    this.#due++;
  }

  /** Sends what was collected and takes the answers. */
  #flush(): void {
    if (this.#due === 0) return;
    const text = this.#collected;
    this.#collected = '';
    this.#send(text);
    for (; this.#due > 0; this.#due--) this.#answer();
  }

  #send(text: string): void {
    try {
      const bytes = Buffer.from(text, 'latin1');
      for (let sent = 0; sent < bytes.length; ) sent += writeSync(this.#commands, bytes, sent);
    } catch (error) {
      throw new Error(`QEMU has ended: ${error}; it said: ${this.#errors()}`);
    }
  }

  /** What follows OK in the next answer. */
  #answer(): string {
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end < 0) {
        const count = readSync(this.#answers, this.#buffer);
        if (count === 0) throw new Error(`QEMU has ended; it said: ${this.#errors()}`);
        this.#text += this.#buffer.toString('latin1', 0, count);
        continue;
      }
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      if (line.startsWith('OK')) return line.slice(3);
      throw new Error(`qtest: ${line}`);
    }
  }

  #errors(): string {
    return readFileSync(this.#log, 'utf8').slice(-2_000);
  }
}

/** Processes that `pid` has started; none when it is gone. */
function childrenOf(pid: number | undefined): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === '' ? [] : children.split(' ').map(Number);
  } catch {
    return [];
  }
}

/**
 * Debian's QEMU has no qtest accelerator, but the qtest server works beside TCG with the processor held powered off.
 * Its clock counts instructions and jumps to the next timer: a transfer of `edu` takes 100 ms of it and no real time. A
 * stream's bus, where it is not 0, is a root bus of its own, so that devices have the stream IDs of a real board.
 */
function argumentsOf({ streams, ramMib }: QtestOptions): string[] {
  const buses = [...new Set(streams.map((stream) => stream >>> 8))].filter((bus) => bus !== 0);
  return [
    ...['-machine', 'virt-9.1,iommu=smmuv3,highmem=off', '-cpu', 'cortex-a57', '-m', `${ramMib}`],
    ...['-global', 'cortex-a57-arm-cpu.start-powered-off=on', '-global', 'arm-smmuv3.stage=2'],
    ...['-accel', 'tcg', '-icount', 'shift=0,sleep=off', '-qtest', 'stdio', '-qtest-log', '/dev/null'],
    ...['-display', 'none', '-nodefaults', '-monitor', 'none'],
    ...buses.flatMap((bus, index) => {
      const slot = (BUS_SLOT + index).toString(16);
      return [
        '-device',
        `pcie-root-port,power_controller_present=off,chassis=${bus},id=bus${bus},bus=pcie.0,addr=${slot}`,
      ];
    }),
    ...streams.flatMap((stream) => {
      const place = `bus=${stream >>> 8 === 0 ? 'pcie.0' : `bus${stream >>> 8}`}`;
      const slot = `${((stream >>> 3) & 31).toString(16)}.${stream & 7}`;
      return ['-device', `edu,${place},addr=${slot},dma_mask=0xffffffffffffffff`];
    }),
  ];
}
