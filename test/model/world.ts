/**
 * The whole protocol as one value: two agents, the host, the network between them, the drivers, the machine's
 * tables and what is on disk. The explicit-state checker walks over it.
 *
 * The endpoints are the product's own, and nothing of them is done again here. The rest is the smallest model of a
 * world that can go wrong. Time does not pass: any timer that runs may fire.
 */

import type { AgentBundle, AgentEndpointState } from '../../src/core/agent/agent-endpoint-state.ts';
import type { AgentFact, AgentOrder } from '../../src/core/agent/agent-facts.ts';
import type { BorrowerState } from '../../src/core/agent/borrower-state.ts';
import { renewalMessage, requestMessage } from '../../src/core/agent/consent-messages.ts';
import type { OwnerState } from '../../src/core/agent/owner-state.ts';
import { type Bounds, boundsAt } from '../../src/core/host/bounds.ts';
import type { HostEndpointState } from '../../src/core/host/host-endpoint-state.ts';
import type { HostFact, HostOrder } from '../../src/core/host/host-facts.ts';
import type { HostState, RemapPhase } from '../../src/core/host/host-state.ts';
import { makeHostTime } from '../../src/core/host/host-time.ts';
import { type Epoch, HOST, type Incarnation, type VmId } from '../../src/core/protocol/ids.ts';
import type { ConsentClaims } from '../../src/core/protocol/message-parts.ts';
import type { Message } from '../../src/core/protocol/messages.ts';
import type { EnforcerCall } from '../../src/ports/enforcer.ts';
import type { HookName } from '../../src/ports/world.ts';
import {
  answer,
  applyCall,
  checkGrant,
  checkHostStep,
  checkResume,
  checkResumed,
  type Reachable,
  Violation,
} from './properties.ts';
import {
  type AgentName,
  B,
  BROKEN,
  BUNDLE,
  C,
  endpoints,
  isTimeless,
  O,
  RESOURCES,
  SETTINGS,
  VM_OF,
} from './settings.ts';

export interface Envelope {
  readonly from: VmId;
  readonly to: VmId;
  readonly message: Message;
}

/** An agent process with its driver. */
export interface AgentWorld<S> {
  /** Undefined: the process, or the whole VM, is dead. */
  readonly endpoint: AgentEndpointState | undefined;
  /** Of the endpoint, that of the bundle. */
  readonly state: S | undefined;
  readonly timers: readonly string[];
  /** The hook that runs, with its epoch. */
  readonly hook: { readonly name: HookName; readonly epoch: Epoch } | undefined;
  readonly inspecting: boolean;
  /** What the driver really does. */
  readonly driverActive: boolean;
}

/** A phase with the calls of it that are left. */
export interface Job {
  readonly phase: RemapPhase;
  readonly epoch: Epoch;
  readonly to: VmId | undefined;
  readonly calls: readonly EnforcerCall[];
  readonly left: readonly EnforcerCall[];
}

/** What a host that starts finds. */
export interface Disk {
  readonly state: HostState;
  readonly bounds: Bounds;
}

export interface World {
  readonly o: AgentWorld<OwnerState>;
  readonly b: AgentWorld<BorrowerState>;
  readonly endpoint: HostEndpointState | undefined;
  /** Of the endpoint, that of the bundle. */
  readonly host: HostState | undefined;
  readonly hostTimers: readonly string[];
  /** The host's boot: its timestamp tokens name it. */
  readonly hostBoot: number;
  readonly disk: Disk;
  /** The record before the last one: what is found when that was lost. */
  readonly older: HostState;
  readonly net: readonly Envelope[];
  readonly machine: readonly Reachable[];
  /** The running phase. */
  readonly job: Job | undefined;
  /** What a host that died had ordered: the enforcer goes on with it, and answers nobody. */
  readonly orphan: Job | undefined;
  readonly incarnations: Readonly<Record<string, Incarnation>>;
  readonly running: readonly VmId[];
  /** VMs that wait for their first instruction. */
  readonly starting: readonly VmId[];
  /** VMs whose exit the host has not let go of. */
  readonly exiting: readonly VmId[];
  /** Highest epoch ever allocated, who was made holder when, what was rejected: for the properties only. */
  readonly ghost: {
    readonly epoch: number;
    readonly grants: Readonly<Record<number, string>>;
    /** The epoch whose evidence the borrower rejected last. */
    readonly rejected: number;
  };
  /** What may still go wrong or be wanted. */
  readonly budget: Budget;
}

