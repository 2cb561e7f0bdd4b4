/**
 * The host's endpoint with its facts and orders, where no single table decides: what is durable before anything is
 * allocated, which table and which incarnations a start goes on with, who may run, who hears that the host lives.
 */

import { describe, expect, it } from 'vitest';
import { BLOCK, type Bounds } from '../../../src/core/host/bounds.ts';
import { HostEndpoint } from '../../../src/core/host/host-endpoint.ts';
import type { HostFact, HostFound, HostOrder } from '../../../src/core/host/host-facts.ts';
import { initialHost } from '../../../src/core/host/host-state.ts';
import { resourcesOf } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import type { EnforcerAnswer, EnforcerCall, EnforcerDescription } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { command, heldByOwner, lentByHost } from '../protocol/requirements-support.ts';

type Fact = HostFact extends infer F ? (F extends HostFact ? Omit<F, 'nowMs'> : never) : never;
const ENFORCER = {
  name: 'test',
  kind: 'central',
  evidence: 'observed',
  capabilities: { forceRevoke: true, reset: true, faultReport: false },
} as const;
const FOUND: HostFound = {
  bounds: undefined,
  records: undefined,
  isFirst: true,
  machineBoot: 'one',
  running: [],
  freshTableId: '0123456789abcdef',
};

/** An endpoint whose orders are carried out at once, but for those that a test holds back. */
class Rig {
  readonly endpoint: HostEndpoint;
  readonly orders: HostOrder[] = [];
  readonly bounds: Bounds[] = [];
  /** Answers that wait while their kind is held back. */
  readonly waiting: (() => void)[] = [];
  readonly held = new Set<HostOrder['do']>();
  readonly reach = new Map<string, VmId | 'blocked'>(resourcesOf(PANEL).map(({ id }) => [id, 'blocked']));

  constructor(found: Partial<HostFound> = {}, ...held: HostOrder['do'][]) {
    this.endpoint = new HostEndpoint({
      bundles: [PANEL],
      enforcer: this.enforcer,
      bootId: new Uint8Array(16),
    });
    for (const kind of held) this.held.add(kind);
    this.feed({ on: 'start', found: { ...FOUND, ...found } });
  }

  get enforcer(): EnforcerDescription {
    return ENFORCER;
  }

  get bundle() {
    return this.endpoint.state.bundles[PANEL.id]!;
  }

  feed(fact: Fact): this {
    const answers: Fact[] = [];
    for (const order of this.endpoint.step({ ...fact, nowMs: 0 } as HostFact)) {
      this.orders.push(order);
      if (order.do === 'writeBounds') this.bounds.push(order.bounds);
      const answer = this.#answer(order);
      if (!answer) continue;
      if (this.held.has(order.do)) this.waiting.push(() => this.feed(answer()));
      else answers.push(answer());
    }
    for (const answer of answers) this.feed(answer);
    return this;
  }

  /** Lets what waits go on, in its order; with `count`, so many of it. */
  release(count = this.waiting.length): this {
    for (const work of this.waiting.splice(0, count)) work();
    return this;
  }

  get isEnded(): boolean {
    return this.orders.at(-1)?.do === 'end';
  }

  #answer(order: HostOrder): (() => Fact) | undefined {
    switch (order.do) {
      case 'record':
        return () => ({ on: 'recorded', bundle: order.bundle });
      case 'recordVms':
        return () => ({ on: 'recorded', bundle: undefined });
      case 'writeBounds':
        return () => ({ on: 'boundsWritten', bounds: order.bounds });
      case 'enforce': {
        const { bundle, phase, epoch, to, calls } = order;
        return () => ({
          on: 'answers',
          bundle,
          phase,
          epoch,
          to,
          faults: [],
          answers: calls.map((call) => this.#carryOut(call)),
        });
      }
      default:
        return undefined;
    }
  }

  #carryOut(call: EnforcerCall): EnforcerAnswer {
    if (call.op === 'fence') this.reach.set(call.resource, 'blocked');
    if (call.op === 'grant') this.reach.set(call.resource, call.vm);
    if (call.op === 'inspect') return { ok: true, reach: this.reach.get(call.resource)! };
    return { ok: true, idle: true };
  }
}

const starting = (vm: VmId): Fact => ({ on: 'vmStarting', vm });
const exited = (vm: VmId): Fact => ({ on: 'vmExited', vm });
const registry = (running: readonly VmId[], incarnations: Record<VmId, number> = {}) =>
  ({ machineBoot: 'one', incarnations, running, floor: 0 }) as never;
const BOUNDS: Bounds = {
  tableId: 'fedcba9876543210',
  machineBoot: 'one',
  epochs: BLOCK,
  incarnations: BLOCK,
};

