/**
 * An emulated machine with a real hypervisor: QEMU's `virt` with EL2, GICv3, SMMUv3 and PCI devices `edu`, on it
 * Debian's kernel with its KVM, and `baton-kvm` with what tests ask of it (vmm/). Built from Debian packages into a
 * cache folder; booted once for a run.
 */

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlClient } from '../../../src/cli/world.ts';
import type { Json } from '../../../src/common/lines.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { connectControl } from '../../node/cli/control-client.ts';
import { emulatedWords } from './emulated.ts';
import { ANDROID, BARE, ENGINE, type Hardware, VAULT } from './hardware.ts';
import { type LinuxGuests, makeGuests } from './linux-guests.ts';
import { Qemu } from './qemu.ts';
import { run } from './run.ts';

/** What a bare guest writes down in its RAM, in the order of vmm/guest.S. */
export interface Notes {
  readonly answered: number;
  readonly refused: number;
  readonly strange: number;
  readonly interrupts: number;
  readonly raised: number;
  readonly orphans: number;
  readonly aborts: number;
}

const NOTES_AT = 0x4010_0000;
const ORDER = NOTES_AT + 0x38;
/**
 * A machine that differs from the usual one, which is QEMU as it is installed, with SMMU stage 1. BATON_TESTBED names
 * it.
 */
interface Variant {
  readonly machine: string;
  readonly more: readonly string[];
  readonly kernel: string;
  /** Made by prepare-qemu.sh. */
  readonly ownQemu: boolean;
}
const USUAL: Variant = { machine: 'virt', more: [], kernel: '', ownQemu: false };
const VARIANTS: Readonly<Record<string, Variant>> = {
  usual: USUAL,
  // KVM keeps a stage 2 for its host, too. It does not protect these VMs from the host: Debian's cannot.
  protected: { ...USUAL, kernel: ' kvm-arm.mode=protected' },
  // On `virt` without a version the machine overrides the property.
  stage2: { ...USUAL, machine: 'virt-9.0', more: ['-global', 'arm-smmuv3.stage=2'], ownQemu: true },
};

function variant(): Variant {
  const name = process.env['BATON_TESTBED'] ?? 'usual';
  const found = VARIANTS[name];
  if (!found) throw new Error(`BATON_TESTBED is ${name}: expected ${Object.keys(VARIANTS).join(', ')}`);
  return found;
}

function programOf(cache: string): string {
  return variant().ownQemu ? join(cache, 'qemu-system-aarch64') : 'qemu-system-aarch64';
}

/** Bytes of edu's buffer that its DMA reaches: QEMU before 8.2.1 ends when the last one is asked for. */
function eduBytes(program: string): number {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const [, major = 0, minor = 0, patch = 0] = (/version (\d+)\.(\d+)\.(\d+)/.exec(stdout) ?? []).map(Number);
  return major * 10_000 + minor * 100 + patch < 80_201 ? 4_095 : 4_096;
}

/**
 * Times of a host whose hypervisor is emulated, in ms: a call of KVM waits for a grace period of RCU, which took 3.8
 * s while other programs wanted this machine's processors; a processor of a board never waits for one.
 */
export const EMULATED_TIMES = { enforceMs: 15_000 } as const;

/** Whole run of the machine, in seconds; then it is ended from outside. */
const RUN_S = 240;
/** Longest wait for QEMU itself to be there, in ms. */
const QEMU_MS = 10_000;
/** Longest wait for an answer of the control port, in ms: the first comes after the boot. */
const ANSWER_MS = 60_000;
/** Longest wait for the machine to end when it is told to, in ms. */
const END_MS = 5_000;
/** Time between two looks while waiting, in ms. */
const LOOK_MS = 2;

/** What has to be installed, with `more` (program → packages), as a sentence; undefined when nothing is missing. */
export function missingPrograms(more: Readonly<Record<string, string>> = {}): string | undefined {
  const needed = {
    'qemu-system-aarch64': 'qemu-system-arm',
    'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross',
    cpio: 'cpio',
    modprobe: 'kmod',
    make: 'make',
    'apt-get': 'apt',
    'dpkg-deb': 'dpkg',
    ...more,
  };
  const missing = Object.entries(needed).filter(([program]) => !isInstalled(program));
  if (missing.length === 0) return undefined;
  return `needs Debian packages: apt-get install ${missing.map(([, packages]) => packages).join(' ')}`;
}

function isInstalled(program: string): boolean {
  const folders = `${process.env['PATH']}:/usr/sbin:/sbin`.split(':');
  return folders.some((folder) => existsSync(join(folder, program)));
}

/** Accesses that KVM refused in a VM's present incarnation, as its exits to `baton-kvm` said. */
export interface Exits {
  readonly reads: number;
  readonly writes: number;
  /** Of the last one. */
  readonly address: number;
}

