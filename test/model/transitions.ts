/** Everything that may happen next in a world, and the fair schedule in which nothing more goes wrong. */

import type { BorrowTerms } from '../../src/core/agent/agent-io.ts';
import { HOST, type VmId } from '../../src/core/protocol/ids.ts';
import { Violation } from './properties.ts';
import { type AgentName, B, BUNDLE, C, O, SETTINGS, VM_OF } from './settings.ts';
import { thirdAsks, thirdTold } from './third.ts';
import { type Budget, claimsIn, type Envelope, tokenIn, type World } from './world.ts';
import { feedAgent, startAgent } from './world-agents.ts';
import { crashHost, feedHost, restartHost, runCall, runOrphan } from './world-host.ts';

/** Of every fact here: time stands still, and there is one bundle. */
const AT = { nowMs: 0, bundle: BUNDLE.id } as const;
/** What a renewal asks for: another lease than the first. */
export const RENEWED_MS = 50;
/** When a timer of the watch runs out: the host was not heard for that long. */
const SILENT_AT_MS = 10_000;

/** One thing that may happen. */
export interface Move {
  readonly label: string;
  readonly to: () => World;
}

const terms = ({ budget }: World): BorrowTerms => ({
  purpose: 'pin',
  leaseMs: SETTINGS.present.ownTerms ? 30 + budget.borrow : 30,
  minHoldMs: SETTINGS.present.minHoldMs,
  noticeMs: 5,
  waitMs: 10,
  evidence: 'observed',
  mayQueue: true,
});
const NAMES: readonly AgentName[] = ['o', 'b'];

function spend(world: World, name: keyof Budget): World {
  return { ...world, budget: { ...world.budget, [name]: world.budget[name] - 1 } };
}

/** Returns all moves of `world`. */
export function movesOf(world: World): Move[] {
  const moves: Move[] = [...deliveries(world), ...agentMoves(world, 'o'), ...agentMoves(world, 'b')];
  const { budget, host, job } = world;
  if (job) {
    moves.push({ label: `enforcer ${job.phase}`, to: () => runCall(world, false) });
    if (budget.failCall > 0)
      moves.push({ label: `enforcer fails ${job.phase}`, to: () => runCall(spend(world, 'failCall'), true) });
  }
  if (budget.borrow > 0 && world.b.state) {
    moves.push({
      label: 'borrow',
      to: () => feedAgent(spend(world, 'borrow'), 'b', { ...AT, on: 'borrow', terms: terms(world) }),
    });
  }
  if (budget.giveBack > 0 && world.b.state) {
    moves.push({
      label: 'return',
      to: () => feedAgent(spend(world, 'giveBack'), 'b', { ...AT, on: 'return' }),
    });
  }
  if (budget.third > 0 && world.o.state)
    moves.push({ label: 'the third VM asks', to: () => thirdAsks(spend(world, 'third'), budget.third) });
  if (budget.renew > 0 && world.b.state) {
    moves.push({
      label: 'renew',
      to: () => feedAgent(spend(world, 'renew'), 'b', { ...AT, on: 'renew', leaseMs: RENEWED_MS }),
    });
  }
  if (budget.recall > 0 && world.o.state) {
    moves.push({
      label: 'recall',
      to: () => feedAgent(spend(world, 'recall'), 'o', { ...AT, on: 'recall', graceMs: 1, force: true }),
    });
  }
  if (budget.lift > 0 && host)
    moves.push({ label: 'lift', to: () => feedHost(spend(world, 'lift'), { ...AT, on: 'lift' }) });
  moves.push(...orphanMoves(world));
  if (!host) {
    if (!world.orphan || !SETTINGS.present.waits)
      moves.push({ label: 'host restarts', to: () => restartHost(world) });
  } else {
    if (budget.crashHost > 0) {
      moves.push({ label: 'host dies', to: () => crashHost(spend(world, 'crashHost'), false) });
      if (world.older !== world.disk.state)
        moves.push({
          label: 'host dies and its last record is lost',
          to: () => crashHost(spend(world, 'crashHost'), true),
        });
    }
    if (budget.fire > 0) {
      for (const timer of world.hostTimers) {
        moves.push({ label: `host timer ${timer}`, to: () => fireHost(spend(world, 'fire'), timer) });
      }
    }
    for (const vm of [O, B]) moves.push(...lifeMoves(world, vm));
  }
  return moves;
}

