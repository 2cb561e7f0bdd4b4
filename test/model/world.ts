/**
 * The whole protocol as one value: two agents, the host, the network between them, the drivers, the machine's
 * tables and what is on disk. The explicit-state checker walks over it.
 *
 * The endpoints are the product's own, and nothing of them is done again here. The rest is the smallest model of a
 * world that can go wrong. Time does not pass: any timer that runs may fire. What agents and host do in it is in
 * world-agents.ts and world-host.ts.
 */

import type { AgentEndpointState } from '../../src/core/agent/agent-endpoint-state.ts';
import type { BorrowerState } from '../../src/core/agent/borrower-state.ts';
import type { OwnerState } from '../../src/core/agent/owner-state.ts';
import { type Bounds, boundsAt } from '../../src/core/host/bounds.ts';
import type { HostEndpointState } from '../../src/core/host/host-endpoint-state.ts';
import type { HostState, RemapPhase } from '../../src/core/host/host-state.ts';
import { makeHostTime } from '../../src/core/host/host-time.ts';
import type { Epoch, Incarnation, VmId } from '../../src/core/protocol/ids.ts';
import type { ConsentClaims } from '../../src/core/protocol/message-parts.ts';
import type { Message } from '../../src/core/protocol/messages.ts';
import type { EnforcerCall } from '../../src/ports/enforcer.ts';
import type { HookName } from '../../src/ports/world.ts';
import type { Reachable } from './properties.ts';
import { B, C, endpoints, O, RESOURCES, SETTINGS } from './settings.ts';

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

/** The first incarnations. */
const LIVES = { [O]: 1 as Incarnation, [B]: 1 as Incarnation };
export const BOUNDS = boundsAt('0'.repeat(16), 'boot', 0, 0);
const DEAD = {
  endpoint: undefined,
  state: undefined,
  timers: [],
  hook: undefined,
  inspecting: false,
} as const;

/** A machine that just booted: the owner VM runs with its driver active, all have still to start. */
export function emptyWorld(budget: Budget): World {
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

/** Equal ones are one. */
export const envelopeOf = (from: VmId, to: VmId, message: Message): Envelope => {
  const { memo } = endpoints();
  return memo.one({ from, to, message: memo.one(message) });
};

export function send(world: World, envelope: Envelope): World {
  if (world.net.length >= SETTINGS.present.netMax) return world;
  return { ...world, net: [...world.net, envelope] };
}

/** A consent is its claims here. */
export const consentOf = (claims: ConsentClaims) => Object.assign(Uint8Array.of(0), { claims });

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
