/**
 * The demo's testbed, each party as a separate process: broker, simulated machine, host, and per VM an agent and a
 * driver. The bundle is planned from the board's device tree, and each agent checks its grants against its own VM's
 * tree.
 */

import { type ChildProcess, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../../../src/common/lines.ts';
import { type BundleDefinition, resourcesOf, viewOf } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { readBundles } from '../../node/config/files.ts';
import { attempt } from '../../node/system/processes.ts';
import { ANDROID, PANEL, VAULT } from '../machine/board.ts';
import { Parties, START_MS } from './parties.ts';

/** Sabotages by process. */
export interface Sabotages {
  readonly machine: readonly string[];
  readonly host: readonly string[];
  readonly vault: readonly string[];
}

/** Longest wait for the broker to take an order, in ms; it takes one. */
const BROKER_MS = 1_000;
/** Name of the bundle. */
const BUNDLE = PANEL.id;

/** Device trees of the board (which is also the owner's view) and of the borrower, with their nodes of each device. */
const TREES: Readonly<
  Record<VmId, { readonly file: string; readonly nodes: Readonly<Record<string, readonly [string]>> }>
> = {
  [ANDROID]: {
    file: 'board.dtb',
    nodes: { touch: ['/soc@0/touch@a900000'], display: ['/soc@0/display@ae00000'] },
  },
  [VAULT]: { file: 'vault.dtb', nodes: { touch: ['/touch@b900000'], display: ['/display@ae00000'] } },
};

/** What may differ: how an agent of a VM is called, words before `--config`, and what it all travels over. */
export interface Cast {
  readonly agents: Readonly<Record<string, readonly string[]>>;
  readonly transport: 'mqtt' | 'stream';
  /** Folder of the device trees: data of the tests, beside the built programs. */
  readonly trees?: string;
}

/** The processes of the demo. */
export class DemoTestbed extends Parties {
  /** What is lent; known from `start` on. */
  bundle: BundleDefinition = { ...PANEL, devices: [] };
  readonly #cast: Required<Cast>;
  #broker: ChildProcess | undefined;

  /** `programs`: the folder of the built bundles; `cast`: agents on Node over MQTT, unless told otherwise. */
  constructor(programs?: string, cast: Partial<Cast> = {}) {
    super(programs);
    const trees = join(this.programs, '../test/fixtures');
    this.#cast = { agents: {}, transport: 'mqtt', trees, ...cast };
  }

  /** Starts everything; resolves when the owner's agent holds the bundle and the borrower's is idle. */
  async start(seed: number, sabotages: Sabotages): Promise<void> {
    this.#writeFiles(
      this.#cast.transport === 'mqtt' ? await this.#startBroker() : undefined,
      seed,
      sabotages,
    );
    await this.startReady('baton-machine', [this.path('machine.json')]);
    await this.startHost(['--create-table'], programOf('host', sabotages.host));
    await this.connect('bench', 'bench');
    for (const vm of [ANDROID, VAULT]) await this.startVm(vm);
  }

  /** Starts a VM, as soon as its last incarnation has ended, and watches its agent and its driver. */
  async startVm(vm: VmId): Promise<void> {
    await this.until(`${vm} may start`, START_MS, async () => {
      return (await this.ask('bench', { do: 'startVm', vm }))['ok'] === true;
    });
    await this.watch(vm, vm as 'android' | 'vault');
    await this.watch(`app-${vm}`, `app-${vm}` as 'app-android');
    await this.until(`${vm} knows who holds`, START_MS, async () => {
      const { bundles } = await this.ask(vm, { do: 'status' });
      return ['held', 'idle'].includes(String((bundles as Json[])[0]?.['state']));
    });
  }

  /** Returns the process of a VM's agent. */
  agentOf(vm: string): number {
    const config = this.path(`${vm}.json`);
    const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
    const found = pids.find((pid) => wordsOf(pid).at(-1) === config && wordsOf(pid).at(-2) === '--config');
    if (!found) throw new Error(`no agent of ${vm} runs`);
    return Number(found);
  }

  /** Has the broker hold back messages from one party to another, or deliver what it holds; resolves when it does. */
  async broker(order: Json): Promise<void> {
    const broker = this.#broker;
    if (!broker) return;
    let done = false;
    broker.stdout!.once('data', () => {
      done = true;
    });
    broker.stdin!.write(`${JSON.stringify(order)}\n`);
    await this.until('the broker does as it is told', BROKER_MS, () => done);
  }

  /** Kills the broker at once. */
  killBroker(): void {
    this.#broker?.kill('SIGKILL');
  }

  /** Returns the broker's URL. */
  async #startBroker(): Promise<string> {
    const users = ['host', ANDROID, VAULT].map((name) => `${name}:${name}`);
    const [broker, ready] = await this.startReady('baton-broker', ['tcp:127.0.0.1:0', ...users]);
    this.#broker = broker;
    return String(ready['url']);
  }

  #writeFiles(url: string | undefined, seed: number, sabotages: Sabotages): void {
    this.bundle = this.#plan();
    this.writeKeys();
    for (const user of ['host', ANDROID, VAULT]) this.write(`${user}.password`, user, 0o600);
    const address = (vm: string) => `unix:${this.path(`${vm}.link`)}`;
    const transport = (user: string) => {
      if (url) return { kind: 'mqtt', url, username: user, passwordFile: `${user}.password` };
      if (user !== 'host') return { kind: 'stream', address: address(user) };
      return { kind: 'stream', listen: { [ANDROID]: address(ANDROID), [VAULT]: address(VAULT) } };
    };
    this.writeHost({ kind: 'simulated', address: `unix:${this.path('machine.sock')}` }, transport('host'));
    for (const vm of [ANDROID, VAULT]) {
      const { file, nodes } = TREES[vm]!;
      const tree = { file: this.#fixture(file), nodes: { [BUNDLE]: nodes } };
      this.writeAgent(vm, this.bundle, transport(vm), this.#hooksOf(vm), { tree });
    }
    this.write('machine.json', {
      folder: this.folder,
      bundles: this.path('bundles.json'),
      seed,
      sabotages: sabotages.machine,
      vms: Object.fromEntries(
        [ANDROID, VAULT].map((vm) => [vm, this.#commandsOf(vm, vm === VAULT ? sabotages.vault : [])]),
      ),
    });
  }

  /** Has `baton plan` write the bundle file, from the trees of the board and of the borrower. */
  #plan(): BundleDefinition {
    const file = this.path('bundles.json');
    const [board, vault] = [TREES[ANDROID]!, TREES[VAULT]!];
    const view = Object.entries(vault.nodes).map(([device, [node]]) => `${device}=${node}`);
    const words = [
      this.#fixture(board.file),
      ...Object.values(board.nodes).flat(),
      ...['--owner', ANDROID, '--name', BUNDLE, '-o', file],
      ...['--view', `${VAULT}=${this.#fixture(vault.file)}:${view.join(',')}`],
    ];
    execFileSync(process.execPath, [join(this.programs, 'baton.mjs'), 'plan', ...words], { stdio: 'pipe' });
    return readBundles(file)[0]!;
  }

  #fixture(name: string): string {
    return join(this.#cast.trees, name);
  }

  #hooksOf(vm: VmId): Json {
    const ofDevice = (device: string) => {
      // The suspend of the touch driver waits up to 2 s for the last finger to leave the panel.
      const step = { kind: 'socket', path: this.path(`${device}-${vm}.sock`), limitMs: 2_500 };
      return { suspend: [step], inspect: { kind: 'socket', path: step.path } };
    };
    return Object.fromEntries(this.bundle.devices.map(({ id }) => [id, ofDevice(id)]));
  }

  /** A VM's processes: its driver, and its agent as soon as the driver answers. */
  #commandsOf(vm: VmId, sabotages: readonly string[]): string[][] {
    const program = (file: string) => join(this.programs, file);
    const driver = [
      process.execPath,
      program('baton-driver.mjs'),
      vm,
      this.folder,
      ...viewsOf(this.bundle, vm),
      vm === this.bundle.owner ? '1' : '0',
    ];
    const ours = [process.execPath, program(programOf('agent', sabotages))];
    const named = (this.#cast.agents[vm] ?? ours).join(' ');
    const agent =
      `while [ ! -S ${this.path(`app-${vm}.sock`)} ]; do sleep 0.02; done; exec ${named} ` +
      `--config ${this.path(`${vm}.json`)}`;
    return [driver, ['/bin/sh', '-c', agent]];
  }
}

/**
 * The program of a daemon, in the folder of programs. One with a sabotage is no part of what is shipped: it is there as
 * the compiler left it.
 */
function programOf(daemon: 'agent' | 'host', [sabotage]: readonly string[]): string {
  return sabotage === undefined ? `baton-${daemon}.mjs` : `js/targets/lab/sabotage/${daemon}-${sabotage}.js`;
}

/** The words that a process was called with. */
function wordsOf(pid: string): string[] {
  return (attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '').split('\0').slice(0, -1);
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
