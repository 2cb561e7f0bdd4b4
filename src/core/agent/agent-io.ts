/**
 * What goes into and comes out of the two agent tables (owner.ts, borrower.ts): inputs are facts, effects are
 * orders. The driver (src/drivers/agent) turns the world into inputs and carries effects out in the order given.
 */

import type { DriverStatus, HookName, HookResult } from '../../ports/world.ts';
import type { DeclineReason, EvidenceLevel, MoveCause, RefusalCode } from '../protocol/codes.ts';
import type { Epoch, Incarnation, VmId } from '../protocol/ids.ts';
import type { Message, MessageKind, MessageOf } from '../protocol/messages.ts';

/** An input that is a message which arrived, authenticated and decoded. */
export type MessageInput<K extends MessageKind> = {
  readonly [M in K]: { readonly on: M; readonly from: VmId; readonly message: MessageOf<M> };
}[K];

/** A message that says who holds: the end of a remap, or the answer to a question. */
export type OwnershipReport = MessageOf<'remapped'> | MessageOf<'stateReported'>;

/** Facts that reach both roles. */
export type CommonInput<T extends string> =
  /** The agent starts; nothing is known yet. */
  | { readonly on: 'start' }
  /** What the driver was found doing. */
  | { readonly on: 'driverInspected'; readonly status: DriverStatus }
  /** A session with the host came up; what was sent before may be lost. */
  | { readonly on: 'hostUp' }
  /** The host has another table: epochs of the last one say nothing about it. */
  | { readonly on: 'newTable' }
  | { readonly on: 'hookDone'; readonly hook: HookName; readonly result: HookResult }
  | { readonly on: `timer:${T}` };

/** What a borrower asks for. */
export interface BorrowTerms {
  readonly purpose: string;
  readonly leaseMs: number;
  readonly minHoldMs: number;
  readonly noticeMs: number;
  readonly waitMs: number;
  readonly evidence: EvidenceLevel;
}

/** What the agent tells its clients. */
export type AgentNotice =
  | { readonly notice: 'granted'; readonly epoch: Epoch; readonly leaseMs: number }
  | {
      readonly notice: 'declined';
      readonly reason: string;
      readonly retryAfterMs: number;
      /** What the owner said besides, for people. */
      readonly detail?: string;
    }
  | { readonly notice: 'timedOut' }
  /** The borrower must give the bundle back within `ms`. */
  | { readonly notice: 'recalled'; readonly ms: number; readonly cause: MoveCause }
  | { readonly notice: 'returned'; readonly epoch: Epoch }
  /** The bundle was taken by force. */
  | { readonly notice: 'lost'; readonly cause: MoveCause | undefined }
  | { readonly notice: 'evidenceMismatch'; readonly what: string }
  | { readonly notice: 'hookFailed'; readonly hook: HookName; readonly error: string }
  | { readonly notice: 'resumed'; readonly epoch: Epoch }
  | { readonly notice: 'lent'; readonly borrower: VmId; readonly epoch: Epoch };

/** Orders of the agent tables. */
export type AgentEffect<T extends string> =
  | { readonly do: 'send'; readonly to: VmId; readonly message: Message }
  /** Send `queryState` with a fresh challenge; only the answer that echoes it becomes an input. */
  | { readonly do: 'query' }
  /** Seal a consent for `epoch` and send `requestBorrow` to the owner, until it could be sent. */
  | {
      readonly do: 'request';
      readonly requestId: number;
      readonly epoch: Epoch;
      readonly incarnation: Incarnation;
      readonly terms: BorrowTerms;
    }
  /** Ask the policy; the answer is `policyDecided` with the same `request`. */
  | {
      readonly do: 'decide';
      readonly request: number;
      readonly borrower: VmId;
      readonly purpose: string;
      readonly leaseMs: number;
      readonly minHoldMs: number;
      readonly noticeMs: number;
    }
  /** Write to the journal what is about to be attempted. */
  | { readonly do: 'persist'; readonly attempt: HookName; readonly epoch: Epoch }
  | { readonly do: 'hook'; readonly hook: HookName; readonly epoch: Epoch }
  | { readonly do: 'inspect' }
  /** Start a timer anew; with `sooner`, one that runs out earlier stays. */
  | { readonly do: 'timer'; readonly timer: T; readonly ms: number; readonly sooner?: true }
  | { readonly do: 'stopTimer'; readonly timer: T }
  | { readonly do: 'notify'; readonly notice: AgentNotice };

/** The answer of the owner's policy. */
export type PolicyDecision =
  | { readonly allow: true }
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
