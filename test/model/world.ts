/**
 * The whole protocol as one value: two agents, the host, the network between them, the drivers, the machine's
 * tables and what is on disk. The explicit-state checker walks over it.
 *
 * The tables are the product's own, and so is the remap procedure; the rest is the smallest model of a world
 * that can go wrong. Time does not pass: any timer that runs may fire.
 */

import { BORROWER_TABLE } from '../../src/core/agent/borrower.ts';
import {
  type BorrowerInput,
  type BorrowerState,
  initialBorrower,
} from '../../src/core/agent/borrower-state.ts';
import { OWNER_TABLE } from '../../src/core/agent/owner.ts';
import { initialOwner, type OwnerInput, type OwnerState } from '../../src/core/agent/owner-state.ts';
import {
  type HostEffect,
  type HostInput,
  type HostState,
  initialHost,
  type RemapPhase,
} from '../../src/core/host/host-state.ts';
import { HOST_TABLE } from '../../src/core/host/host-table.ts';
import { foldAnswers, NO_TALLY, phaseRun, type Tally } from '../../src/core/host/remap.ts';
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
  type Reachable,
  Violation,
} from './properties.ts';
import {
  type AgentName,
  agentConfig,
  B,
  BUNDLE,
  DIGEST,
  hostConfig,
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
  readonly left: readonly EnforcerCall[];
}

