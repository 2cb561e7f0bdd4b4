/**
 * A Linux guest of QEMU alone: Debian's kernel on an emulated board (`virt`), with a tablet, a display and touch
 * screens of our own driver (driver/). It is told what to do through shells behind a port. One process, with a limit
 * of its own.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { type GuestFiles, packFiles } from './linux-guests.ts';
import { Qemu } from './qemu.ts';
import { run } from './run.ts';

/**
 * Whole life of a guest, in seconds; then it is ended from outside. The bench takes 5 minutes, twice that on a busy
 * machine.
 */
const RUN_S = 1_200;
/** Longest boot to the first shell, in ms: two at once take 3 s. */
const BOOT_MS = 60_000;
/** Longest command, in ms. */
const COMMAND_MS = 20_000;
/** Time between two tries, in ms. */
const LOOK_MS = 20;
const SHELL_PORT = 7001;
const CONTROL_PORT = 7000;
/**
 * Where a guest's clock counts instructions, each takes 2 to this power in ns: half a billion a second, as a small
 * core of a phone does when little is in its caches. Waits take as long as ever.
 */
const COUNT_SHIFT = 1;
const BOARD = ['-M', 'virt', '-cpu', 'cortex-a57', '-m', '128'];

/** What a guest is made of. */
export interface PlainParts {
  readonly vm: VmId;
  /** Folder of this repository. */
  readonly root: string;
  /** Where prepare.sh has put kernel and file system. */
  readonly cache: string;
  /** Where its own files go, and stay. */
  readonly folder: string;
  readonly files: GuestFiles;
  /** Names of touch screens; of those in `borrowed`, this side is the borrower's. */
  readonly touches: readonly string[];
  readonly borrowed: readonly string[];
  /**
   * Its clock counts instructions: what it measures depends neither on how slow the emulation is, nor on what else
   * this machine does.
   */
  readonly counts: boolean;
}

/** What a command in a guest prints, line by line, while it runs. */
export class GuestCommand {
  readonly lines: string[] = [];
  readonly #socket: Socket;
  readonly ended: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    let rest = '';
    socket.on('data', (bytes) => {
      const lines = (rest + bytes.toString()).split('\n');
      rest = lines.pop()!;
      this.lines.push(...lines);
    });
    socket.on('error', () => {});
    this.ended = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** Lets go of it: a program that prints ends then. */
  close(): void {
    this.#socket.destroy();
  }
}

export class PlainGuest {
  readonly vm: VmId;
  /** QEMU's own control socket: input of its tablet comes from there. */
  readonly qmp: string;
  readonly #parts: PlainParts;
  readonly #log: string;
  #ports = { shell: 0, control: 0 };
  #qemu: Qemu | undefined;

  constructor(parts: PlainParts) {
    this.#parts = parts;
    this.vm = parts.vm;
    this.#log = join(parts.folder, `${parts.vm}.console`);
    this.qmp = join(parts.folder, `${parts.vm}.qmp`);
  }

  /** Where connections are handed on to the agent's control socket. */
  get control(): string {
    return `tcp:127.0.0.1:${this.#ports.control}`;
  }

