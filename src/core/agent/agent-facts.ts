/** Inputs (facts) and outputs (orders) of an agent's endpoint (agent-endpoint.ts). Types only. */

import type { DriverStatus, HookName, HookResult, HookStepTime } from '../../ports/world.ts';
import type { BundleDefinition } from '../protocol/bundle.ts';
import type { GrantedForm } from '../protocol/evidence.ts';
import type { BundleId, Epoch, VmId } from '../protocol/ids.ts';
import type { ConsentClaims } from '../protocol/message-parts.ts';
import type { Message, MessageOf } from '../protocol/messages.ts';
import type { AgentNotice, BorrowTerms, PolicyDecision } from './agent-io.ts';
import type { BORROWER_TABLE } from './borrower.ts';
import type { PolicyQuestion } from './policy.ts';

/** Configuration of an endpoint. Constant while the agent runs. */
export interface AgentSetup {
  readonly self: VmId;
  readonly bundles: readonly BundleDefinition[];
  /** Expected grants by bundle, from this VM's device tree. A bundle without an entry: by its definition. */
  readonly expected?: ReadonlyMap<BundleId, readonly GrantedForm[]> | undefined;
  /** 8 random bytes of this start. Challenges count up from here, so that two starts use different ones. */
  readonly challenges: Uint8Array;
  /** A random uint32 of this start. Request ids count up from here. */
  readonly firstRequest: number;
  /** Table of the borrower; a negative control substitutes another one. */
  readonly borrowerTable?: typeof BORROWER_TABLE | undefined;
}

/** Facts. `nowMs` is the agent's monotonic clock. */
export type AgentFact = { readonly nowMs: number } & (
  | { readonly on: 'start' }
  /** An authenticated message. `token`: timestamp token, from the host only. */
  | {
      readonly on: 'message';
      readonly from: VmId;
      readonly message: Message;
      readonly token?: Uint8Array | undefined;
    }
  /** A session came up; messages sent before may be lost. `tableId`: id of the host's table. */
  | { readonly on: 'sessionUp'; readonly peer: VmId; readonly tableId?: string | undefined }
  | {
      readonly on: 'timer';
      readonly bundle: BundleId | undefined;
      readonly timer: string;
      readonly lateMs: number;
    }
  | { readonly on: 'driverInspected'; readonly bundle: BundleId; readonly status: DriverStatus }
  | {
      readonly on: 'hookDone';
      readonly bundle: BundleId;
      readonly hook: HookName;
      readonly result: HookResult;
      readonly steps?: readonly HookStepTime[] | undefined;
    }
  | {
      readonly on: 'policyDecided';
      readonly bundle: BundleId;
      readonly request: number;
      readonly decision: PolicyDecision;
    }
  /** The request of a `request` order could not be sent: no session with the owner, or none with the host. */
  | { readonly on: 'requestUnsent'; readonly bundle: BundleId }
  | { readonly on: 'borrow'; readonly bundle: BundleId; readonly terms: BorrowTerms }
  /** A client wants its lease to last `leaseMs` from now on. */
  | { readonly on: 'renew'; readonly bundle: BundleId; readonly leaseMs: number }
  | { readonly on: 'return'; readonly bundle: BundleId }
  | { readonly on: 'recall'; readonly bundle: BundleId; readonly graceMs: number; readonly force: boolean }
  /** A client offers our bundle to a borrower, unasked. */
  | {
      readonly on: 'offer';
      readonly bundle: BundleId;
      readonly to: VmId;
      readonly leaseMs: number;
      readonly reservedMs: number;
    }
  /** A client asks for the status and wants the present state. */
  | { readonly on: 'look' }
  | { readonly on: 'sleep'; readonly graceMs: number; readonly waitMs: number }
  | { readonly on: 'wake' }
);

/** Orders, to be carried out in this sequence. */
export type AgentOrder =
  | { readonly do: 'send'; readonly to: VmId; readonly message: Message }
  /** Seal this consent and send it to the owner: in a request, or as the answer to an offer. */
  | {
      readonly do: 'request';
      readonly bundle: BundleId;
      readonly owner: VmId;
      readonly claims: ConsentClaims;
      readonly terms: Omit<BorrowTerms, 'evidence' | 'mayQueue'>;
      readonly offerId: number | undefined;
    }
  /** Seal this consent and send it to the owner in `renew`. */
  | {
      readonly do: 'requestRenewal';
      readonly bundle: BundleId;
      readonly owner: VmId;
      readonly claims: ConsentClaims;
      readonly purpose: string;
    }
  /** Ask the policy. Answered by `policyDecided`. */
  | { readonly do: 'decide'; readonly request: number; readonly question: PolicyQuestion }
  /** Record in the journal what is about to be attempted. */
  | { readonly do: 'note'; readonly bundle: BundleId; readonly attempt: HookName; readonly epoch: Epoch }
  | { readonly do: 'hook'; readonly bundle: BundleId; readonly hook: HookName; readonly epoch: Epoch }
  | { readonly do: 'inspect'; readonly bundle: BundleId }
  | {
      readonly do: 'timer';
      readonly bundle: BundleId | undefined;
      readonly timer: string;
      readonly ms: number;
      /** A timer of this name that expires earlier is kept. */
      readonly sooner?: true | undefined;
    }
  | { readonly do: 'stopTimer'; readonly bundle: BundleId | undefined; readonly timer: string }
  /** Start a new session with this peer: it may have lost ours. */
  | { readonly do: 'renew'; readonly peer: VmId }
  | AgentNews;

/** Events for people and clients. No decision depends on them. */
export type AgentNews =
  | { readonly do: 'notice'; readonly bundle: BundleId; readonly notice: AgentNotice }
  | {
      readonly do: 'ownershipReported';
      readonly bundle: BundleId;
      readonly message: MessageOf<'remapped'> | MessageOf<'stateReported'>;
    }
  | { readonly do: 'fault'; readonly bundle: BundleId; readonly message: MessageOf<'faultReported'> }
  | { readonly do: 'declined'; readonly to: VmId; readonly message: MessageOf<'borrowDeclined'> }
  | {
      readonly do: 'drop';
      readonly from: VmId;
      readonly kind: string;
      readonly why: string;
      readonly isLate?: true;
    }
  | { readonly do: 'hostUp' }
  | { readonly do: 'hostSilent'; readonly silentMs: number }
  | { readonly do: 'hostBack'; readonly silentMs: number }
  | { readonly do: 'stopped'; readonly ms: number }
  /** The answer to `sleep`: nothing is lent any more, or these bundles still are. */
  | { readonly do: 'slept'; readonly isAsleep: boolean; readonly lent: readonly BundleId[] }
  | {
      readonly do: 'step';
      readonly bundle: BundleId;
      readonly on: string;
      readonly before: string;
      readonly after: string;
      readonly rows: readonly string[];
      readonly ignored?: string | undefined;
    };