/** What a dead host ordered goes on, unless who is to start the next one kills it. */
function orphanMoves(world: World): Move[] {
  const { orphan, host } = world;
  if (!orphan) return [];
  const moves: Move[] = [{ label: `orphaned ${orphan.phase}`, to: () => runOrphan(world) }];
  if (!host)
    moves.push({ label: `orphaned ${orphan.phase} is killed`, to: () => ({ ...world, orphan: undefined }) });
  return moves;
}

function lifeMoves(world: World, vm: VmId): Move[] {
  const name: AgentName = vm === O ? 'o' : 'b';
  if (world.running.includes(vm)) {
    if (world.budget.exit === 0) return [];
    return [{ label: `${vm} exits`, to: () => exitVm(spend(world, 'exit'), name) }];
  }
  if (world.exiting.includes(vm)) return [];
  return [{ label: `${vm} starts`, to: () => startVm(world, name) }];
}

function exitVm(world: World, name: AgentName): World {
  const vm = VM_OF[name];
  const next = crashAgent({ ...world, [name]: { ...world[name], driverActive: false } } as World, name);
  return feedHost(
    {
      ...next,
      running: next.running.filter((other) => other !== vm),
      starting: next.starting.filter((other) => other !== vm),
      exiting: [...next.exiting, vm],
    },
    { on: 'vmExited', nowMs: 0, vm },
  );
}

/** A VM is about to run: its agent starts once the host lets it. */
function startVm(world: World, name: AgentName): World {
  const vm = VM_OF[name];
  const next = { ...world, running: [...world.running, vm].sort(), starting: [...world.starting, vm] };
  return feedHost(next, { on: 'vmStarting', nowMs: 0, vm });
}

function crashAgent(world: World, name: AgentName): World {
  const vm = VM_OF[name];
  const dead = {
    ...world[name],
    endpoint: undefined,
    state: undefined,
    timers: [],
    hook: undefined,
    inspecting: false,
  };
  return {
    ...world,
    [name]: dead,
    net: world.net.filter(({ from, to }) => from !== vm && to !== vm),
  } as World;
}

/** Whether the VM of this agent runs, and not only waits to. */
const isRunning = (world: World, name: AgentName) =>
  world.running.includes(VM_OF[name]) && !world.starting.includes(VM_OF[name]);

function agentMoves(world: World, name: AgentName): Move[] {
  const agent = world[name];
  const { budget } = world;
  const moves: Move[] = [];
  if (!agent.state) {
    if (isRunning(world, name))
      moves.push({ label: `agent ${name} restarts`, to: () => startAgent(world, name) });
    return moves;
  }
  if (agent.inspecting) moves.push({ label: `${name} inspected`, to: () => inspected(world, name) });
  if (agent.hook) {
    moves.push({ label: `${name} ${agent.hook.name} done`, to: () => hookDone(world, name, true) });
    if (budget.hookFail > 0)
      moves.push({
        label: `${name} ${agent.hook.name} fails`,
        to: () => hookDone(spend(world, 'hookFail'), name, false),
      });
  }
  if (budget.fire > 0) {
    for (const timer of agent.timers)
      moves.push({ label: `${name} timer ${timer}`, to: () => fireAgent(spend(world, 'fire'), name, timer) });
  }
  if (budget.crashAgent > 0)
    moves.push({ label: `agent ${name} dies`, to: () => crashAgent(spend(world, 'crashAgent'), name) });
  return moves;
}