/** How often each thing may still happen. */
export interface Budget {
  readonly borrow: number;
  readonly giveBack: number;
  /** Requests by the third VM. */
  readonly third: number;
  readonly renew: number;
  readonly recall: number;
  readonly lose: number;
  readonly duplicate: number;
  readonly fire: number;
  readonly crashAgent: number;
  readonly crashHost: number;
  readonly exit: number;
  readonly failCall: number;
  readonly hookFail: number;
  readonly lift: number;
}

/** Nothing unusual happens. */
export const NONE: Budget = {
  borrow: 0,
  giveBack: 0,
  third: 0,
  renew: 0,
  recall: 0,
  lose: 0,
  duplicate: 0,
  fire: 0,
  crashAgent: 0,
  crashHost: 0,
  exit: 0,
  failCall: 0,
  hookFail: 0,
  lift: 0,
};

/** Rows that ever fired: the checker's coverage. */
export const seen = new Set<string>();

const LIVES = { [O]: 1 as Incarnation, [B]: 1 as Incarnation };
const BOUNDS = boundsAt('0'.repeat(16), 'boot', 0, 0);
const DEAD = {
  endpoint: undefined,
  state: undefined,
  timers: [],
  hook: undefined,
  inspecting: false,
} as const;

/** A machine that just booted: the owner VM runs with its driver active, all have still to start. */
function emptyWorld(budget: Budget): World {
  const nobody = (driverActive: boolean) => ({ ...DEAD, driverActive });
  return {
    o: nobody(true),
    b: nobody(false),
    endpoint: undefined,
    host: undefined,
    hostTimers: [],
    hostBoot: 0,
    disk: { state: undefined as never, bounds: BOUNDS },
    older: undefined as never,
    net: [],
    machine: RESOURCES.map(() => ({ now: undefined, stale: undefined })),
    job: undefined,
    orphan: undefined,
    incarnations: SETTINGS.present.third ? { ...LIVES, [C]: 1 as Incarnation } : LIVES,
    running: SETTINGS.present.third ? [O, C, B] : [O, B],
    starting: [],
    exiting: [],
    ghost: { epoch: 0, grants: {}, rejected: 0 },
    budget,
  };
}

/** The host has given the bundle to its owner, under epoch 1, and both agents are about to start. */
export function initialWorld(budget: Budget): World {
  let world = startHost(emptyWorld(budget), undefined);
  while (world.job) world = runCall(world, false);
  const confirm: Message = { kind: 'confirm', bundle: BUNDLE.id, epoch: 1 as Epoch };
  world = feedHost(world, { on: 'message', nowMs: 0, from: O, message: confirm });
  return startAgent(startAgent({ ...world, net: [], older: world.disk.state }, 'o'), 'b');
}

/** An agent process starts. */
export function startAgent(world: World, name: AgentName): World {
  const { agents } = endpoints();
  const endpoint = agents[name].initial();
  const next = { ...world, [name]: { ...world[name], endpoint, state: bundleIn(endpoint).state } } as World;
  return feedAgent(next, name, { on: 'start', nowMs: 0 });
}

function bundleIn(endpoint: AgentEndpointState): AgentBundle {
  return endpoint.bundles[BUNDLE.id]!;
}

/** What a fact brings about at an agent: it depends on the agent and the fact alone. */
interface AgentStep {
  readonly agent: AgentWorld<OwnerState | BorrowerState>;
  readonly sent: readonly Envelope[];
  /** Epochs at which it begins to resume. */
  readonly resumes: readonly Epoch[];
  /** The epoch whose evidence the borrower rejects. */
  readonly rejected: number | undefined;
}

/** Feeds a fact to an agent, and what its orders bring at once, one after the other. */
export function feedAgent(world: World, name: AgentName, fact: AgentFact): World {
  const agent = world[name];
  if (!agent.endpoint) return world;
  const { memo } = endpoints();
  const key = `${name}${memo.numberOf(agent)}${memo.textOf(fact)}`;
  const step = memo.result(key, () => stepAgent(agent as AgentWorld<OwnerState>, name, fact));
  for (const epoch of step.resumes) checkResume(world, name, epoch);
  const { ghost } = world;
  const { rejected = ghost.rejected } = step;
  const next = { ...world, [name]: step.agent } as World;
  return step.sent.reduce(
    send,
    rejected === ghost.rejected ? next : { ...next, ghost: { ...ghost, rejected } },
  );
}

