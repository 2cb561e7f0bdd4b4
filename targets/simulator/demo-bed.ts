/**
 * The demo's bed: a folder with configuration and keys, and every party as a process of its own, started from the
 * built bundles beside this program: broker, simulated machine, host, and per VM an agent and a driver.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ControlClient } from '../../src/cli/world.ts';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import type { Json } from '../../src/control/lines.ts';
import { type BundleDefinition, resourcesOf, viewOf } from '../../src/protocol/bundle.ts';
import type { VmId } from '../../src/protocol/ids.ts';
import { ANDROID, PANEL, VAULT } from '../../src/simulation/machine/board.ts';
import { connectControl } from '../node/control-client.ts';

/** Longest wait for a process to come up, in ms: six Node programs on two busy cores. */
const START_MS = 10_000;
/** Complaints of processes that an error shows. */
const COMPLAINTS_SHOWN = 6;
/** Time between two looks while waiting, in ms. */
const LOOK_MS = 5;

/** Lies by the process that tells them. */
export interface Lies {
  readonly machine: readonly string[];
  readonly host: readonly string[];
  readonly vault: readonly string[];
}

/** One event of the demo's world, as some party told it. */
export interface Told {
  readonly by: 'host' | 'android' | 'vault' | 'app-android' | 'app-vault';
  readonly atMs: number;
  readonly event: Json;
}

/** Everything of the demo that runs. */
export class DemoBed {
  readonly folder = mkdtempSync(join(tmpdir(), 'baton-'));
  readonly told: Told[] = [];
  onTold: (told: Told) => void = () => {};
  readonly #programs: string;
  readonly #children: ChildProcess[] = [];
  readonly #clients = new Map<string, ControlClient>();
  #broker: ChildProcess | undefined;
  #host: ChildProcess | undefined;

  /** `programs`: the folder of the built bundles. */
  constructor(programs: string = dirname(fileURLToPath(import.meta.url))) {
    this.#programs = programs;
  }

  /** Starts everything; resolves when the owner's agent holds the bundle and the borrower's is idle. */
  async start(seed: number, lies: Lies): Promise<void> {
    const url = await this.#startBroker();
    this.#writeFiles(url, seed, lies);
    await this.#startReady('baton-machine', [this.#path('machine.json')]);
    const lying = lies.host.flatMap((lie) => ['--lie', lie]);
    await this.startHost(['--create-table', ...lying]);
    this.#clients.set('bench', await this.#connect('bench'));
    for (const vm of [ANDROID, VAULT]) await this.startVm(vm);
  }

  /** Starts the host service, and watches it. */
  async startHost(args: readonly string[]): Promise<void> {
    this.#host = this.#spawn('baton-host', ['--config', this.#path('host.json'), ...args]);
    await this.#watch('host', 'host');
  }

  /** Kills the host service at once; machine, VMs and agents live on. */
  async killHost(): Promise<void> {
    const host = this.#host;
    if (!host) return;
    const gone = ended(host);
    host.kill('SIGKILL');
    await gone;
  }

  /** Starts a VM, as soon as its last life is over, and watches its agent and its driver. */
  async startVm(vm: VmId): Promise<void> {
    await this.until(`${vm} may start`, START_MS, async () => {
      return (await this.ask('bench', { do: 'startVm', vm }))['ok'] === true;
    });
    await this.#watch(vm, vm as 'android' | 'vault');
    await this.#watch(`app-${vm}`, `app-${vm}` as 'app-android');
    await this.until(`${vm} knows who holds`, START_MS, async () => {
      const { bundles } = await this.ask(vm, { do: 'status' });
      return ['held', 'idle'].includes(String((bundles as Json[])[0]?.['state']));
    });
  }

  /** Asks a party something; resolves with its answer, whatever it is. */
  async ask(party: string, request: Json): Promise<Json> {
    const client = this.#clients.get(party);
    if (!client) throw new Error(`${party} is not connected`);
    return client.request(request);
  }

