/**
 * The emulated machine of the KVM tests: QEMU's `virt` with EL2, GICv3, SMMUv3 and the PCI device `edu`, on it Debian's
 * kernel with its KVM, and `baton-kvm`. Built from Debian packages into a cache folder; booted once for a run.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlClient } from '../../../src/cli/world.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import type { Json } from '../../../src/control/lines.ts';
import { type BundleDefinition, nameResources, type Trigger } from '../../../src/protocol/bundle.ts';
import { bundleId, deviceId, type VmId, vmId } from '../../../src/protocol/ids.ts';
import { connectControl } from '../../../targets/node/control-client.ts';

export const ANDROID = vmId('android');
export const VAULT = vmId('vault');

/** QEMU's `edu` in slot 5 as the machine's kernel places it. The VMs see its registers at different addresses. */
export const ENGINE = engine('level');

/** The same with its interrupt as INTx (level) or MSI (edge). */
function engine(trigger: Trigger): BundleDefinition {
  const device = deviceId('engine');
  return {
    id: bundleId('engine'),
    owner: ANDROID,
    keeper: 'hypervisor',
    devices: [
      {
        id: device,
        resources: nameResources(device, [
          {
            kind: 'mmio',
            physical: 0x1000_0000,
            bytes: 0x10_0000,
            views: { [ANDROID]: 0x0a00_0000, [VAULT]: 0x0b00_0000 },
          },
          { kind: 'interrupt', physical: 36, trigger, views: { [ANDROID]: 48, [VAULT]: 77 } },
          { kind: 'stream', physical: 0x28, views: {} },
        ] as never),
        residues: ['registers', 'DMA buffer', 'raised interrupt'].map((what) => ({
          what,
          clearedBy: 'reset',
        })),
      },
    ],
  };
}

/** What a bare guest writes down in its RAM, in the order of targets/native/kvm/guest.S. */
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
/** Whole run of the machine, in seconds; then it is ended from outside. */
const RUN_S = 240;
/** Longest wait for QEMU itself to be there, in ms. */
const QEMU_MS = 10_000;
/** Longest wait for an answer of the bench, in ms: the first comes after the boot. */
const ANSWER_MS = 60_000;
/** Time between two looks while waiting, in ms. */
const LOOK_MS = 5;

/** What has to be installed, as a sentence; undefined when nothing is missing. */
export function missingPrograms(): string | undefined {
  const needed = {
    'qemu-system-aarch64': 'qemu-system-arm',
    'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross',
    cpio: 'cpio',
    modprobe: 'kmod',
    make: 'make',
    'apt-get': 'apt',
    'dpkg-deb': 'dpkg',
  };
  const missing = Object.entries(needed).filter(([program]) => !isInstalled(program));
  if (missing.length === 0) return undefined;
  return `needs Debian packages: apt-get install ${missing.map(([, packages]) => packages).join(' ')}`;
}

function isInstalled(program: string): boolean {
  const folders = `${process.env['PATH']}:/usr/sbin:/sbin`.split(':');
  return folders.some((folder) => existsSync(join(folder, program)));
}

export interface MachineOptions {
  readonly lies?: readonly string[];
  /** VMs in which a refused access is an external abort. */
  readonly aborting?: readonly VmId[];
  readonly trigger?: Trigger;
}

export class KvmMachine {
  readonly folder = join(tmpdir(), `baton-kvm-${randomBytes(4).toString('hex')}`);
  /** Where `baton-kvm` is the enforcer. */
  readonly enforcer = join(this.folder, 'enforcer.sock');
  readonly #bench = join(this.folder, 'bench.sock');
  readonly #log = join(this.folder, 'l1.log');
  readonly #trace = join(this.folder, 'smmu.log');
  #qemu: ChildProcess | undefined;
  #over: string | undefined;
  #client: ControlClient | undefined;
  #isKept = false;