function stepAgent(start: AgentWorld<OwnerState>, name: AgentName, first: AgentFact): AgentStep {
  const endpoint = endpoints().agents[name];
  const facts = [first];
  const told: Told = { sent: [], resumes: [], rejected: undefined };
  let agent = start;
  for (let i = 0; i < facts.length; i++) {
    endpoint.state = agent.endpoint!;
    const orders = endpoint.step(facts[i]!);
    const { state: after } = endpoint;
    agent = { ...agent, endpoint: after, state: bundleIn(after).state as OwnerState };
    for (const order of orders) agent = performAgent(agent, name, order, told, (more) => facts.push(more));
  }
  return { ...told, agent: endpoints().memo.one(agent) };
}

/** What an agent's orders bring about outside of it. */
interface Told {
  readonly sent: Envelope[];
  readonly resumes: Epoch[];
  rejected: number | undefined;
}

function performAgent(
  agent: AgentWorld<OwnerState>,
  name: AgentName,
  order: AgentOrder,
  told: Told,
  feed: (fact: AgentFact) => void,
): AgentWorld<OwnerState> {
  switch (order.do) {
    case 'send': {
      const { message, to } = order;
      if (message.kind === 'reject' && name === 'b') told.rejected = message.epoch;
      told.sent.push(envelopeOf(VM_OF[name], to, message));
      return agent;
    }
    case 'request':
      told.sent.push(envelopeOf(B, order.owner, requestMessage(order, consentOf(order.claims))));
      return agent;
    case 'requestRenewal':
      told.sent.push(envelopeOf(B, order.owner, renewalMessage(order, consentOf(order.claims))));
      return agent;
    case 'decide': {
      const { request: number, question } = order;
      const decision = { allow: true } as const;
      feed({ on: 'policyDecided', nowMs: 0, bundle: question.bundle, request: number, decision });
      return agent;
    }
    case 'hook':
      if (agent.hook)
        throw new Violation(`two hooks at once in ${name}: ${agent.hook.name} and ${order.hook}`);
      if (order.hook === 'resume') {
        checkResumed(name, agent.state!, order.epoch);
        told.resumes.push(order.epoch);
      }
      return { ...agent, hook: { name: order.hook, epoch: order.epoch } };
    case 'inspect':
      return { ...agent, inspecting: true };
    case 'timer':
      if (isTimeless(name, order.timer)) return agent;
      return { ...agent, timers: [...new Set([...agent.timers, order.timer])].sort() };
    case 'stopTimer':
      return agent.timers.includes(order.timer)
        ? { ...agent, timers: agent.timers.filter((timer) => timer !== order.timer) }
        : agent;
    case 'step':
      for (const row of order.rows) seen.add(`${name}:${row}`);
      return agent;
    default:
      return agent;
  }
}

/** A consent is its claims here. */
export const consentOf = (claims: ConsentClaims) => Object.assign(Uint8Array.of(0), { claims });

/** Equal ones are one. */
export const envelopeOf = (from: VmId, to: VmId, message: Message): Envelope => {
  const { memo } = endpoints();
  return memo.one({ from, to, message: memo.one(message) });
};

export function send(world: World, envelope: Envelope): World {
  if (world.net.length >= SETTINGS.present.netMax) return world;
  return { ...world, net: [...world.net, envelope] };
}

/** Feeds a fact to the host, as feedAgent does. `ordersMax`: the process dies after so many of its orders. */
export function feedHost(world: World, fact: HostFact, ordersMax = Number.POSITIVE_INFINITY): World {
  const facts = [fact];
  let next = world;
  let done = 0;
  for (let i = 0; i < facts.length; i++) {
    if (!next.endpoint) return next;
    const before = next.host;
    const { orders, endpoint } = stepHost(next.endpoint, facts[i]!);
    const host = endpoint.bundles[BUNDLE.id];
    next = {
      ...next,
      endpoint,
      host,
      incarnations: merged(next.incarnations, endpoint.registry.incarnations),
    };
    if (host) {
      checkHostStep(next, before, host, facts[i]!);
      next = granted(next, before, host);
    }
    for (const order of orders) {
      if (done++ >= ordersMax) return crashHost(next, false);
      next = performHost(next, order, (more) => facts.push(more));
    }
  }
  return next;
}