export class KvmMachine {
  readonly folder = join(tmpdir(), `baton-kvm-${randomBytes(4).toString('hex')}`);
  /** Where `baton-kvm` is the enforcer. */
  readonly enforcer = join(this.folder, 'enforcer.sock');
  /** Where QEMU itself hears: input of its tablet comes from there. */
  readonly qmp = join(this.folder, 'qmp.sock');
  /** Bytes of edu's buffer that DMA reaches. */
  eduBytes = 0;
  readonly #root: string;
  readonly #control = join(this.folder, 'control.sock');
  readonly #log = join(this.folder, 'l1.log');
  readonly #trace = join(this.folder, 'smmu.log');
  #qemu: Qemu | undefined;
  #client: ControlClient | undefined;
  #isKept = false;

  readonly #hardware: Hardware;

  /** `root`: the folder of this repository. */
  constructor(root: string, hardware: Hardware = BARE) {
    this.#root = root;
    this.#hardware = hardware;
  }

  /**
   * Boots; resolves when `baton-kvm` answers at its control port. VMs in `aborting` get an external abort for a
   * refused access; `guests` is for hardware of Linux guests.
   */
  async start(aborting: readonly VmId[] = [], guests?: LinuxGuests): Promise<void> {
    const cache = cacheFolder();
    const testbed = join(this.#root, 'targets/lab/testbed');
    run('/bin/bash', [join(testbed, 'prepare.sh'), cache]);
    if (variant().ownQemu) run('/bin/bash', [join(testbed, 'prepare-qemu.sh'), cache]);
    const share = join(this.folder, 'share');
    mkdirSync(share, { recursive: true });
    copyFileSync(join(testbed, 'l1-run.sh'), join(share, 'run.sh'));
    const { bundles, vfio, options } = this.#hardware;
    writeFileSync(join(share, 'bundles.json'), bundleFileText(bundles));
    writeFileSync(join(share, 'vfio'), vfio.join(' '));
    const vms = [ANDROID, VAULT].map((vm) => `--vm ${vm}${aborting.includes(vm) ? ':abort' : ''}`);
    this.eduBytes = eduBytes(programOf(cache));
    const edu = `--edu-bytes ${this.eduBytes}`;
    writeFileSync(join(share, 'options'), [...vms, edu, ...options].join(' '));
    this.#boot(cache, share);
    // While it boots. It waits for the last file.
    const source = join(testbed, 'vmm');
    run('make', ['-s', '-j2', '-C', source, 'CROSS_COMPILE=aarch64-linux-gnu-', `OUT=${share}`]);
    if (guests) makeGuests(this.#root, cache, share, guests);
    writeFileSync(join(share, 'whole'), '');
    // A socket is there before QEMU listens at it.
    await this.until('QEMU listens at its sockets', QEMU_MS, () =>
      connectControl(this.#control).then(
        (client) => {
          this.#client = client;
          return true;
        },
        () => false,
      ),
    );
    await this.exits(ANDROID);
  }

  /** Connects to the control port anew, and waits for an answer. */
  async #greet(): Promise<void> {
    this.#client?.close();
    this.#client = await connectControl(this.#control);
    await this.exits(ANDROID);
  }

  /** Asks something at the control port of `baton-kvm`. Rejects with its error. */
  async ask(request: Json): Promise<Json> {
    if (!this.#client) throw new Error('the machine was not started');
    let limit: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      const what = `no answer at the control port within ${ANSWER_MS} ms to ${JSON.stringify(request)}`;
      limit = setTimeout(() => reject(this.#failure(what)), ANSWER_MS);
    });
    const asked = this.#client.request(request);
    const answer = await Promise.race([asked, silence]).finally(() => clearTimeout(limit));
    if (answer['ok'] !== true) throw new Error(String(answer['error']));
    return answer;
  }

  /** What a guest has written down. */
  async peek(vm: VmId): Promise<Notes> {
    const [answered, refused, strange, interrupts, raised, orphans, aborts] = await this.words(
      vm,
      NOTES_AT,
      7,
    );
    return { answered, refused, strange, interrupts, raised, orphans, aborts } as Notes;
  }

  /** Words of 8 bytes in a guest's RAM. */
  async words(vm: VmId, address: number, words: number): Promise<number[]> {
    const { words: read } = await this.ask({ do: 'peek', vm, address, words });
    return (read as string[]).map(Number);
  }

  async exits(vm: VmId): Promise<Exits> {
    return (await this.ask({ do: 'exits', vm })) as unknown as Exits;
  }

  /** Switches a safeguard of `baton-kvm` off, or on again. */
  async sabotage(name: string, on: boolean): Promise<void> {
    await this.ask({ do: 'sabotage', name, on: on ? 1 : 0 });
  }

  /** Kills `baton-kvm`, and with it its VMs. The machine starts it anew; resolves when it answers again. */
  async crash(): Promise<void> {
    this.ask({ do: 'crash' }).catch(() => {});
    const started = () => this.console().split('baton-kvm: ready').length;
    const mark = started();
    await this.until('baton-kvm is started anew', QEMU_MS, () => started() > mark);
    await this.#greet();
  }

  async poke(vm: VmId, address: number, value: number): Promise<void> {
    await this.ask({ do: 'poke', vm, address, value });
  }

  /** Has a guest write a register of its device. */
  async write(vm: VmId, offset: number, value: number): Promise<void> {
    await this.#order(vm, 1, offset, value);
  }

  /** Has a guest read a register of its device. */
  async read(vm: VmId, offset: number): Promise<number> {
    await this.#order(vm, 2, offset, 0);
    return (await this.words(vm, ORDER + 16, 1))[0]!;
  }

  /** The world outside makes the device signal; resolves when the signal waits for somebody to take it. */
  async raiseForNobody(value: number): Promise<void> {
    const device = { bundle: ENGINE.id, device: 'engine' };
    await this.ask({ do: 'raise', ...device, value });
    await this.until('the device has signalled', 5_000, async () => {
      return (await this.ask({ do: 'signal', ...device }))['waits'] === true;
    });
  }

  async #order(vm: VmId, order: number, offset: number, value: number): Promise<void> {
    await this.poke(vm, ORDER + 8, offset);
    await this.poke(vm, ORDER + 16, value);
    await this.poke(vm, ORDER, order);
    await this.until(
      `${vm} does as it is told`,
      5_000,
      async () => (await this.words(vm, ORDER, 1))[0] === 0,
    );
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

  /** What the machine's console has printed. */
  console(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8') : '';
  }

  /** Lines of the machine's kernel about something, as it printed them. */
  kernelSaid(about: string): string[] {
    const lines = this.console().split('\n');
    return lines.map((line) => line.trim()).filter((line) => /^\[ *\d/.test(line) && line.includes(about));
  }

  /** What QEMU's SMMU model says that it refused: a witness outside the emulated machine. */
  refusedStreams(): string[] {
    return this.#traced(/smmuv3_record_event .*$/gm);
  }

  /** How often QEMU's SMMU model was told that the stream table's entry of a stream has changed. */
  repointed(stream: number): number {
    return this.#traced(new RegExp(`smmuv3_cmdq_cfgi_ste .*0x${stream.toString(16)}$`, 'gm')).length;
  }

  #traced(what: RegExp): string[] {
    const text = existsSync(this.#trace) ? readFileSync(this.#trace, 'utf8') : '';
    return [...text.matchAll(what)].map(([line]) => line);
  }

  /** Has the folder stay after the end: something failed, and its logs tell more. */
  keep(): void {
    this.#isKept = true;
  }

  /** Ends the machine, and removes its folder unless something failed. */
  async stop(): Promise<void> {
    if (this.#qemu?.over === undefined) this.#client?.request({ do: 'end' }).catch(() => {});
    await this.#qemu?.end(END_MS);
    this.#client?.close();
    if (!this.#isKept) rmSync(this.folder, { recursive: true, force: true });
  }

  #boot(cache: string, share: string): void {
    const { machine, more, kernel } = variant();
    const args = [
      ...emulatedWords({
        ...{ machine, cache, share, console: this.#log, kernel },
        memoryMib: this.#hardware.memoryMib,
      }),
      ...more,
      ...['-trace', 'smmuv3_record_event', '-trace', 'smmuv3_cmdq_cfgi_ste', '-D', this.#trace],
      ...['-device', 'virtio-serial-pci'],
      ...this.#port('enforcer', this.enforcer),
      ...this.#port('control', this.#control),
      ...this.#hardware.devices,
      ...['-qmp', `unix:${this.qmp},server=on,wait=off`],
    ];
    this.#qemu = new Qemu(programOf(cache), args, RUN_S);
  }

  #port(name: string, path: string): string[] {
    return [
      ...['-chardev', `socket,id=${name},path=${path},server=on,wait=off`],
      ...['-device', `virtserialport,chardev=${name},name=${name}`],
    ];
  }

  #failure(what: string): Error {
    this.keep();
    const lines = this.console().trimEnd().split('\n').slice(-12).join('\n');
    return new Error(`${what}\nThe console of the emulated machine is ${this.#log}; its end:\n${lines}`);
  }
}

/** Where what the testbeds boot is kept: BATON_CACHE, else in the user's cache. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return process.env['BATON_CACHE'] ?? join(base, 'baton', 'kvm');
}