function inspected(world: World, name: AgentName): World {
  const agent = world[name];
  const status = agent.driverActive ? 'active' : 'suspended';
  const next = { ...world, [name]: { ...agent, inspecting: false } } as World;
  return feedAgent(next, name, { ...AT, on: 'driverInspected', status });
}

function hookDone(world: World, name: AgentName, ok: boolean): World {
  const agent = world[name];
  const hook = agent.hook!.name;
  const driverActive = ok && hook !== 'prepare' ? hook === 'resume' : agent.driverActive;
  const next = { ...world, [name]: { ...agent, hook: undefined, driverActive } } as World;
  const result = ok ? ({ ok: true } as const) : ({ ok: false, outcome: 'failed', error: 'model' } as const);
  return feedAgent(next, name, { ...AT, on: 'hookDone', hook, result });
}

/** Timers of an agent as a whole. */
const OWN_TIMERS: ReadonlySet<string> = new Set(['watch', 'sleep']);

function fireAgent(world: World, name: AgentName, timer: string): World {
  const agent = world[name];
  const next = { ...world, [name]: { ...agent, timers: agent.timers.filter((t) => t !== timer) } } as World;
  const bundle = OWN_TIMERS.has(timer) ? undefined : BUNDLE.id;
  const nowMs = timer === 'watch' ? SILENT_AT_MS : 0;
  return feedAgent(next, name, { on: 'timer', nowMs, bundle, timer, lateMs: 0 });
}

function fireHost(world: World, timer: string): World {
  const next = { ...world, hostTimers: world.hostTimers.filter((t) => t !== timer) };
  return feedHost(next, { ...AT, on: 'timer', timer, lateMs: 0 });
}

function deliveries(world: World): Move[] {
  const moves: Move[] = [];
  world.net.forEach((envelope, index) => {
    const rest = world.net.filter((_, i) => i !== index);
    const { kind } = envelope.message;
    const route = `${envelope.from}→${envelope.to} ${kind}`;
    moves.push({ label: route, to: () => deliver({ ...world, net: rest }, envelope) });
    if (world.budget.lose > 0)
      moves.push({ label: `lost ${route}`, to: () => ({ ...spend(world, 'lose'), net: rest }) });
    if (world.budget.duplicate > 0)
      moves.push({ label: `twice ${route}`, to: () => deliver(spend(world, 'duplicate'), envelope) });
    if (world.budget.crashHost > 0 && envelope.to === HOST) {
      for (const effects of [0, 1, 2]) {
        moves.push({
          label: `host dies after ${effects} effects of ${kind}`,
          to: () => deliver({ ...spend(world, 'crashHost'), net: rest }, envelope, effects),
        });
      }
    }
  });
  return moves;
}

function deliver(world: World, { from, to, message }: Envelope, ordersMax?: number): World {
  if (to === C) return thirdTold(world, { from, to, message });
  if (to !== HOST) {
    const name: AgentName = to === O ? 'o' : 'b';
    const token = from === HOST ? tokenIn(world) : undefined;
    return feedAgent(world, name, { on: 'message', nowMs: 0, from, message, token });
  }
  const isConsented = message.kind === 'prepare' || message.kind === 'renewLease';
  const claims = isConsented ? claimsIn(world, message.consent) : undefined;
  return feedHost(world, { on: 'message', nowMs: 0, from, message, claims }, ordersMax);
}

/** Whether everything has come to rest as it should once faults stop. */
function isSettled(world: World): boolean {
  const { host, o, b } = world;
  if (
    !host ||
    world.net.length > 0 ||
    world.job ||
    world.orphan ||
    o.hook ||
    b.hook ||
    o.inspecting ||
    b.inspecting
  )
    return false;
  if (b.state && b.state.name !== 'idle') return false;
  // A driver whose suspend hook failed reaches nothing; the agent says so and leaves the rest to people.
  if (b.driverActive && b.state?.driver !== 'unknown') return false;
  if (host.name === 'quarantined') return o.state === undefined || o.state.name === 'quarantined';
  if (host.name === 'parked') return !world.running.includes(O);
  return (
    host.name === 'held' &&
    host.holder!.vm === O &&
    host.holder!.confirmed &&
    o.state?.name === 'held' &&
    o.driverActive
  );
}

