/**
 * Inputs and effects of the two agent tables (owner.ts, borrower.ts). The endpoint (agent-endpoint.ts) turns facts
 * into inputs and effects into orders, in the order given. Types only.
 */

import type { DriverStatus, HookName, HookResult, HookStepTime } from '../../ports/world.ts';
import type { DeclineReason, EvidenceLevel, MoveCause, RefusalCode } from '../protocol/codes.ts';
import type { Epoch, Incarnation, VmId } from '../protocol/ids.ts';
import type { Message, MessageKind, MessageOf } from '../protocol/messages.ts';

/** An input that is an authenticated and decoded message. */
export type MessageInput<K extends MessageKind> = {
  readonly [M in K]: { readonly on: M; readonly from: VmId; readonly message: MessageOf<M> };
}[K];

/** An ownership report: the end of a remap, or the answer to a query. */
export type OwnershipReport = MessageOf<'remapped'> | MessageOf<'stateReported'>;

/** Inputs of both roles. */
export type CommonInput<T extends string> =
  /** The agent starts; nothing is known yet. */
  | { readonly on: 'start' }
  /** Result of the driver's inspection. */
  | { readonly on: 'driverInspected'; readonly status: DriverStatus }
  /** A session with the host came up; messages sent before may be lost. */
  | { readonly on: 'hostUp' }
  /** The host has another table, with which epochs of the last one do not compare. */
  | { readonly on: 'newTable' }
  | {
      readonly on: 'hookDone';
      readonly hook: HookName;
      readonly result: HookResult;
      /** For people (step-times.ts). */
      readonly steps?: readonly HookStepTime[] | undefined;
    }
  | { readonly on: `timer:${T}` };

/** The terms that a client asks for. */
export interface BorrowTerms {
  readonly purpose: string;
  readonly leaseMs: number;
  readonly minHoldMs: number;
  readonly noticeMs: number;
  readonly waitMs: number;
  readonly evidence: EvidenceLevel;
  /** Whether the request may wait in the owner's queue; else it is declined as busy. */
  readonly mayQueue: boolean;
}

/** What the agent reports to its clients. */
export type AgentNotice =
  | { readonly notice: 'granted'; readonly epoch: Epoch; readonly leaseMs: number }
  | {
      readonly notice: 'declined';
      readonly reason: string;
      readonly retryAfterMs: number;
      /** Explanation by the owner, for people. */
      readonly detail?: string;
    }
  /** `isQueued`: the owner has answered, but its turn did not come. */
  | { readonly notice: 'timedOut'; readonly isQueued?: true }
  /** The request waits at the owner: `position` borrowers before it, whose leases add up to `expectedMs`. */
  | { readonly notice: 'queued'; readonly position: number; readonly expectedMs: number }
  /** The owner offers the bundle, unasked, for at most `leaseMs`; a request within `reservedMs` accepts. */
  | { readonly notice: 'offered'; readonly leaseMs: number; readonly reservedMs: number }
  /** An unasked offer of ours came to nothing. */
  | {
      readonly notice: 'notOffered';
      readonly to: VmId;
      readonly reason: 'notNow' | 'declined' | 'notAnswered';
    }
  /** The lease was extended in place; `leaseMs` are left. */
  | { readonly notice: 'renewed'; readonly epoch: Epoch; readonly leaseMs: number; readonly renewal: number }
  /** The lease stays as it is. */
  | { readonly notice: 'renewalDeclined'; readonly reason: string; readonly detail?: string }
  /** The borrower must give the bundle back within `ms`. */
  | { readonly notice: 'recalled'; readonly ms: number; readonly cause: MoveCause }
  | { readonly notice: 'returned'; readonly epoch: Epoch }
  /** The bundle was taken by force. */
  | { readonly notice: 'lost'; readonly cause: MoveCause | undefined }
  | { readonly notice: 'evidenceMismatch'; readonly what: string }
  | { readonly notice: 'hookFailed'; readonly hook: HookName; readonly error: string }
  | { readonly notice: 'resumed'; readonly epoch: Epoch }
  | { readonly notice: 'lent'; readonly borrower: VmId; readonly epoch: Epoch };

/** Effects of the agent tables. */
export type AgentEffect<T extends string> =
  | { readonly do: 'send'; readonly to: VmId; readonly message: Message }
  /** Send `queryState` with a fresh challenge. Only the answer that echoes it becomes an input. */
  | { readonly do: 'query' }
  /** Seal a consent for `epoch` and send `requestBorrow` to the owner; retried until it could be sent. */
  | {
      readonly do: 'request';
      readonly requestId: number;
      readonly epoch: Epoch;
      readonly incarnation: Incarnation;
      readonly terms: BorrowTerms;
      /** Send it as the answer to this offer. */
      readonly offerId?: number | undefined;
    }
  /** Seal a consent to renewal number `renewal` of the lease at `epoch`, and send `renew` to the owner. */
  | {
      readonly do: 'renew';
      readonly requestId: number;
      readonly epoch: Epoch;
      readonly incarnation: Incarnation;
      readonly renewal: number;
      readonly terms: BorrowTerms;
    }
  /** Ask the policy. Answered by `policyDecided` with the same `request`. */
  | {
      readonly do: 'decide';
      readonly request: number;
      readonly borrower: VmId;
      readonly purpose: string;
      readonly leaseMs: number;
      readonly minHoldMs: number;
      readonly noticeMs: number;
      /** It is about a renewal, not a request. */
      readonly isRenewal?: true;
      /** Of a renewal: how many borrowers wait for the bundle. */
      readonly waiting?: number;
    }
  /** Record in the journal what is about to be attempted. */
  | { readonly do: 'persist'; readonly attempt: HookName; readonly epoch: Epoch }
  | { readonly do: 'hook'; readonly hook: HookName; readonly epoch: Epoch }
  | { readonly do: 'inspect' }
  /** Start or restart a timer. With `sooner`, one that expires earlier is kept. */
  | { readonly do: 'timer'; readonly timer: T; readonly ms: number; readonly sooner?: true }
  | { readonly do: 'stopTimer'; readonly timer: T }
  | { readonly do: 'notify'; readonly notice: AgentNotice };

/** The answer of the owner's policy. */
export type PolicyDecision =
  | {
      readonly allow: true;
      /** Higher ones are served first; absent: 0. */
      readonly priority?: number | undefined;
    }
  | {
      readonly allow: false;
      readonly reason: DeclineReason;
      readonly retryAfterMs: number;
      readonly detail?: string;
    };

/** How a refusal by the host is passed on to the borrower. */
export interface Decline {
  readonly reason: DeclineReason;
  readonly retryAfterMs: number;
  readonly refusal?: RefusalCode;
  readonly detail?: string;
}