/** What a fact brings about at the host: it depends on its endpoint and the fact alone. */
function stepHost(before: HostEndpointState, fact: HostFact): HostStep {
  const { host, memo } = endpoints();
  return memo.result(`h${memo.numberOf(before)}${memo.textOf(fact)}`, () => {
    host.state = before;
    const orders = host.step(fact);
    for (const order of orders) if (order.do === 'step') for (const row of order.rows) seen.add(`h:${row}`);
    // What is told to people leaves nothing behind.
    const lasting = orders.filter((order) => !NEWS.has(order.do));
    return { endpoint: memo.one(host.state), orders: lasting };
  });
}

interface HostStep {
  readonly endpoint: HostEndpointState;
  readonly orders: readonly HostOrder[];
}

/** Adds incarnations, where they are not there already. */
function merged(known: World['incarnations'], more: World['incarnations']): World['incarnations'] {
  return Object.entries(more).every(([vm, incarnation]) => known[vm] === incarnation)
    ? known
    : { ...known, ...more };
}

const NEWS: ReadonlySet<string> = new Set([
  'step',
  'audit',
  'handover',
  'phase',
  'vm',
  'drop',
  'fault',
  'strayFault',
]);

/** S4: an epoch makes one incarnation the holder, once and for all. */
function granted(world: World, before: HostState | undefined, after: HostState): World {
  if (after.name !== 'held' || before?.holder?.epoch === after.holder!.epoch) return world;
  const { vm, incarnation, epoch } = after.holder!;
  const { grants } = world.ghost;
  if (grants[epoch] !== undefined && grants[epoch] !== `${vm}#${incarnation}`)
    throw new Violation(`S4: epoch ${epoch} was granted to ${grants[epoch]} and to ${vm}#${incarnation}`);
  return { ...world, ghost: { ...world.ghost, grants: { ...grants, [epoch]: `${vm}#${incarnation}` } } };
}

function performHost(world: World, order: HostOrder, feed: (fact: HostFact) => void): World {
  switch (order.do) {
    case 'send':
      if (order.message.kind === 'heartbeat') return world;
      return send(allocated(world), envelopeOf(HOST, order.to, order.message));
    case 'record': {
      feed({ on: 'recorded', nowMs: 0, bundle: BUNDLE.id });
      if (BROKEN.present.isForgetful && world.disk.state) return world;
      const older = SETTINGS.present.losesRecords ? (world.disk.state ?? order.state) : order.state;
      return { ...world, disk: { ...world.disk, state: order.state }, older };
    }
    case 'recordVms':
      feed({ on: 'recorded', nowMs: 0, bundle: undefined });
      return world;
    case 'writeBounds':
      feed({ on: 'boundsWritten', nowMs: 0, bounds: order.bounds });
      if (BROKEN.present.isForgetful)
        return { ...world, disk: { ...world.disk, bounds: { ...order.bounds, epochs: 0 } } };
      return { ...world, disk: { ...world.disk, bounds: order.bounds } };
    case 'enforce': {
      const { phase, epoch, to, calls } = order;
      return { ...allocated(world), job: { phase, epoch, to, calls, left: calls } };
    }
    case 'timer':
      if (order.bundle === undefined || isTimeless('host', order.timer)) return world;
      return { ...world, hostTimers: [...new Set([...world.hostTimers, order.timer])].sort() };
    case 'stopTimer':
      if (!world.hostTimers.includes(order.timer)) return world;
      return { ...world, hostTimers: world.hostTimers.filter((timer) => timer !== order.timer) };
    case 'acknowledgeExit':
      return letGo(world, order.vm);
    case 'acknowledgeStart':
      return letRun(world, order.vm);
    case 'end':
      throw new Violation(`the host ends: ${order.reason}`);
    default:
      return world;
  }
}

/** An epoch counts as allocated once somebody may have seen it: an agent or the machine. */
function allocated(world: World): World {
  const { host, ghost } = world;
  return !host || host.epoch <= ghost.epoch ? world : { ...world, ghost: { ...ghost, epoch: host.epoch } };
}

/** M5: the VM's memory is free from here on; nothing may reach it or be reached by it. */
function letGo(world: World, vm: VmId): World {
  const reached = world.machine.some((r) => r.now === vm || r.stale === vm);
  if (reached) throw new Violation(`M5: the memory of ${vm} was freed while the bundle could reach it`);
  return { ...world, exiting: world.exiting.filter((other) => other !== vm) };
}

