/** Host on Node with the enforcer `none`, and the agents of a cast, over one way: no machine, no drivers but hooks. */

import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Json } from '../../src/common/lines.ts';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { HOST, type VmId } from '../../src/core/protocol/ids.ts';
import type { Cast } from '../../targets/lab/demo/demo-testbed.ts';
import { Parties, START_MS } from '../../targets/lab/demo/parties.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { type FakeVmm, handingVmm } from '../../targets/lab/testbed/fake-vmm.ts';
import { ended } from '../../targets/node/system/started.ts';
import type { TestBroker } from '../edges/transport/worlds.ts';
import { prepareMosquitto } from '../system/mosquitto.ts';

/** The port of vsock that the host listens on. */
const PORT = 5_001;
const DIST = join(import.meta.dirname, '../../dist');

/** What messages travel by: UNIX sockets, the form of vsock that a VMM has, with one for each VM, or a mosquitto. */
export type Way = 'unix' | 'vsock-unix' | 'mqtt 3.1.1' | 'mqtt 5';

export class StreamTestbed extends Parties {
  readonly #cast: Cast;
  readonly #way: Way;
  readonly #vmms: FakeVmm[] = [];
  readonly #agents = new Map<VmId, ChildProcess>();
  /** What the agents of a VM have said, of all its lives. */
  readonly said = new Map<VmId, string>();

  /** The broker, where there is one. */
  broker: TestBroker | undefined;

  constructor(cast: Cast, way: Way = 'unix') {
    super(DIST);
    this.#cast = cast;
    this.#way = way;
  }

  override async stop(): Promise<void> {
    for (const vmm of this.#vmms) vmm.close();
    await Promise.all([this.broker?.stop(), super.stop()]);
  }

  /** Starts everything. `hooks` of the device `touch`, by VM; `rest`: what else agents are configured with. */
  async start(hooks: Readonly<Record<string, Json>> = {}, rest: Json = {}): Promise<void> {
    this.write('bundles.json', bundleFileText([PANEL]));
    this.writeKeys();
    const transport = await this.#transports();
    const enforcer = { kind: 'none', vms: [ANDROID, VAULT] };
    this.writeHost(enforcer, transport(HOST));
    for (const vm of [ANDROID, VAULT]) {
      const own: Json = hooks[vm] ? { touch: hooks[vm] } : {};
      this.writeAgent(vm, PANEL, transport(vm), own, rest);
    }
    await this.startHost(['--create-table']);
    for (const vm of [ANDROID, VAULT]) await this.startAgent(vm);
  }

  /** Prepares the way. Returns the part of the configuration of a party that is about it. */
  async #transports(): Promise<(party: VmId) => Json> {
    if (this.#way.startsWith('mqtt')) {
      const { tcp } = await prepareMosquitto(this.folder);
      this.broker = tcp;
      await tcp.start();
      for (const [user, password] of tcp.passwords) this.write(`${user}.password`, password, 0o600);
      const version = this.#way.slice('mqtt '.length);
      return (party) => ({
        ...{ kind: 'mqtt', url: tcp.url, version },
        ...{ username: party, passwordFile: `${party}.password` },
      });
    }
    const address = (vm: VmId) =>
      this.#way === 'unix'
        ? `unix:${this.path(`${vm}.link`)}`
        : `vsock-unix:${this.path(`${vm}.vmm`)}:${PORT}`;
    if (this.#way === 'vsock-unix')
      for (const vm of [ANDROID, VAULT]) this.#vmms.push(await handingVmm(this.path(`${vm}.vmm`), PORT));
    const listen = Object.fromEntries([ANDROID, VAULT].map((vm) => [vm, address(vm)]));
    return (party) =>
      party === HOST ? { kind: 'stream', listen } : { kind: 'stream', address: address(party) };
  }

  /** Starts the agent of a VM, and waits until it knows who holds. */
  async startAgent(vm: VmId, words: readonly string[] = this.#cast.agents[vm]!): Promise<void> {
    const agent = this.agentProcess(vm, words);
    this.#agents.set(vm, agent);
    await this.watch(vm, vm as 'android' | 'vault');
    await this.until(`${vm} knows who holds`, START_MS, async () =>
      ['held', 'idle', 'lent'].includes(await this.stateOf(vm)),
    );
  }

  /** An agent over the files of a VM, whatever becomes of it. */
  agentProcess(vm: VmId, words: readonly string[]): ChildProcess {
    const agent = this.spawnWords(`agent of ${vm}`, [...words, '--config', this.path(`${vm}.json`)]);
    agent.stderr!.on('data', (bytes: Buffer) => {
      this.said.set(vm, `${this.said.get(vm) ?? ''}${bytes.toString()}`);
    });
    return agent;
  }

  async killAgent(vm: VmId, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const agent = this.#agents.get(vm)!;
    agent.kill(signal);
    await ended(agent);
  }

  pidOf(vm: VmId): number {
    return this.#agents.get(vm)!.pid!;
  }

  file(name: string): string {
    return this.path(name);
  }

  /** The host's view of the bundle. */
  async view(): Promise<Json> {
    return ((await this.ask('host', { do: 'status' }))['bundles'] as Json[])[0]!;
  }

  /** What an agent says of the bundle. */
  async stateOf(vm: VmId): Promise<string> {
    const { bundles } = await this.ask(vm, { do: 'status' });
    return String((bundles as Json[])[0]?.['state']);
  }

  /** Waits until the owner has the bundle and uses it. */
  async isBack(): Promise<void> {
    await this.until('the owner has it', START_MS, async () => {
      const { holder, confirmed } = await this.view();
      return holder === ANDROID && confirmed === true && (await this.stateOf(ANDROID)) === 'held';
    });
  }
}

/** What a program of a borrower asks for. */
export const BORROW = { do: 'borrow', bundle: PANEL.id, purpose: 'pin', evidence: 'none' } as const;