/** One whose VMs run on when the host's kernel ends. */
class OutlivedRig extends Rig {
  override get enforcer() {
    return { ...ENFORCER, capabilities: { ...ENFORCER.capabilities, vmsOutliveHost: true } };
  }
}

describe('what is durable', () => {
  it.each([
    ['end with the host’s kernel', Rig, []],
    ['R114 outlive the host’s kernel', OutlivedRig, ['moving']],
  ] as const)('is, where VMs %s, of a move', (_name, Kind, durable) => {
    const rig = new Kind().feed(starting(ANDROID));
    const marks = rig.orders.map((order) => order.do === 'record' && order.isDurable);
    const written = rig.orders.flatMap((order) =>
      order.do === 'record' && order.isDurable ? [order.state.name] : [],
    );
    expect([...new Set(written)]).toEqual(durable);
    const firstGrant = rig.orders.findIndex((order) => order.do === 'enforce' && order.phase === 'grant');
    expect(firstGrant).toBeGreaterThan(marks.indexOf(true));
    expect(rig.bundle.name).toBe('held');
  });

  it('is so before anything is allocated, touched or heard', () => {
    const rig = new Rig({}, 'writeBounds');
    expect(rig.orders.map((order) => order.do)).toEqual(['writeBounds']);
    rig.release();
    expect(rig.orders.map((order) => order.do)).toContain('serve');
  });

  it('is a new block as soon as half of the present one is left, of epochs and of incarnations', () => {
    const rig = new Rig().feed(starting(ANDROID));
    for (let starts = 0; starts < BLOCK + 100; starts++) {
      const { epochs } = rig.bounds.at(-1)!;
      expect(epochs - rig.bundle.epoch).toBeGreaterThanOrEqual(BLOCK / 2);
      rig.feed(exited(ANDROID)).feed(starting(ANDROID));
    }
    expect(rig.isEnded).toBe(false);
    const { epochs, incarnations } = rig.bounds.at(-1)!;
    expect(epochs).toBeGreaterThan(rig.bundle.epoch);
    expect(incarnations).toBeGreaterThan(BLOCK);
    expect(rig.bounds.length).toBeLessThan(20);
  });

  it('bounds incarnations where no epoch is used up as well', () => {
    const rig = new Rig();
    for (let starts = 0; starts < BLOCK; starts++) rig.feed(starting(VAULT)).feed(exited(VAULT));
    expect(rig.bounds.at(-1)!.incarnations).toBeGreaterThanOrEqual(BLOCK + BLOCK / 2);
  });

  it('counts once it is written, and not before; a step that needs more has no effect but the end', () => {
    const rig = new Rig().feed(starting(ANDROID));
    rig.held.add('writeBounds');
    const { epochs } = rig.bounds.at(-1)!;
    let before = rig.endpoint.state;
    for (let facts = 0; facts < 4 * BLOCK && !rig.isEnded; facts++) {
      before = rig.endpoint.state;
      rig.feed(facts % 2 === 0 ? exited(ANDROID) : starting(ANDROID));
    }
    expect(rig.orders.at(-1)).toEqual({ do: 'end', reason: expect.stringContaining(`epoch ${epochs + 1} `) });
    expect(rig.bundle.epoch).toBe(epochs);
    // Not even the incarnations changed: the next start finds the machine as it is.
    expect(rig.endpoint.state).toBe(before);
    rig.release();
    expect(rig.bundle.epochMax).toBeGreaterThan(epochs);
  });
});

describe('a table', () => {
  it('whose bounds are lost is another one; it is the same as long as they are found', () => {
    const ids = ['0123456789abcdef', '1111111111111111'];
    const lost = ids.map((freshTableId) => new Rig({ isFirst: false, freshTableId }));
    expect(lost.map(({ endpoint }) => endpoint.state.bounds.tableId)).toEqual(ids);
    for (const rig of lost) expect(rig.bundle).toMatchObject({ quarantine: { cause: 'tableLost' } });
    const same = new Rig({ bounds: BOUNDS, isFirst: false });
    expect(same.endpoint.state.bounds.tableId).toBe(BOUNDS.tableId);
    expect(same.endpoint.state.bounds.epochs).toBeGreaterThan(BOUNDS.epochs);
  });

  it.each([
    ['in the same boot', 'one'],
    ['after a reboot', 'two'],
  ])('whose records are lost counts incarnations from above all that there may have been: %s', (_, boot) => {
    const rig = new Rig({ bounds: BOUNDS, isFirst: false, machineBoot: boot, running: [ANDROID] });
    expect(rig.endpoint.incarnationOf(ANDROID)).toBe(BLOCK + 1);
    expect(rig.feed(starting(VAULT)).endpoint.incarnationOf(VAULT)).toBe(BLOCK + 1);
  });

  it('that a reboot may have cut off counts from above, too, and goes on where it is whole', () => {
    const records = { bundles: new Map(), registry: registry([ANDROID], { [ANDROID]: 3 }) };
    const found = { bounds: BOUNDS, records, isFirst: false, running: [ANDROID] };
    expect(new Rig(found).endpoint.incarnationOf(ANDROID)).toBe(3);
    expect(new Rig({ ...found, machineBoot: 'two' }).endpoint.incarnationOf(ANDROID)).toBe(BLOCK + 1);
  });
});