  /** A connection of its own to an agent: the lease ends with it. */
  async program(vm: VmId): Promise<ControlClient> {
    return connectControl(this.#path(`${vm}.sock`));
  }

  /** Has the broker hold back the next message from one party to another, or deliver what it holds. */
  broker(order: Json): void {
    this.#broker?.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  /** Waits until `holds` does. Rejects with `what` after `limitMs`. */
  async until(what: string, limitMs: number, holds: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + limitMs;
    while (!(await Promise.resolve(holds()).catch(() => false))) {
      if (performance.now() > endMs)
        throw new Error(`not within ${limitMs} ms: ${what}: ${this.#lastComplaints()}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Events of one party since the moment `sinceMs`. */
  since(sinceMs: number, by: Told['by'], name?: string): Json[] {
    return this.told
      .filter(
        (told) =>
          told.atMs >= sinceMs && told.by === by && (name === undefined || told.event['event'] === name),
      )
      .map(({ event }) => event);
  }

  /** Ends every process that was started here, and removes the folder. */
  async stop(): Promise<void> {
    for (const client of this.#clients.values()) client.close();
    for (const child of this.#children.reverse()) child.kill('SIGTERM');
    await Promise.all(this.#children.map((child) => ended(child)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.folder, name);
  }

  async #startBroker(): Promise<string> {
    const users = ['host', ANDROID, VAULT].map((name) => `${name}:${name}`);
    const ready = await this.#startReady('baton-broker', ['tcp:127.0.0.1:0', ...users]);
    this.#broker = this.#children.at(-1);
    return String(ready['url']);
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const file = join(this.#programs, `${program}.mjs`);
    const child = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => {});
    this.#children.push(child);
    child.stderr.on('data', (bytes: Buffer) => this.#complain(program, bytes.toString()));
    return child;
  }

  /** Lines of warning and error are kept: they explain a demo that does not hold. */
  readonly complaints: string[] = [];
  #complain(program: string, text: string): void {
    for (const line of text.split('\n'))
      if (/ (warn|error): |Error/.test(line)) this.complaints.push(`${program}: ${line}`);
  }

  /** The last of them, each once: retries repeat a line with another time. */
  #lastComplaints(): string {
    const words = this.complaints.map((line) =>
      line.replace(/: \d+\.\d+ \S+ (\S+ )?(?=(warn|error): )/, ': '),
    );
    return [...new Set(words)].slice(-COMPLAINTS_SHOWN).join('; ');
  }

  #startReady(program: string, args: readonly string[]): Promise<Json> {
    const child = this.#spawn(program, args);
    return new Promise((resolve, reject) => {
      const limit = setTimeout(
        () => reject(new Error(`${program} was not ready within ${START_MS} ms`)),
        START_MS,
      );
      child.stdout!.once('data', (bytes: Buffer) => {
        clearTimeout(limit);
        resolve(JSON.parse(bytes.toString().split('\n')[0]!) as Json);
      });
      child.once('exit', (status) =>
        reject(new Error(`${program} ended with status ${status}: ${this.#lastComplaints()}`)),
      );
    });
  }

  async #connect(socket: string): Promise<ControlClient> {
    let client: ControlClient | undefined;
    await this.until(`${socket}.sock answers`, START_MS, async () => {
      client = await connectControl(this.#path(`${socket}.sock`));
      return true;
    });
    return client!;
  }

  async #watch(socket: string, by: Told['by']): Promise<void> {
    const client = await this.#connect(socket);
    this.#clients.get(by)?.close();
    this.#clients.set(by, client);
    client.onEvent((event) => {
      const told = { by, atMs: performance.now(), event };
      this.told.push(told);
      this.onTold(told);
    });
    if (!by.startsWith('app-')) await client.request({ do: 'watch' });
  }

  #writeFiles(url: string, seed: number, lies: Lies): void {
    const write = (name: string, value: unknown, mode = 0o644) =>
      writeFileSync(this.#path(name), typeof value === 'string' ? value : JSON.stringify(value, null, 2), {
        mode,
      });
    write('bundles.json', bundleFileText([PANEL]));
    const key = () => randomBytes(32).toString('hex');
    const [hostAndroid, hostVault, between] = [key(), key(), key()];
    write('host.keys.json', { android: hostAndroid, vault: hostVault }, 0o600);
    write('android.keys.json', { host: hostAndroid, vault: between }, 0o600);
    write('vault.keys.json', { host: hostVault, android: between }, 0o600);
    for (const user of ['host', ANDROID, VAULT]) write(`${user}.password`, user, 0o600);
    const transport = (user: string) => ({
      kind: 'mqtt',
      url,
      username: user,
      passwordFile: `${user}.password`,
    });
    write('host.json', {
      bundles: 'bundles.json',
      keys: 'host.keys.json',
      enforcer: { kind: 'simulated', address: `unix:${this.#path('machine.sock')}` },
      transport: transport('host'),
      state: 'host-state',
      control: 'host.sock',
    });
    for (const vm of [ANDROID, VAULT]) this.#writeAgent(vm, transport(vm), write);
    write('machine.json', {
      folder: this.folder,
      bundles: this.#path('bundles.json'),
      seed,
      lies: lies.machine,
      vms: Object.fromEntries(
        [ANDROID, VAULT].map((vm) => [vm, this.#commandsOf(vm, vm === VAULT ? lies.vault : [])]),
      ),
    });
  }

  #writeAgent(vm: VmId, transport: unknown, write: (name: string, value: unknown) => void): void {
    const hooks = Object.fromEntries(
      PANEL.devices.map(({ id }) => {
        // The suspend of the touch driver waits up to 2 s for the last finger to leave the panel.
        const step = { kind: 'socket', path: this.#path(`${id}-${vm}.sock`), limitMs: 2_500 };
        return [id, { suspend: [step], inspect: { kind: 'socket', path: step.path } }];
      }),
    );
    mkdirSync(this.#path(`state-${vm}`));
    write(`${vm}.json`, {
      vm,
      bundles: 'bundles.json',
      keys: `${vm}.keys.json`,
      transport,
      state: `state-${vm}`,
      control: `${vm}.sock`,
      ...(vm === ANDROID
        ? {
            policy: {
              kind: 'list',
              allow: [{ bundle: PANEL.id, borrower: VAULT, purposes: ['pin'], leaseMaxMs: 60_000 }],
            },
          }
        : {}),
      hooks: { [PANEL.id]: hooks },
    });
  }

  /** A VM's processes: its driver, and its agent as soon as the driver answers. */
  #commandsOf(vm: VmId, lies: readonly string[]): string[][] {
    const program = (name: string) => join(this.#programs, `${name}.mjs`);
    const driver = [
      process.execPath,
      program('baton-driver'),
      vm,
      this.folder,
      ...viewsOf(PANEL, vm),
      vm === PANEL.owner ? '1' : '0',
    ];
    const lying = lies.map((lie) => `--lie ${lie}`).join(' ');
    const agent = `while [ ! -S ${this.#path(`app-${vm}.sock`)} ]; do sleep 0.02; done; exec ${process.execPath} ${program('baton-agent')} --config ${this.#path(`${vm}.json`)} ${lying}`;
    return [driver, ['/bin/sh', '-c', agent]];
  }
}

/** Where a VM sees the registers and interrupts of touch and display. */
function viewsOf(bundle: BundleDefinition, vm: VmId): string[] {
  return ['touch', 'display'].flatMap((device) =>
    ['mmio', 'interrupt'].map((kind) => {
      const resource = resourcesOf(bundle).find((each) => each.device === device && each.kind === kind);
      return String(resource ? viewOf(resource, vm) : 0);
    }),
  );
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    // A process that does not end by itself within a second is ended.
    const limit = setTimeout(() => child.kill('SIGKILL'), 1_000);
    child.once('exit', () => {
      clearTimeout(limit);
      resolve();
    });
  });
}