/** A VM runs its first instruction: its agent starts. */
function letRun(world: World, vm: VmId): World {
  if (!world.starting.includes(vm)) return world;
  const next = { ...world, starting: world.starting.filter((other) => other !== vm) };
  return startAgent(next, vm === O ? 'o' : 'b');
}

/** The host process dies: its messages and timers are gone, and with `loses` its last record. The enforcer goes on. */
export function crashHost(world: World, loses: boolean): World {
  const disk = loses ? { ...world.disk, state: world.older } : world.disk;
  return {
    ...world,
    endpoint: undefined,
    host: undefined,
    hostTimers: [],
    disk,
    older: disk.state,
    job: undefined,
    orphan: world.job ?? world.orphan,
    net: world.net.filter(({ from, to }) => from !== HOST && to !== HOST),
  };
}

/** The host process starts again and reads its table. */
export function restartHost(world: World): World {
  const started = startHost(world, world.disk);
  // What nobody let go of is reported again.
  const events = [
    ...world.exiting.map((vm) => ({ on: 'vmExited', nowMs: 0, vm }) as const),
    ...world.starting.map((vm) => ({ on: 'vmStarting', nowMs: 0, vm }) as const),
  ];
  const told = events.reduce((next, event) => feedHost(next, event), started);
  const up = { on: 'sessionUp', nowMs: 0, peer: HOST } as const;
  return feedAgent(feedAgent(told, 'o', up), 'b', up);
}

function startHost(world: World, disk: Disk | undefined): World {
  const registry = {
    machineBoot: 'boot',
    incarnations: world.incarnations as never,
    running: world.running,
    floor: 0,
  };
  const records = disk && { bundles: new Map([[BUNDLE.id, disk.state]]), registry };
  const found = {
    bounds: disk?.bounds,
    records,
    isFirst: disk === undefined,
    machineBoot: 'boot',
    running: world.running,
    freshTableId: BOUNDS.tableId,
  };
  const { host } = endpoints();
  const next: World = { ...world, endpoint: host.initial(), hostBoot: world.hostBoot + 1 };
  return feedHost(next, { on: 'start', nowMs: 0, found });
}

/** Timestamp tokens by the host's boot: time stands still. */
const TOKENS: Uint8Array[] = [];

/** The timestamp token of the host that runs. */
export function tokenIn({ hostBoot }: World): Uint8Array {
  TOKENS[hostBoot] ??= makeHostTime(new Uint8Array(8).fill(hostBoot), 0);
  return TOKENS[hostBoot];
}

/** The claims of a consent, as the host gets them: its token is of the boot of the host or it is not. */
export function claimsIn(world: World, consent: Uint8Array): ConsentClaims {
  const { claims } = consent as never as { claims: ConsentClaims };
  // The endpoint that is searched has one boot id, of zeros.
  const isOfBoot = claims.hostTime[0] === world.hostBoot;
  return { ...claims, hostTime: new Uint8Array(16).fill(isOfBoot ? 0 : 1, 0, 8) };
}

/** Carries out the next call of what a dead host ordered. */
export function runOrphan(world: World): World {
  const orphan = world.orphan!;
  const [call, ...left] = orphan.left;
  const machine = call ? applyCall(world.machine, call) : world.machine;
  if (call?.op === 'grant') checkGrant(machine, call.vm);
  return { ...world, machine, orphan: left.length > 0 ? { ...orphan, left } : undefined };
}

/** Carries out the next call of the running phase; the last one reports to the host. */
export function runCall(world: World, fail: boolean): World {
  const job = world.job!;
  const { phase, epoch, to } = job;
  const answered = { on: 'answers', nowMs: 0, bundle: BUNDLE.id, phase, epoch, to, faults: [] } as const;
  if (fail) {
    const answers = [{ ok: false, error: 'model' } as const];
    return feedHost({ ...world, job: undefined }, { ...answered, answers });
  }
  const [call, ...left] = job.left;
  const machine = call ? applyCall(world.machine, call) : world.machine;
  if (call?.op === 'grant') checkGrant(machine, call.vm);
  const next: World = { ...world, machine, job: { ...job, left } };
  if (left.length > 0) return next;
  const answers = job.calls.map((each) => answer(machine, each));
  return feedHost({ ...next, job: undefined }, { ...answered, answers });
}
