/**
 * A bug in a driver can only break I/O. Each of these makes the driver of the host, or those of all agents, lose some
 * of its orders or facts, carry them out twice, late, or after the next one; the whole product then lends and takes
 * back while VMs end, hosts die and frames are lost, and the simulated machine judges. Nothing of it makes two VMs
 * reach a bundle (S1), lets one reach what it no longer holds (S3), has the host say what is not so (S7), or frees
 * memory in reach of a device (M5).
 *
 * The bugs sit at the ports of the drivers: every order leaves, and every fact enters, by one of them. Not shown:
 *
 * - Progress. What is lost may keep a bundle from its owner for good; only the bugs marked `rests` come to rest.
 * - An order that is changed: another VM, resource or epoch in it, or an answer that the enforcer did not give. Two of
 *   the last tests have such, and the judge finds them.
 * - An order to the enforcer that is carried out after a later one, or once more after it. The enforcer takes its
 *   orders one after the other (docs/PLATFORMS.md); a driver that breaks that breaks safety, as a last test shows.
 * - A bug within TimerSet and FactQueue that no port shows: facts that are mixed, names that are mixed. Timers that
 *   run out for others stand for the second; fact-queue.test.ts has the first.
 */

import { describe, expect, it } from 'vitest';
import type { BundleId, VmId } from '../../src/core/protocol/ids.ts';
import type { AgentParts } from '../../src/drivers/agent/agent.ts';
import type { HostParts } from '../../src/drivers/host/host-parts.ts';
import type { HostTable } from '../../src/drivers/host/table.ts';
import type { Link, LinkListener } from '../../src/drivers/link/link.ts';
import type { Enforcer, EnforcerAnswer, EnforcerCall } from '../../src/ports/enforcer.ts';
import type { Clock, DriverHooks } from '../../src/ports/world.ts';
import { PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import type { Fault } from '../simulation/product/faults.ts';
import { type Outcome, play } from '../simulation/product/story.ts';
import { BUNDLES, type Controls } from '../simulation/product/world.ts';
import { paced } from '../support/pace.ts';

/** How long users want something in a run, in virtual ms. */
const WISHES_MS = 3_000;
/** Longest time for all to come to rest, where it has to. */
const REST_MS = 60_000;
/** Runs in which a bug that breaks safety must be found. */
const RUNS = 5;
const BROKEN = /^(S1|S3|S7|M5)$/;

type Work = () => void;
/** Does something with an order or a fact. One is made for each process, and each place in it. */
type Bug = (work: Work, clock: Clock) => void;

let planted = 0;
/** Every n-th is not done. */
const lost = (nth: number) => (): Bug => {
  let count = 0;
  return (work) => {
    count += 1;
    if (count % nth !== 0) return work();
    planted += 1;
  };
};
/** All are done twice. */
const twice = () => (): Bug => (work) => {
  planted += 1;
  work();
  work();
};
/** All are done so much later, in their order. */
const late = (ms: number) => (): Bug => (work, clock) => {
  planted += 1;
  clock.after(ms, work);
};
/** Every n-th is done so much later, after others. */
const belated = (nth: number, ms: number) => (): Bug => {
  let count = 0;
  return (work, clock) => {
    count += 1;
    if (count % nth !== 0) return work();
    planted += 1;
    clock.after(ms, work);
  };
};
/** Every n-th is done after the next. */
const swapped = (nth: number) => (): Bug => {
  let count = 0;
  let waiting: Work | undefined;
  return (work) => {
    count += 1;
    if (count % nth === 0 && waiting === undefined) {
      planted += 1;
      waiting = work;
      return;
    }
    work();
    waiting?.();
    waiting = undefined;
  };
};

/** `target` with other methods in place of some of its own. */
function over<T extends object>(target: T, methods: Partial<Record<keyof T, unknown>>): T {
  return new Proxy(target, {
    get: (_, name) => {
      const own = methods[name as keyof T];
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Parts of both drivers. */
type Parts = Pick<HostParts, 'link' | 'clock'>;
/** Puts a bug at a place of the parts. */
type Place<P> = (bug: Bug, parts: P) => Partial<P>;

const sends = (bug: Bug, { link, clock }: Parts) => ({
  link: over<Link>(link, {
    send: (...args: Parameters<Link['send']>) => {
      bug(() => link.send(...args), clock);
      return true;
    },
  }),
});
const hears =
  (...names: readonly (keyof LinkListener)[]) =>
  (bug: Bug, { link, clock }: Parts) => ({
    link: over<Link>(link, {
      open: (listener: LinkListener) => {
        const methods = names.map((name) => [
          name,
          (...args: never[]) =>
            bug(() => (listener[name] as (...all: never[]) => void).apply(listener, args), clock),
        ]);
        link.open(over<LinkListener>(listener, Object.fromEntries(methods)));
      },
    }),
  });
const times = (bug: Bug, { clock }: Parts) => ({
  clock: over<Clock>(clock, { after: (ms: number, fire: Work) => clock.after(ms, () => bug(fire, clock)) }),
});

type Run = Parameters<Enforcer['run']>;
const enforces: Place<HostParts> = (bug, { enforcer, clock }) => ({
  enforcer: over<Enforcer>(enforcer, { run: (...args: Run) => bug(() => enforcer.run(...args), clock) }),
});
const answers: Place<HostParts> = (bug, { enforcer, clock }) => ({
  enforcer: over<Enforcer>(enforcer, {
    run: (...[bundle, calls, done]: Run) =>
      enforcer.run(bundle, calls, (said) => bug(() => done(said), clock)),
  }),
});
const events: Place<HostParts> = (bug, { enforcer, clock }) => ({
  enforcer: over<Enforcer>(enforcer, {
    onEvent: (listener: Parameters<Enforcer['onEvent']>[0]) =>
      enforcer.onEvent((event) => bug(() => listener(event), clock)),
  }),
});
const acknowledges =
  (name: 'acknowledgeStart' | 'acknowledgeExit'): Place<HostParts> =>
  (bug, { enforcer, clock }) => ({
    enforcer: over<Enforcer>(enforcer, { [name]: (vm: VmId) => bug(() => enforcer[name](vm), clock) }),
  });
const records =
  (...names: readonly ('writeBundle' | 'writeRegistry')[]): Place<HostParts> =>
  (bug, { table, freshTable, clock }) => {
    const over_ = (of: HostTable) =>
      over<HostTable>(
        of,
        Object.fromEntries(
          names.map((name) => [
            name,
            (...args: never[]) => bug(() => (of[name] as (...all: never[]) => void).apply(of, args), clock),
          ]),
        ),
      );
    return { table: table && over_(table), freshTable: () => over_(freshTable()) };
  };
const bounds: Place<HostParts> = (bug, { bounds: record, clock }) => ({
  bounds: {
    found: record.found,
    write: (bytes, done) => record.write(bytes, (fault) => bug(() => done(fault), clock)),
  },
});
const forgets: Place<HostParts> = (bug, { link, clock }) => ({
  link: over<Link>(link, { forget: (vm: VmId) => bug(() => link.forget(vm), clock) }),
});
type Hook = Parameters<DriverHooks['run']>;
const hooks: Place<AgentParts> = (bug, { hooks: own, clock }) => ({
  hooks: over<DriverHooks>(own, { run: (...args: Hook) => bug(() => own.run(...args), clock) }),
});
const hookResults: Place<AgentParts> = (bug, { hooks: own, clock }) => ({
  hooks: over<DriverHooks>(own, {
    run: (...[bundle, hook, epoch, done]: Hook) =>
      own.run(bundle, hook, epoch, (result) => bug(() => done(result), clock)),
  }),
});
/** What is lost is said to have gone well. */
const hooksUnrun: Place<AgentParts> = (bug, { hooks: own, clock }) => ({
  hooks: over<DriverHooks>(own, {
    run: (...[bundle, hook, epoch, done]: Hook) => {
      let isRun = false;
      bug(() => {
        isRun = true;
        own.run(bundle, hook, epoch, done);
      }, clock);
      if (!isRun) clock.after(1, () => done({ ok: true }));
    },
  }),
});
const decisions: Place<AgentParts> = (bug, { policy, clock }) => ({
  policy: (question, done) => policy(question, (decision) => bug(() => done(decision), clock)),
});

const atHost = (place: Place<HostParts>, make: () => Bug): Controls => ({
  hostParts: (parts) => ({ ...parts, ...place(make(), parts) }),
});
const atAgents = (place: Place<AgentParts>, make: () => Bug): Controls => ({
  agentParts: (parts) => ({ ...parts, ...place(make(), parts) }),
});

const fault = (kind: Fault['kind'], phase: Fault['phase'], fields: Partial<Fault> = {}): Fault => ({
  kind,
  phase,
  bundle: PANEL.id,
  passes: 1,
  delayMs: 0,
  forMs: 300,
  vm: VAULT,
  effects: 1,
  ...fields,
});
/** What goes wrong besides: incarnations end while they hold, and hosts in the middle of a move. */
const FAULTS: readonly Fault[] = [
  fault('a VM ends', 'borrower holds'),
  fault('the host dies', 'clean'),
  fault('a VM ends', 'owner holds', { bundle: BUNDLES[1]!.id, passes: 2 }),
  fault('frames are lost', 'grant', { passes: 2 }),
];

interface Planted {
  readonly name: string;
  readonly controls: Controls;
  /** All comes to rest all the same. */
  readonly rests?: true;
}

const BUGS: readonly Planted[] = [
  { name: 'the host loses messages that it is to send', controls: atHost(sends, lost(3)), rests: true },
  { name: 'the host sends everything twice', controls: atHost(sends, twice()), rests: true },
  { name: 'the host sends late', controls: atHost(sends, late(30)) },
  { name: 'the host sends in another order', controls: atHost(sends, swapped(3)) },
  { name: 'the host loses messages that came', controls: atHost(hears('onMessage'), lost(3)), rests: true },
  {
    name: 'the host takes in each message twice',
    controls: atHost(hears('onMessage'), twice()),
    rests: true,
  },
  { name: 'the host takes in messages in another order', controls: atHost(hears('onMessage'), swapped(3)) },
  { name: 'the host loses orders to the enforcer', controls: atHost(enforces, lost(7)) },
  {
    name: 'the host gives each order to the enforcer twice',
    controls: atHost(enforces, twice()),
    rests: true,
  },
  { name: 'the host gives orders to the enforcer late', controls: atHost(enforces, late(20)) },
  { name: 'the host loses answers of the enforcer', controls: atHost(answers, lost(7)) },
  { name: 'the host takes in each answer twice', controls: atHost(answers, twice()), rests: true },
  { name: 'the host takes in answers after their time', controls: atHost(answers, belated(9, 2_500)) },
  { name: 'the host loses starts and ends of VMs', controls: atHost(events, lost(3)) },
  { name: 'the host takes in each start and end twice', controls: atHost(events, twice()) },
  { name: 'the host takes in starts and ends late', controls: atHost(events, late(40)) },
  { name: 'the host lets no second VM run', controls: atHost(acknowledges('acknowledgeStart'), lost(2)) },
  { name: 'the host frees no VM', controls: atHost(acknowledges('acknowledgeExit'), lost(1)) },
  {
    name: 'the host frees each VM twice',
    controls: atHost(acknowledges('acknowledgeExit'), twice()),
    rests: true,
  },
  { name: 'the host loses records of bundles', controls: atHost(records('writeBundle'), lost(2)) },
  { name: 'the host loses records of VMs', controls: atHost(records('writeRegistry'), lost(2)) },
  {
    name: 'the host writes each record twice',
    controls: atHost(records('writeBundle', 'writeRegistry'), twice()),
  },
  { name: 'the host keeps sessions of VMs that ended', controls: atHost(forgets, lost(1)) },
  { name: 'the host is not told that its bounds are durable', controls: atHost(bounds, lost(1)) },
  {
    name: 'the host is told twice that its bounds are durable',
    controls: atHost(bounds, twice()),
    rests: true,
  },
  { name: 'timers of the host do not run out', controls: atHost(times, lost(3)) },
  { name: 'timers of the host run out twice', controls: atHost(times, twice()) },
  { name: 'timers of the host run out for others', controls: atHost(times, swapped(2)) },
  { name: 'agents lose messages that they are to send', controls: atAgents(sends, lost(3)) },
  { name: 'agents send everything twice', controls: atAgents(sends, twice()), rests: true },
  { name: 'agents do not hear of sessions', controls: atAgents(hears('onUp'), lost(2)) },
  { name: 'agents take in messages in another order', controls: atAgents(hears('onMessage'), swapped(3)) },
  { name: 'agents run no hook', controls: atAgents(hooks, lost(1)) },
  { name: 'agents hear of the end of hooks that did not run', controls: atAgents(hooksUnrun, lost(2)) },
  { name: 'agents run each hook twice', controls: atAgents(hooks, twice()) },
  { name: 'agents do not hear of the end of hooks', controls: atAgents(hookResults, lost(3)) },
  { name: 'agents hear of the end of hooks twice', controls: atAgents(hookResults, twice()), rests: true },
  { name: 'agents hear of decisions twice', controls: atAgents(decisions, twice()), rests: true },
  { name: 'timers of agents do not run out', controls: atAgents(times, lost(3)) },
  { name: 'timers of agents run out for others', controls: atAgents(times, swapped(2)) },
];

let handovers = 0;
let seeds = 0;
async function played(controls: Controls): Promise<Outcome> {
  seeds += 1;
  const outcome = await play({ seed: seeds, faults: FAULTS, wishesMs: WISHES_MS }, false, controls);
  handovers += outcome.begun;
  return outcome;
}
const textsOf = ({ findings }: Outcome, property: RegExp) =>
  findings
    .filter((each) => property.test(each.property))
    .map(({ property: name, text }) => `${name}: ${text}`);

describe('nobody reaches what is not his when', () => {
  it.each(BUGS)(
    '$name',
    async ({ controls, rests }) => {
      planted = 0;
      const outcome = await played({ ...controls, restMs: rests ? REST_MS : 0 });
      expect(textsOf(outcome, BROKEN)).toEqual([]);
      expect(planted).toBeGreaterThan(0);
      if (rests) expect(textsOf(outcome, /^L1$/)).toEqual([]);
    },
    paced(10_000),
  );

  it('that is so over a few hundred handovers', () => {
    expect(handovers).toBeGreaterThan(300);
  });
});

const isOf = (calls: readonly EnforcerCall[], op: EnforcerCall['op']) => calls[0]?.op === op;
/** What a driver may not do: each breaks what the others do not. */
const HARMFUL: readonly (readonly [string, Place<HostParts>])[] = [
  [
    'the host is told that a fence is done which was not',
    (_, { enforcer }) => ({
      enforcer: over<Enforcer>(enforcer, {
        run: (...[bundle, calls, done]: Run) =>
          isOf(calls, 'fence')
            ? done(calls.map((): EnforcerAnswer => ({ ok: true })))
            : enforcer.run(bundle, calls, done),
      }),
    }),
  ],
  [
    'a grant is carried out once more, after the next clean',
    (_, { enforcer }) => {
      const grants = new Map<BundleId, readonly EnforcerCall[]>();
      const run = (...[bundle, calls, done]: Run) => {
        const again = grants.get(bundle);
        if (isOf(calls, 'grant')) grants.set(bundle, calls);
        enforcer.run(bundle, calls, (said) => {
          if (isOf(calls, 'reset') && again) enforcer.run(bundle, again, () => done(said));
          else done(said);
        });
      };
      return { enforcer: over<Enforcer>(enforcer, { run }) };
    },
  ],
  [
    'a VM is freed when it ends',
    (_, { enforcer }) => ({
      enforcer: over<Enforcer>(enforcer, {
        onEvent: (listener: Parameters<Enforcer['onEvent']>[0]) =>
          enforcer.onEvent((event) => {
            if (event.kind === 'vmExited') enforcer.acknowledgeExit(event.vm);
            listener(event);
          }),
      }),
    }),
  ],
];

describe('the judge finds that', () => {
  it.each(HARMFUL.map(([name, place]) => ({ name, place })))(
    '$name',
    async ({ place }) => {
      const found: string[] = [];
      for (let run = 0; run < RUNS && found.length === 0; run++)
        found.push(...textsOf(await played({ ...atHost(place, twice()), restMs: 0 }), BROKEN));
      expect(found.length).toBeGreaterThan(0);
    },
    paced(10_000),
  );
});
