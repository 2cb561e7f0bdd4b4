/** Everything that may happen next in a world, and the fair schedule in which nothing more goes wrong. */

import type { BorrowTerms } from '../../src/core/agent/agent-io.ts';
import { initialBorrower } from '../../src/core/agent/borrower-state.ts';
import { initialOwner } from '../../src/core/agent/owner-state.ts';
import type { HostInput } from '../../src/core/host/host-state.ts';
import { HOST, type Incarnation, type VmId } from '../../src/core/protocol/ids.ts';
import { Violation } from './properties.ts';
import { type AgentName, B, O, SETTINGS, VM_OF } from './settings.ts';
import {
  type Budget,
  crashHost,
  type Envelope,
  feedAgent,
  feedHost,
  restartHost,
  runCall,
  runOrphan,
  type World,
} from './world.ts';

/** One thing that may happen. */
export interface Move {
  readonly label: string;
  readonly to: () => World;
}

const terms = ({ budget }: World): BorrowTerms => ({
  purpose: 'pin',
  leaseMs: SETTINGS.present.ownTerms ? 30 + budget.borrow : 30,
  minTenureMs: SETTINGS.present.minTenureMs,
  noticeMs: 5,
  waitMs: 10,
  evidence: 'observed',
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
      to: () => feedAgent(spend(world, 'borrow'), 'b', { on: 'borrow', terms: terms(world), fresh: true }),
    });
  }
  if (budget.giveBack > 0 && world.b.state) {
    moves.push({ label: 'return', to: () => feedAgent(spend(world, 'giveBack'), 'b', { on: 'return' }) });
  }
  if (budget.recall > 0 && world.o.state) {
    moves.push({
      label: 'recall',
      to: () => feedAgent(spend(world, 'recall'), 'o', { on: 'recall', graceMs: 1, force: true }),
    });
  }
  if (budget.lift > 0 && host)
    moves.push({ label: 'lift', to: () => feedHost(spend(world, 'lift'), { on: 'lift', nowMs: 0 }) });
  moves.push(...orphanMoves(world));
  if (!host) {
    if (!world.orphan || !SETTINGS.present.waits)
      moves.push({ label: 'host restarts', to: () => restartHost(world) });
  } else {
    if (budget.crashHost > 0) {
      moves.push({ label: 'host dies', to: () => crashHost(spend(world, 'crashHost'), false) });
      if (world.durable !== world.disk)
        moves.push({
          label: 'host dies with what was not synced',
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
  const dead = {
    ...world[name],
    state: undefined,
    timers: [],
    hook: undefined,
    inspecting: false,
    driverActive: false,
  };
  const next: World = {
    ...world,
    [name]: dead,
    running: world.running.filter((other) => other !== vm),
    exiting: [...world.exiting, vm],
    net: world.net.filter(({ from, to }) => from !== vm && to !== vm),
  };
  return feedHost(next, { on: 'vmExited', vm, nowMs: 0 });
}

function startVm(world: World, name: AgentName): World {
  const vm = VM_OF[name];
  const incarnation = (world.lives[vm]! + 1) as Incarnation;
  const next: World = {
    ...world,
    lives: { ...world.lives, [vm]: incarnation },
    running: [...world.running, vm].sort(),
  };
  return restartAgent(feedHost(next, { on: 'vmStarted', vm, incarnation, nowMs: 0 }), name);
}

function crashAgent(world: World, name: AgentName): World {
  const vm = VM_OF[name];
  const dead = { ...world[name], state: undefined, timers: [], hook: undefined, inspecting: false };
  return {
    ...world,
    [name]: dead,
    net: world.net.filter(({ from, to }) => from !== vm && to !== vm),
  } as World;
}

function restartAgent(world: World, name: AgentName): World {
  const state = name === 'o' ? initialOwner() : initialBorrower();
  return feedAgent({ ...world, [name]: { ...world[name], state } } as World, name, { on: 'start' });
}

function agentMoves(world: World, name: AgentName): Move[] {
  const agent = world[name];
  const { budget } = world;
  const moves: Move[] = [];
  if (!agent.state) {
    if (world.running.includes(VM_OF[name]))
      moves.push({ label: `agent ${name} restarts`, to: () => restartAgent(world, name) });
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
  return feedAgent({ ...world, [name]: { ...agent, inspecting: false } } as World, name, {
    on: 'driverInspected',
    status,
  });
}

function hookDone(world: World, name: AgentName, ok: boolean): World {
  const agent = world[name];
  const hook = agent.hook!.name;
  const driverActive = ok && hook !== 'prepare' ? hook === 'resume' : agent.driverActive;
  const next = { ...world, [name]: { ...agent, hook: undefined, driverActive } } as World;
  const result = ok ? ({ ok: true } as const) : ({ ok: false, outcome: 'failed', error: 'model' } as const);
  return feedAgent(next, name, { on: 'hookDone', hook, result });
}

function fireAgent(world: World, name: AgentName, timer: string): World {
  const agent = world[name];
  const next = { ...world, [name]: { ...agent, timers: agent.timers.filter((t) => t !== timer) } } as World;
  return feedAgent(next, name, { on: `timer:${timer}` } as never);
}

function fireHost(world: World, timer: string): World {
  const next = { ...world, hostTimers: world.hostTimers.filter((t) => t !== timer) };
  return feedHost(next, { on: `timer:${timer}`, nowMs: 0 } as HostInput);
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

function deliver(world: World, { from, to, message }: Envelope, effectsMax?: number): World {
  if (to !== HOST) {
    const name: AgentName = to === O ? 'o' : 'b';
    return feedAgent(world, name, { on: message.kind, from, message } as never);
  }
  if (message.kind !== 'prepare')
    return feedHost(world, { on: message.kind, from, message, nowMs: 0 } as HostInput, effectsMax);
  const claims = message.consent as never as { stamp: Uint8Array };
  const consent = { claims, sameBoot: claims.stamp[0] === world.hostBoot, ageMs: 0 };
  return feedHost(
    world,
    { on: 'prepare', from, message, consent, nowMs: 0 } as unknown as HostInput,
    effectsMax,
  );
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
    if (!agent.state && world.running.includes(VM_OF[name])) return restartAgent(world, name);
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
    `${world.orphan?.phase ?? '-'} | vms ${world.running} exiting ${world.exiting}`
  );
}
