/** What goes into an agent's endpoint (agent-endpoint.ts) and what comes out of it: facts and orders. Types only. */

import type { DriverStatus, HookName, HookResult } from '../../ports/world.ts';
import type { BundleDefinition } from '../protocol/bundle.ts';
import type { GrantedForm } from '../protocol/evidence.ts';
import type { BundleId, Epoch, VmId } from '../protocol/ids.ts';
import type { ConsentClaims } from '../protocol/message-parts.ts';
import type { Message, MessageOf } from '../protocol/messages.ts';
import type { AgentNotice, BorrowTerms, PolicyDecision } from './agent-io.ts';
import type { BORROWER_TABLE } from './borrower.ts';
import type { PolicyQuestion } from './policy.ts';

/** What an endpoint is made for. Constant while the agent runs. */
export interface AgentSetup {
  readonly self: VmId;
  readonly bundles: readonly BundleDefinition[];
  /** What this VM must be granted, by its own device tree; of a bundle that is not here: by its definition. */
  readonly expected?: ReadonlyMap<BundleId, readonly GrantedForm[]> | undefined;
  /** 8 random bytes of this start: challenges count from here, so that those of two starts differ. */
  readonly challenges: Uint8Array;
  /** A random uint32 of this start: requests are numbered from here. */
  readonly firstRequest: number;
  /** The table of a borrower; a negative control puts another one here. */
  readonly borrowerTable?: typeof BORROWER_TABLE | undefined;
}

/** Facts. `nowMs` is the agent's monotonic clock. */
export type AgentFact = { readonly nowMs: number } & (
  | { readonly on: 'start' }
  /** A message that verified; `token`: of the host. */
  | {
      readonly on: 'message';
      readonly from: VmId;
      readonly message: Message;
      readonly token?: Uint8Array | undefined;
    }
  /** A session came up; what was sent before may be lost. `tableId`: of the host's table. */
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
    }
  | {
      readonly on: 'policyDecided';
      readonly bundle: BundleId;
      readonly request: number;
      readonly decision: PolicyDecision;
    }
  /** The answer to a `request` that could not be sent: there is no session with the owner, or with the host. */
  | { readonly on: 'requestUnsent'; readonly bundle: BundleId }
  | { readonly on: 'borrow'; readonly bundle: BundleId; readonly terms: BorrowTerms }
  | { readonly on: 'return'; readonly bundle: BundleId }
  | { readonly on: 'recall'; readonly bundle: BundleId; readonly graceMs: number; readonly force: boolean }
  /** Somebody looks, and wants to see how things stand now. */
  | { readonly on: 'look' }
  | { readonly on: 'sleep'; readonly graceMs: number; readonly waitMs: number }
  | { readonly on: 'wake' }
);

/** Effects, to be carried out in their order. */
export type AgentOrder =
  | { readonly do: 'send'; readonly to: VmId; readonly message: Message }
  /** Seal this consent, and send it to the owner in a request; `requested` answers. */
  | {
      readonly do: 'request';
      readonly bundle: BundleId;
      readonly owner: VmId;
      readonly claims: ConsentClaims;
      readonly terms: Omit<BorrowTerms, 'evidence'>;
    }
  /** Ask the policy; `policyDecided` answers. */
  | { readonly do: 'decide'; readonly request: number; readonly question: PolicyQuestion }
  /** Write to the journal what is about to be attempted. */
  | { readonly do: 'note'; readonly bundle: BundleId; readonly attempt: HookName; readonly epoch: Epoch }
  | { readonly do: 'hook'; readonly bundle: BundleId; readonly hook: HookName; readonly epoch: Epoch }
  | { readonly do: 'inspect'; readonly bundle: BundleId }
  | {
      readonly do: 'timer';
      readonly bundle: BundleId | undefined;
      readonly timer: string;
      readonly ms: number;
      /** One of this name that runs out earlier stays. */
      readonly sooner?: true | undefined;
    }
  | { readonly do: 'stopTimer'; readonly bundle: BundleId | undefined; readonly timer: string }
  /** Begin another session with this peer: it may have lost ours. */
  | { readonly do: 'renew'; readonly peer: VmId }
  | AgentNews;

/** What people and clients are told; nothing depends on it. */
export type AgentNews =
  | { readonly do: 'notice'; readonly bundle: BundleId; readonly notice: AgentNotice }
  | {
      readonly do: 'told';
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
  /** The answer to `sleep`: nothing is lent any more, or these still are. */
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
