/**
 * Host and agents on this machine, over the enforcer socket of the emulated one: their clock goes with real time. Keeps every
 * fault record that `baton-kvm` reported, before the host has booked it.
 */

import type { Enforcer, EnforcerAnswer, EnforcerCall, FaultRecord } from '../../../src/enforcer/port.ts';
import type { BorrowTerms } from '../../../src/protocol/agent-io.ts';
import { resourcesOf } from '../../../src/protocol/bundle.ts';
import type { VmId } from '../../../src/protocol/ids.ts';
import { openEnforcer } from '../../../targets/node/enforcers.ts';
import { BenchWorld, TERMS } from '../../support/bench-world.ts';
import { ANDROID, ENGINE, type KvmMachine, VAULT } from './machine.ts';

/** Longest wait for a handover, in ms: reset takes 100 of them, the emulated machine the rest. */
const MOVE_MS = 10_000;
const PACE_MS = 2;
/** A loan that outlives the tests. */
export const LONG_TERMS: BorrowTerms = { ...TERMS, evidence: 'observed', leaseMs: 120_000 };

const RESOURCES = resourcesOf(ENGINE).map(({ id }) => id);
/** The calls of the phases. */
export const FENCE: readonly EnforcerCall[] = [
  ...RESOURCES.map((resource) => ({ op: 'fence', resource }) as const),
  { op: 'settle' },
];
export const CLEAN = (['reset', 'drained'] as const).map((op) => ({ op, device: ENGINE.devices[0]!.id }));
export const grant = (vm: VmId) => RESOURCES.map((resource) => ({ op: 'grant', resource, vm }) as const);
export const INSPECT = RESOURCES.map((resource) => ({ op: 'inspect', resource }) as const);

/** Connects to `baton-kvm` as the configuration `{"kind":"kvm"}` does. */
export async function openKvm(machine: KvmMachine): Promise<Enforcer> {
  const config = { kind: 'kvm', address: `unix:${machine.enforcer}` } as const;
  let opened: Enforcer | Error | undefined;
  openEnforcer(
    config,
    [ENGINE],
    'unused',
    () => {},
    (result) => {
      opened = result;
    },
  );
  await machine.until('baton-kvm answers hello', MOVE_MS, () => opened !== undefined);
  if (opened instanceof Error) throw opened;
  return opened!;
}

/** Runs calls on the bundle of these tests. */
export function runCalls(
  enforcer: Enforcer,
  calls: readonly EnforcerCall[],
): Promise<readonly EnforcerAnswer[]> {
  return new Promise((resolve) => enforcer.run(ENGINE.id, calls, resolve));
}

/** How long the calls of a phase took, seen from here. */
export interface Phase {
  readonly op: EnforcerCall['op'];
  readonly ms: number;
}

/** What went through the enforcer. */
interface Seen {
  readonly faults: FaultRecord[];
  readonly phases: Phase[];
  /** First calls of the runs that were ordered. */
  readonly begun: EnforcerCall['op'][];
}

/** The enforcer, with a copy of what goes through it. */
function tapped(inner: Enforcer, { faults, phases, begun }: Seen): Enforcer {
  return {
    describe: () => inner.describe(),
    machineBoot: () => inner.machineBoot(),
    running: () => inner.running(),
    run: (bundle, calls, done) => {
      const startMs = performance.now();
      if (calls[0]) begun.push(calls[0].op);
      inner.run(bundle, calls, (answers) => {
        if (calls[0]) phases.push({ op: calls[0].op, ms: performance.now() - startMs });
        done(answers);
      });
    },
    faults: () => {
      const fetched = inner.faults();
      faults.push(...fetched);
      return fetched;
    },
    acknowledgeStart: (vm) => inner.acknowledgeStart(vm),
    acknowledgeExit: (vm) => inner.acknowledgeExit(vm),
    onEvent: (listener) => inner.onEvent(listener),
    close: () => inner.close(),
  };
}

export class KvmWorld {
  readonly faults: FaultRecord[] = [];
  readonly phases: Phase[] = [];
  readonly begun: EnforcerCall['op'][] = [];
  readonly bench: BenchWorld;
  readonly #machine: KvmMachine;
  readonly #pacer: NodeJS.Timeout;
  #enforcer: Enforcer;

  private constructor(machine: KvmMachine, enforcer: Enforcer) {
    this.#machine = machine;
    this.#enforcer = enforcer;
    this.bench = new BenchWorld([ANDROID, VAULT], [ENGINE], () => tapped(this.#enforcer, this));
    let lastMs = performance.now();
    this.#pacer = setInterval(() => {
      const nowMs = performance.now();
      this.bench.clock.advance(nowMs - lastMs);
      lastMs = nowMs;
    }, PACE_MS);
  }

  /** Starts host and agents; resolves when the owner holds the bundle. */
  static async start(machine: KvmMachine): Promise<KvmWorld> {
    const world = new KvmWorld(machine, await openKvm(machine));
    world.bench.startHost();
    world.bench.startAgent(ANDROID, 'suspended');
    world.bench.startAgent(VAULT, 'suspended');
    await world.untilHeldBy(ANDROID);
    return world;
  }

  get holder(): string | undefined {
    const { state, holder, confirmed } = this.bench.host.views()[0]!;
    return state === 'held' && confirmed ? (holder ?? undefined) : undefined;
  }

  /** Host and both agents agree on who holds, and nothing is under way. */
  get isAtRest(): boolean {
    const stateOf = (vm: VmId) => this.bench.agents.get(vm)!.view(ENGINE.id).state;
    const states = `${this.holder}: ${stateOf(ANDROID)} ${stateOf(VAULT)}`;
    return states === 'android: held idle' || states === 'vault: lent held';
  }

  /** Borrows, or gives back. */
  async moveTo(vm: VmId): Promise<void> {
    const agent = this.bench.agents.get(VAULT)!;
    if (vm === VAULT) agent.borrow(ENGINE.id, LONG_TERMS);
    else agent.giveBack(ENGINE.id);
    await this.untilHeldBy(vm);
  }

  async untilHeldBy(vm: VmId): Promise<void> {
    await this.#machine
      .until(`${vm} holds the bundle`, MOVE_MS, () => this.holder === vm)
      .catch((error: Error) => {
        const view = JSON.stringify(this.bench.host.views()[0]);
        throw new Error(`${error.message}\nhost: ${view}\n${this.bench.logs.slice(-8).join('\n')}`);
      });
  }

  /** Cuts the host off in the middle of the run that begins with `op`; the next one goes on from its table. */
  async restartHostIn(op: EnforcerCall['op']): Promise<void> {
    const mark = this.begun.length;
    await this.#machine.until(`${op} is ordered`, MOVE_MS, () => this.begun.slice(mark).includes(op));
    this.bench.host.stop();
    this.#enforcer = await openKvm(this.#machine);
    this.bench.startHost();
  }

  /** Ends a VM, and starts it again with its agent as soon as its last life is over. */
  async restart(vm: VmId): Promise<void> {
    await this.#machine.ask({ do: 'killVm', vm });
    this.bench.agents.get(vm)!.stop();
    await this.#machine.until(`${vm} starts again`, MOVE_MS, () =>
      this.#machine.ask({ do: 'startVm', vm }).then(
        () => true,
        () => false,
      ),
    );
    this.bench.startAgent(vm, 'suspended');
    await this.#machine.until(`${vm} runs again`, MOVE_MS, async () => {
      const { answered, refused } = await this.#machine.peek(vm);
      return answered + refused > 0;
    });
  }

  stop(): void {
    clearInterval(this.#pacer);
    this.bench.host.stop();
  }
}