  /** Boots; resolves when a shell answers. */
  async start(): Promise<void> {
    const { vm, root, cache, folder, files } = this.#parts;
    const initrd = join(folder, `${vm}.cpio`);
    packFiles(root, join(cache, 'plain.cpio'), initrd, files, 'guest-drivers');
    this.#ports = { shell: await freePort(), control: await freePort() };
    const { shell, control } = this.#ports;
    const forwards = `hostfwd=tcp:127.0.0.1:${shell}-:${SHELL_PORT},hostfwd=tcp:127.0.0.1:${control}-:${CONTROL_PORT}`;
    const args = [
      ...BOARD,
      ...(this.#parts.counts ? ['-icount', `shift=${COUNT_SHIFT},sleep=on`] : []),
      ...'-nodefaults -no-reboot -display none -global virtio-mmio.force-legacy=false'.split(' '),
      ...'-device virtio-tablet-device -device virtio-gpu-device -device virtio-net-device,netdev=net'.split(
        ' ',
      ),
      ...['-netdev', `user,id=net,${forwards}`],
      ...['-serial', `file:${this.#log}`, '-qmp', `unix:${this.qmp},server=on,wait=off`],
      ...['-kernel', join(cache, 'vmlinuz'), '-initrd', initrd, '-dtb', this.#tree()],
      // No text console on the display: it would be drawn anew each time that the display comes back.
      ...['-append', `console=ttyAMA0 panic=-1 quiet cma=0 kpti=off fbcon=map:1 vm=${vm}`],
    ];
    this.#qemu = new Qemu('qemu-system-aarch64', args, RUN_S);
    const isUp = () =>
      this.run('true').then(
        ({ status }) => status === 0,
        () => false,
      );
    await this.until('a shell answers', BOOT_MS, isUp);
  }

  /** Runs a command to its end; resolves with its status and what it printed. */
  async run(command: string): Promise<{ status: number; output: string }> {
    const running = await this.command(`{ ${command}\n} 2>&1; echo "ended with $?"`);
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      limit = setTimeout(resolve, COMMAND_MS);
    });
    await Promise.race([running.ended, late]);
    clearTimeout(limit);
    running.close();
    const last = running.lines.pop() ?? '';
    const [, status] = /^ended with (\d+)$/.exec(last) ?? [];
    if (status === undefined)
      throw this.#failure(`no end within ${COMMAND_MS} ms: ${command}: ${running.lines.join('\n')}${last}`);
    return { status: Number(status), output: running.lines.join('\n') };
  }

  /** Runs a command that must succeed. Returns what it printed. */
  async tell(command: string): Promise<string> {
    const { status, output } = await this.run(command);
    if (status !== 0) throw this.#failure(`${command}: status ${status}: ${output}`);
    return output;
  }

  /** Starts a command beside everything else. */
  async command(command: string): Promise<GuestCommand> {
    const socket = connect({ host: '127.0.0.1', port: this.#ports.shell, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const running = new GuestCommand(socket);
    socket.write(`${command}\nexit\n`);
    return running;
  }

  /** Waits until `holds` does. Rejects with `what`, and what to look at, after `limitMs`. */
  async until(what: string, limitMs: number, holds: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + limitMs;
    while (!(await holds())) {
      if (this.#qemu?.over !== undefined) throw this.#failure(`${what}: ${this.#qemu.over}`);
      if (performance.now() > endMs) throw this.#failure(`not within ${limitMs} ms: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** What its console has printed. */
  console(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8') : '';
  }

  async stop(): Promise<void> {
    await this.#qemu?.end();
  }

  /** The board's device tree with the touch screens in it. */
  #tree(): string {
    const { vm, folder, touches, borrowed } = this.#parts;
    const at = (kind: string) => join(folder, `${vm}.${kind}`);
    const [machine = '', board = '', ...more] = BOARD;
    run('qemu-system-aarch64', [
      machine,
      `${board},dumpdtb=${at('board')}`,
      ...more,
      '-net',
      'none',
      '-display',
      'none',
    ]);
    const nodes = touches.map((name) => {
      const side = borrowed.includes(name) ? ' baton,borrower;' : '';
      return `touch-${name} { compatible = "baton,touch";${side} };`;
    });
    const overlay = `/dts-v1/; /plugin/; / { fragment@0 { target-path = "/"; __overlay__ { ${nodes.join(' ')} }; }; };`;
    writeFileSync(at('dts'), overlay);
    run('dtc', ['-q', '-I', 'dts', '-O', 'dtb', '-o', at('dtbo'), at('dts')]);
    run('fdtoverlay', ['-i', at('board'), '-o', at('dtb'), at('dtbo')]);
    return at('dtb');
  }

  #failure(what: string): Error {
    const lines = this.console().trimEnd().split('\n').slice(-12).join('\n');
    return new Error(`${this.vm}: ${what}\nThe end of its console:\n${lines}`);
  }
}

/** Run in a guest when it is up, before anything of a test's own: network, and who listens at its ports. */
export const GUEST_START = `
mkdir -p /dev/pts
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
chmod 755 /baton/guest-drivers
nc -ll -p ${SHELL_PORT} -e sh &
nc -ll -p ${CONTROL_PORT} -e /baton/guest-drivers control /run/agent.sock &
`;

/** A port that nobody listens at now. */
export function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