/** Steps of the fair schedule after which a world that has not settled counts as stuck. */
const FAIR_STEPS_MAX = 400;

/** Runs on without faults until all is at rest: a start for searches that are not about starting. */
export function settled(start: World, budget: Budget): World {
  let world = start;
  const turn = { of: 0 };
  for (let steps = 0; steps < FAIR_STEPS_MAX && !isSettled(world); steps++) world = fairStep(world, turn);
  return { ...world, budget };
}

/** Runs on without faults until `isEnough`, or until all is at rest; returns what it came to. */
export function runOn(start: World, isEnough: (world: World) => boolean = () => false): World {
  let world = start;
  const turn = { of: 0 };
  for (let steps = 0; !isEnough(world) && !isSettled(world); steps++) {
    if (steps === FAIR_STEPS_MAX) throw new Violation(`L1: not at rest: ${describeWorld(world)}`);
    world = fairStep(world, turn);
  }
  return world;
}

/** L1: runs on without further faults until all is at rest. Calls `visit` on the way; it may end the run. */
export function runFairly(start: World, isKnown: (world: World) => boolean): void {
  const calm = { ...start.budget };
  for (const name of Object.keys(calm) as (keyof Budget)[]) (calm as Record<string, number>)[name] = 0;
  let world: World = { ...start, budget: calm };
  const turn = { of: 0 };
  for (let steps = 0; steps < FAIR_STEPS_MAX; steps++) {
    if (isKnown(world)) return;
    if (isSettled(world)) return;
    world = fairStep(world, turn);
  }
  throw new Violation(`L1: not at rest after ${FAIR_STEPS_MAX} fair steps: ${describeWorld(world)}`);
}

function fairStep(world: World, turn: { of: number }): World {
  if (world.orphan) return runOrphan(world);
  if (!world.host) return restartHost(world);
  for (const name of NAMES) {
    const agent = world[name];
    if (!agent.state && isRunning(world, name)) return startAgent(world, name);
    if (agent.inspecting) return inspected(world, name);
    if (agent.hook) return hookDone(world, name, true);
  }
  if (world.job) return runCall(world, false);
  const [first, ...rest] = world.net;
  if (first) return deliver({ ...world, net: rest }, first);
  const timers = [
    ...world.o.timers.map((timer) => () => fireAgent(world, 'o', timer)),
    ...world.b.timers.map((timer) => () => fireAgent(world, 'b', timer)),
    ...world.hostTimers.map((timer) => () => fireHost(world, timer)),
  ];
  if (timers.length === 0) throw new Violation(`L1: stuck, no timer runs: ${describeWorld(world)}`);
  turn.of += 1;
  return timers[turn.of % timers.length]!();
}

/** One line about a world, for reports. */
export function describeWorld(world: World): string {
  const { o, b, host } = world;
  const agent = (a: World['o'] | World['b']) =>
    `${a.state?.name ?? 'dead'}${a.driverActive ? '*' : ''}@${a.state?.epoch ?? '-'}` +
    `${a.hook ? ` hook ${a.hook.name}` : ''} [${a.timers}]`;
  const net = world.net.map(({ from, to, message }) => `${from}>${to}:${message.kind}`).join(' ');
  const holder = host?.holder ? `${host.holder.vm}#${host.holder.incarnation}@${host.holder.epoch}` : '-';
  const attempt = host?.attempt ? `${host.attempt.cause}/${host.attempt.phase}@${host.attempt.epoch}` : '-';
  return (
    `host ${host?.name ?? 'dead'} ${holder} ${attempt} [${world.hostTimers}] | o ${agent(o)} | ` +
    `b ${agent(b)} | net ${net} | job ${world.job?.phase ?? '-'} orphan ` +
    `${world.orphan?.phase ?? '-'} | vms ${world.running} starting ${world.starting} exiting ${world.exiting}`
  );
}