export interface World {
  readonly o: AgentWorld<OwnerState>;
  readonly b: AgentWorld<BorrowerState>;
  readonly host: HostState | undefined;
  readonly hostTimers: readonly string[];
  /** The host's boot: a consent's stamp names it. */
  readonly hostBoot: number;
  /** The record that a host which starts finds. */
  readonly disk: HostState;
  /** The last record that was synced: what is left after a crash that loses the rest. */
  readonly durable: HostState;
  readonly net: readonly Envelope[];
  readonly machine: readonly Reachable[];
  /** The running phase. */
  readonly job: Job | undefined;
  /** What a host that died had ordered: the back end goes on with it, and answers nobody. */
  readonly orphan: Job | undefined;
  readonly tally: Tally;
  readonly lives: Readonly<Record<string, Incarnation>>;
  readonly running: readonly VmId[];
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

const initialAgent = <S>(state: S, driverActive: boolean): AgentWorld<S> => ({
  state,
  timers: [],
  hook: undefined,
  inspecting: false,
  driverActive,
});

/** A machine that just booted: the owner VM runs with its driver active, both agents start. */
export function initialWorld(budget: Budget): World {
  const lives = { [O]: 1 as Incarnation, [B]: 1 as Incarnation };
  const held: HostState = {
    ...initialHost(),
    name: 'held',
    epoch: 1 as Epoch,
    lastEpoch: 1 as Epoch,
    lastCause: 'start',
    running: lives,
    holder: { vm: O, incarnation: 1 as Incarnation, epoch: 1 as Epoch, confirmed: true, proof: proofFor(O) },
  };
  const world: World = {
    o: initialAgent(initialOwner(), true),
    b: initialAgent(initialBorrower(), false),
    host: held,
    hostTimers: [],
    hostBoot: 1,
    disk: held,
    durable: held,
    net: [],
    machine: RESOURCES.map(() => ({ now: O, stale: undefined })),
    job: undefined,
    orphan: undefined,
    tally: NO_TALLY,
    lives,
    running: [O, B],
    exiting: [],
    ghost: { epoch: 1, grants: { 1: `${O}#1` }, rejected: 0 },
    budget,
  };
  return feedAgent(feedAgent(world, 'o', { on: 'start' }), 'b', { on: 'start' });
}

function proofFor(vm: VmId) {
  const run = phaseRun(BUNDLE, 'grant', vm);
  const answers = run.calls.map((call) =>
    call.op === 'inspect' ? ({ ok: true, reach: vm } as const) : ({ ok: true } as const),
  );
  const { result } = foldAnswers(run, 'observed', answers, NO_TALLY);
  return result.ok ? result.proof : undefined;
}

/** Feeds one input to an agent and carries out its orders, stopping after `effectsMax` of them (a crash). */
export function feedAgent(world: World, name: AgentName, input: OwnerInput | BorrowerInput): World {
  const agent = world[name];
  if (!agent.state) return world;
  const table = name === 'o' ? TABLES.owner : TABLES.borrower;
  const before = agent.state;
  const step = table.run(before as never, input as never, agentConfig(name) as never);
  seen.add(`${name}:${step.row}`);
  let next: World = { ...world, [name]: { ...agent, state: step.state } };
  for (const effect of step.effects) next = performAgent(next, name, effect as never);
  return next;
}

/** The tables that are searched. A negative control puts a broken one here, and the right one back. */
export const TABLES = { owner: OWNER_TABLE, borrower: BORROWER_TABLE, host: HOST_TABLE };

/** Rows that ever fired: the checker's coverage. */
export const seen = new Set<string>();

type AgentOrder = Parameters<typeof JSON.stringify>[0] & { do: string };

function performAgent(world: World, name: AgentName, effect: AgentOrder): World {
  const agent = world[name];
  const set = (part: Partial<AgentWorld<unknown>>): World =>
    ({ ...world, [name]: { ...agent, ...part } }) as World;
  switch (effect.do) {
    case 'send': {
      const { kind, epoch } = effect.message;
      const { ghost } = world;
      const rejected = kind === 'reject' && name === 'b' ? epoch : ghost.rejected;
      const next = rejected === ghost.rejected ? world : { ...world, ghost: { ...ghost, rejected } };
      return send(next, { from: VM_OF[name], to: effect.to, message: effect.message });
    }
    case 'query':
      return send(world, {
        from: VM_OF[name],
        to: HOST,
        message: { kind: 'queryState', bundle: BUNDLE.id, epoch: agent.state!.epoch, challenge: DIGEST },
      });
    case 'request':
      return request(world, effect);
    case 'decide':
      return feedAgent(world, name, {
        on: 'policyDecided',
        request: effect.request,
        decision: { allow: true },
      });
    case 'hook':
      if (agent.hook)
        throw new Violation(`two hooks at once in ${name}: ${agent.hook.name} and ${effect.hook}`);
      if (effect.hook === 'resume') checkResume(world, name, effect.epoch);
      return set({ hook: { name: effect.hook, epoch: effect.epoch } });
    case 'inspect':
      return set({ inspecting: true });
    case 'timer':
      return set({
        timers: [...agent.timers.filter((timer) => timer !== effect.timer), effect.timer].sort(),
      });
    case 'stopTimer':
      return set({ timers: agent.timers.filter((timer) => timer !== effect.timer) });
    default:
      return world;
  }
}

function request(world: World, effect: AgentOrder): World {
  const { leaseMs, minTenureMs, noticeMs, evidence } = effect.terms;
  const claims: ConsentClaims = {
    bundle: BUNDLE.id,
    epoch: effect.epoch,
    digest: DIGEST,
    owner: O,
    incarnation: effect.incarnation,
    stamp: new Uint8Array(16).fill(world.hostBoot),
    validMs: 1,
    leaseMs,
    minTenureMs,
    noticeMs,
    evidence,
    use: 'borrow',
    renewal: 0,
    requestId: effect.requestId,
  };
  const bytes = Uint8Array.of(effect.epoch, effect.incarnation, world.hostBoot, leaseMs);
  const message: Message = {
    kind: 'requestBorrow',
    bundle: BUNDLE.id,
    purpose: 'pin',
    leaseMs,
    minTenureMs,
    noticeMs,
    waitMs: 1,
    consent: Object.assign(bytes, claims),
    requestId: effect.requestId,
  };
  return send(world, { from: B, to: O, message });
}

function send(world: World, envelope: Envelope): World {
  if (world.net.length >= SETTINGS.present.netMax) return world;
  return { ...world, net: [...world.net, envelope] };
}

/** Feeds one input to the host. `effectsMax`: the process dies after so many effects. */
export function feedHost(world: World, input: HostInput, effectsMax = Number.POSITIVE_INFINITY): World {
  const before = world.host;
  if (!before) return world;
  const step = TABLES.host.run(before, input, hostConfig());
  seen.add(`h:${step.row}`);
  checkHostStep(world, before, step.state, input);
  let next: World = { ...world, host: step.state };
  if (step.state.name === 'held' && before.holder?.epoch !== step.state.holder!.epoch) {
    const { vm, incarnation, epoch } = step.state.holder!;
    const granted = next.ghost.grants[epoch];
    if (granted !== undefined && granted !== `${vm}#${incarnation}`)
      throw new Violation(`S4: epoch ${epoch} was granted to ${granted} and to ${vm}#${incarnation}`);
    next = {
      ...next,
      ghost: { ...next.ghost, grants: { ...next.ghost.grants, [epoch]: `${vm}#${incarnation}` } },
    };
  }
  for (const [index, effect] of step.effects.entries()) {
    if (index >= effectsMax) return crashHost(next, SETTINGS.present.losesUnsynced);
    next = performHost(next, step.state, effect);
  }
  return next;
}

function performHost(world: World, state: HostState, effect: HostEffect): World {
  switch (effect.do) {
    case 'send':
      return send(allocated(world, state), { from: HOST, to: effect.to, message: effect.message });
    case 'persist':
      return {
        ...world,
        disk: state,
        durable: effect.sync || !SETTINGS.present.losesUnsynced ? state : world.durable,
      };
    case 'phase': {
      const { phase, epoch, to } = effect;
      return {
        ...allocated(world, state),
        job: { phase, epoch, to, left: phaseRun(BUNDLE, phase, to).calls },
      };
    }
    case 'timer':
      return {
        ...world,
        hostTimers: [...world.hostTimers.filter((t) => t !== effect.timer), effect.timer].sort(),
      };
    case 'stopTimer':
      return { ...world, hostTimers: world.hostTimers.filter((t) => t !== effect.timer) };
    case 'acknowledgeExit':
      return letGo(world, effect.vm);
    case 'audit':
      return world;
  }
}

/** An epoch counts as allocated once somebody may have seen it: an agent or the machine. */
function allocated(world: World, { epoch }: HostState): World {
  return epoch <= world.ghost.epoch ? world : { ...world, ghost: { ...world.ghost, epoch } };
}

/** M5: the VM's memory is free from here on; nothing may reach it or be reached by it. */
function letGo(world: World, vm: VmId): World {
  const reached = world.machine.some((r) => r.now === vm || r.stale === vm);
  if (reached) throw new Violation(`M5: the memory of ${vm} was freed while the bundle could reach it`);
  return { ...world, exiting: world.exiting.filter((other) => other !== vm) };
}

/** The host process dies: its messages and timers are gone, with `loses` records too. The back end goes on. */
export function crashHost(world: World, loses: boolean): World {
  const disk = loses ? world.durable : world.disk;
  return {
    ...world,
    host: undefined,
    hostTimers: [],
    disk,
    durable: disk,
    job: undefined,
    orphan: world.job ?? world.orphan,
    net: world.net.filter(({ from, to }) => from !== HOST && to !== HOST),
  };
}

/** The host process starts again and reads its table. */
export function restartHost(world: World): World {
  const running: Record<string, Incarnation> = {};
  for (const vm of world.running) running[vm] = world.lives[vm]!;
  const next: World = { ...world, host: initialHost(), hostBoot: world.hostBoot + 1 };
  const started = feedHost(next, {
    on: 'start',
    recovered: { kind: 'record', state: world.disk, rebooted: false },
    running,
    nowMs: 0,
  });
  // An exit that nobody let go of is reported again.
  const told = world.exiting.reduce((w, vm) => feedHost(w, { on: 'vmExited', vm, nowMs: 0 }), started);
  return feedAgent(feedAgent(told, 'o', { on: 'hostUp' }), 'b', { on: 'hostUp' });
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
  const [call, ...left] = job.left;
  if (fail) {
    const done: World = { ...world, job: undefined };
    return feedHost(done, {
      on: 'phaseDone',
      epoch: job.epoch,
      phase: job.phase,
      result: { ok: false, error: 'model' },
      nowMs: 0,
    });
  }
  const machine = call ? applyCall(world.machine, call) : world.machine;
  if (call?.op === 'grant') checkGrant(machine, call.vm);
  const next: World = { ...world, machine, job: { ...job, left } };
  if (left.length > 0) return next;
  const run = phaseRun(BUNDLE, job.phase, job.to);
  const answers = run.calls.map((each) => answer(machine, each));
  const folded = foldAnswers(run, 'observed', answers, next.tally);
  return feedHost(
    { ...next, job: undefined },
    { on: 'phaseDone', epoch: job.epoch, phase: job.phase, result: folded.result, nowMs: 0 },
  );
}