  /** Boots; resolves when `baton-kvm` answers the bench. */
  async start({ lies = [], aborting = [], trigger = 'level' }: MachineOptions = {}): Promise<void> {
    const cache = cacheFolder();
    run('/bin/bash', [join(import.meta.dirname, 'prepare.sh'), cache]);
    const share = join(this.folder, 'share');
    mkdirSync(share, { recursive: true });
    const source = join(import.meta.dirname, '../../../targets/native/kvm');
    run('make', ['-s', '-C', source, 'CROSS_COMPILE=aarch64-linux-gnu-', `OUT=${share}`]);
    copyFileSync(join(import.meta.dirname, 'l1-run.sh'), join(share, 'run.sh'));
    writeFileSync(join(share, 'bundles.json'), bundleFileText([engine(trigger)]));
    const vms = [ANDROID, VAULT].map((vm) => `--vm ${vm}${aborting.includes(vm) ? ':abort' : ''}`);
    writeFileSync(join(share, 'options'), [...vms, ...lies.map((lie) => `--lie ${lie}`)].join(' '));
    this.#boot(cache, share);
    await this.until('QEMU has made its sockets', QEMU_MS, () => existsSync(this.#bench));
    this.#client = await connectControl(this.#bench);
    // A VM that does not run has no RAM to look into: that is an answer, too.
    await this.peek(ANDROID).catch((error: Error) => {
      if (!error.message.includes('no RAM')) throw this.#failure(error.message);
    });
  }

  /** Asks the bench of `baton-kvm` something. Rejects with its error. */
  async ask(request: Json): Promise<Json> {
    if (!this.#client) throw new Error('the machine was not started');
    let limit: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      const what = `no answer of the bench within ${ANSWER_MS} ms to ${JSON.stringify(request)}`;
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
      if (this.#over !== undefined) throw this.#failure(`${what}: ${this.#over}`);
      if (performance.now() > endMs) throw this.#failure(`not within ${limitMs} ms: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** What the machine's console has printed. */
  console(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8') : '';
  }

  /** What QEMU's SMMU model says that it refused: a witness outside the emulated machine. */
  refusedStreams(): string[] {
    const text = existsSync(this.#trace) ? readFileSync(this.#trace, 'utf8') : '';
    return [...text.matchAll(/smmuv3_record_event .*$/gm)].map(([line]) => line);
  }

  /** Has the folder stay after the end: something failed, and its logs tell more. */
  keep(): void {
    this.#isKept = true;
  }

  /** Ends the machine, and removes its folder unless something failed. */
  async stop(): Promise<void> {
    const qemu = this.#qemu;
    if (qemu && this.#over === undefined) {
      const ended = new Promise((resolve) => qemu.once('exit', resolve));
      const limit = setTimeout(() => qemu.kill('SIGTERM'), 5_000);
      this.#client?.request({ do: 'end' }).catch(() => {});
      await ended;
      clearTimeout(limit);
    }
    this.#client?.close();
    if (!this.#isKept) rmSync(this.folder, { recursive: true, force: true });
  }

  #boot(cache: string, share: string): void {
    const args = [
      ...'-M virt,virtualization=on,gic-version=3,iommu=smmuv3 -cpu cortex-a57 -smp 2 -m 512'.split(' '),
      ...'-nodefaults -no-reboot -display none'.split(' '),
      ...['-kernel', join(cache, 'vmlinuz'), '-initrd', join(cache, 'l1.cpio')],
      ...['-append', 'console=ttyAMA0 panic=-1 quiet cma=0'],
      ...['-serial', `file:${this.#log}`],
      ...['-trace', 'smmuv3_record_event', '-D', this.#trace],
      ...['-fsdev', `local,id=s,path=${share},security_model=none,multidevs=remap`],
      ...'-device virtio-9p-pci,fsdev=s,mount_tag=share -device virtio-serial-pci'.split(' '),
      ...this.#port('enforcer', this.enforcer),
      ...this.#port('bench', this.#bench),
      ...'-device edu,addr=5,dma_mask=0xffffffffffffffff'.split(' '),
    ];
    // The limit holds even when this process is killed. It hands signals on to QEMU.
    const command = ['--kill-after=5', String(RUN_S), 'qemu-system-aarch64', ...args];
    const qemu = spawn('timeout', command, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#qemu = qemu;
    let errors = '';
    qemu.stderr.on('data', (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-2_000);
    });
    qemu.once('error', (error) => {
      this.#over = `QEMU did not start: ${error.message}`;
    });
    qemu.once('exit', (status) => {
      this.#over = `QEMU ended with status ${status}: ${errors}`;
    });
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

/** BATON_CACHE, else the user's cache. */
function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return process.env['BATON_CACHE'] ?? join(base, 'baton', 'kvm');
}

function run(program: string, args: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: 280_000 });
  if (status === 0) return;
  const tail = `${stdout}${stderr}`.slice(-2_000);
  throw new Error(`${program} ${args.join(' ')}: status ${status} ${error?.message ?? ''}\n${tail}`);
}