describe('a VM that is about to run', () => {
  const incarnations = { [ANDROID]: 1, [VAULT]: 1 };
  const recorded = (state: object, running: readonly VmId[]) => ({
    bounds: BOUNDS,
    isFirst: false,
    running,
    records: { bundles: new Map([[PANEL.id, state as never]]), registry: registry(running, incarnations) },
  });
  const mayRun = (rig: Rig) => rig.orders.some((order) => order.do === 'acknowledgeStart');

  it('waits for its own bundle, also while that is on the way to nobody, and in the guard time', () => {
    const rig = new Rig(recorded(lentByHost(), [VAULT]), 'enforce');
    expect(rig.bundle.name).toBe('starting');
    rig.feed(starting(ANDROID));
    expect(mayRun(rig)).toBe(false);
    // The owner's incarnation that lent it is over: it is taken back by force.
    for (const { id } of resourcesOf(PANEL)) rig.reach.set(id, VAULT);
    rig.release(1);
    expect(rig.bundle).toMatchObject({ name: 'moving', attempt: { cause: 'supplyLost', forced: true } });
    rig.release(1).release(1).release(1);
    expect(rig.bundle).toMatchObject({ name: 'parked', isGuardTime: true });
    expect(mayRun(rig)).toBe(false);
    rig.feed({ on: 'timer', bundle: PANEL.id, timer: 'guard', lateMs: 0 });
    rig.release(1).release(1).release(1);
    expect(mayRun(rig)).toBe(false);
    rig.release(1);
    expect(rig.bundle).toMatchObject({ name: 'held', holder: { vm: ANDROID, incarnation: 2 } });
    expect(mayRun(rig)).toBe(true);
  });

  it('does not wait for what is not its own', () => {
    const rig = new Rig(recorded(heldByOwner(), [ANDROID]), 'enforce').feed(starting(VAULT));
    expect(mayRun(rig)).toBe(true);
  });
});

describe('that the host lives', () => {
  const beat = { on: 'timer', bundle: undefined, timer: 'beat', lateMs: 0 } as const;
  const beats = (rig: Rig) =>
    rig.orders.flatMap((order) =>
      (order.do === 'timer' || order.do === 'stopTimer') && order.timer === 'beat' ? [order.do] : [],
    );

  it('is told while a bundle moves or is not confirmed, and nobody is woken for it otherwise', () => {
    const rig = new Rig();
    expect(rig.bundle.name).toBe('parked');
    expect(beats(rig)).toEqual(['timer', 'stopTimer']);
    rig.feed(starting(ANDROID));
    expect(rig.bundle).toMatchObject({ name: 'held', holder: { confirmed: false } });
    expect(beats(rig)).toEqual(['timer', 'stopTimer', 'timer']);
    rig.feed(beat);
    expect(rig.orders).toContainEqual({ do: 'send', to: ANDROID, message: { kind: 'heartbeat' } });
    const { on: _, ...confirm } = command(ANDROID, 'confirm', { epoch: rig.bundle.holder!.epoch });
    rig.feed({ on: 'message', ...confirm } as Fact);
    expect(beats(rig).at(-1)).toBe('stopTimer');
    // One that had run out already starts no other.
    rig.feed(beat);
    expect(beats(rig).at(-1)).toBe('stopTimer');
  });

  it('is told to nobody because of a bundle of others', () => {
    const other = { ...PANEL, id: 'keys' as never, owner: VAULT };
    const endpoint = new HostEndpoint({
      bundles: [PANEL, other],
      enforcer: ENFORCER,
      bootId: new Uint8Array(16),
    });
    const running = { [ANDROID]: 1, [VAULT]: 2 } as never;
    const moving = { ...initialHost(), name: 'moving', running } as const;
    const parked = { ...initialHost(), name: 'parked', running } as const;
    const bundles = { [PANEL.id]: moving, [other.id]: parked };
    endpoint.state = { ...endpoint.state, isBeating: true, bundles };
    const sent = endpoint.step({ ...beat, nowMs: 0 } as HostFact).filter((order) => order.do === 'send');
    expect(sent.map(({ to }) => to)).toEqual([ANDROID]);
  });
});
