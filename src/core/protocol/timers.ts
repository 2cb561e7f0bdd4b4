/**
 * Every timer of the protocol: its name, its length and the meaning of its expiry. The core starts and stops timers
 * by name; the drivers own the clocks. None is for a hook: edges/hooks limits each step, and its end is a fact. Pure
 * data.
 */

/** Timers of the owner's agent. */
export const OWNER_TIMERS = {
  /** The policy program has not decided: decline. */
  policy: 2_000,
  /** The offer is not answered: the next one gets it. A borrower asks the host at most once before it answers. */
  offer: 2_000,
  /** The host has not answered `prepare`: decline; a late `prepared` is cancelled. */
  prepare: 2_000,
  /** The host has not answered `lend`: query the outcome and repeat `lend`. */
  lend: 1_000,
  /** The host has not answered `queryState`: query again. */
  query: 1_000,
  /** `confirm` was not answered: repeat it. */
  confirm: 1_000,
  /** The bundle is parked: claim it. Longer than the guard time, so that the host's own return comes first. */
  claim: 2_000,
  /** The driver did not resume: try again. */
  retry: 2_000,
  /** The policy program has not decided about a renewal: decline it. */
  renewal: 2_000,
  /** A recall's grace is over: reclaim, if the recall was forced. The length comes with the command. */
  recall: 0,
} as const;
export type OwnerTimer = keyof typeof OWNER_TIMERS;

/** Timers of the borrower's agent. */
export const BORROWER_TIMERS = {
  /** The owner has not answered: withdraw. The length comes with the command. */
  request: 0,
  /** In the owner's queue: query the host, so that its timestamp token stays fresh enough for a consent. */
  queue: 3_000,
  /** An unasked offer is over. The length comes with the offer. */
  offered: 0,
  /** A pending handover did not come: query the host. Added to the reservation's own time. */
  pending: 500,
  /** The host has not answered `queryState`: query again. */
  query: 1_000,
  /** `confirm` was not answered: repeat it. */
  confirm: 1_000,
  /** `release` was not answered: repeat it. */
  release: 1_000,
  /** `renew` was not answered: repeat it. */
  renewal: 1_000,
  /** Notice is nearly over: suspend and release in any case. The length comes with the notice. */
  notice: 0,
  /** The lease is over by our own count, without a report: query. The length comes with the grant. */
  lease: 0,
  /** Minimum hold time is over: an earlier recall counts from now on. The length comes with the terms. */
  minHold: 0,
} as const;
export type BorrowerTimer = keyof typeof BORROWER_TIMERS;

/** Timers of the host, per bundle. Those of length 0 come from consent or configuration. */
export const HOST_TIMERS = {
  /** A reservation expires. */
  reservation: 0,
  /** The lease is over, or the minimum hold time is and a reclaim waits: notice starts. */
  lease: 0,
  /** Notice is over: the return is forced. */
  notice: 0,
  /** Notice was given and the bundle is not back: repeat it. The message may be lost. */
  remind: 1_000,
  /** The borrower has not confirmed: end the lease. */
  confirm: 0,
  /** The guard time after a forced return is over: the owner gets the bundle. */
  guard: 0,
  /** The enforcer has not answered an order: the order failed. */
  enforce: 0,
  /** A device was not idle after reset: check again. */
  drain: 5,
  /** Isolation is unproved: try to prove it again. */
  retry: 5_000,
} as const;
export type HostTimer = keyof typeof HOST_TIMERS;

/** A timer this late, in ms, shows that this process or its machine was stopped, not just busy. */
export const STOPPED_MS = 1_000;

/** Interval of an owner's queries about its lent bundle, in ms: longer than a normal return. */
export const LENT_ASK_MS = 5_000;

/** Time until a borrower queries again about a lease that is over by its own count but not by the host's, in ms. */
export const LEASE_ASK_MS = 1_000;

/** How often a device may be found busy after its reset. 20 x 5 ms: far longer than one display frame. */
export const DRAINS_MAX = 20;

/** Defaults of the host's configurable times, in milliseconds. */
export const HOST_TIMES = {
  /** A reservation covers quiesce and suspend of the owner's drivers; the slowest seen take 0.5 s. */
  reserveMs: 5_000,
  /** A borrower's resume, including a panel's power-up. */
  confirmMs: 5_000,
  /** Longer than two key presses of a fast typist. */
  guardMs: 500,
  /** One order to the enforcer; Linux gives a CMD_SYNC 1 s. */
  enforceMs: 3_000,
} as const;
export type HostTimes = { readonly [K in keyof typeof HOST_TIMES]: number };

/** Returns the notice that a borrower's user gets: a quarter, at most 500 ms, is kept for its own suspend. */
export function noticeForUserMs(noticeMs: number): number {
  return noticeMs - Math.min(500, Math.floor(noticeMs / 4));
}
