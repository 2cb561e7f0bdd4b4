/** One bundle as an agent keeps it, and what it shows of it. */

import type { AgentEffect } from '../../core/agent/agent-io.ts';
import { type BundleView, type LastTold, seenByBorrower, seenByOwner } from '../../core/agent/agent-view.ts';
import type { BorrowerInput, BorrowerState } from '../../core/agent/borrower-state.ts';
import type { Diary } from '../../core/agent/diary.ts';
import type { OwnerInput, OwnerState } from '../../core/agent/owner-state.ts';
import type { Question } from '../../core/agent/question.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { AgentConfig } from '../../core/protocol/evidence.ts';
import type { VmId } from '../../core/protocol/ids.ts';
import { bundleDigest } from '../../core/wire/digest.ts';
import type { Runner } from '../runner.ts';

export type AnyRunner =
  | {
      readonly role: 'owner';
      readonly runner: Runner<OwnerState, OwnerInput, AgentConfig, AgentEffect<never>>;
    }
  | {
      readonly role: 'borrower';
      readonly runner: Runner<BorrowerState, BorrowerInput, AgentConfig, AgentEffect<never>>;
    };

/** One bundle as this agent runs it. Times are of our clock, in ms. */
export interface Entry {
  readonly definition: BundleDefinition;
  readonly digest: Uint8Array;
  machine: AnyRunner;
  readonly question: Question;
  readonly diary: Diary;
  leaseEndsMs: number | undefined;
  evidence: string | null;
  /** Who means another definition by its name. */
  differs: readonly VmId[];
  told: LastTold | undefined;
  forces: boolean | undefined;
  /** When its table last went to another state. */
  movedMs: number;
  /** Challenge of a question that was asked for somebody who looks; the table knows nothing of it. */
  look: Uint8Array | undefined;
}

/** Returns a bundle of which nobody has told anything; its machine is still to be made. */
export function newEntry(definition: BundleDefinition, question: Question, diary: Diary): Entry {
  return {
    definition,
    digest: bundleDigest(definition),
    machine: undefined as never,
    question,
    diary,
    leaseEndsMs: undefined,
    evidence: null,
    differs: [],
    told: undefined,
    forces: undefined,
    movedMs: Number.NEGATIVE_INFINITY,
    look: undefined,
  };
}

/** Makes the view of a bundle at the agent of `self`. */
export function bundleView(entry: Entry, self: VmId, nowMs: number): BundleView {
  const { machine, definition, told, leaseEndsMs } = entry;
  const { state } = machine.runner;
  const holds = state.name === 'held' || state.name === 'suspending' || state.name === 'resuming';
  const own =
    machine.role === 'owner'
      ? seenByOwner(self, machine.runner.state)
      : seenByBorrower(self, machine.runner.state);
  // What the host said counts until we do something that changes it.
  const { phase, holder } = told && told.atMs >= entry.movedMs ? told : own;
  return {
    bundle: definition.id,
    role: machine.role,
    owner: definition.owner,
    state: state.name,
    epoch: state.epoch,
    holder: holder ?? null,
    driver: state.driver,
    reason: entry.diary.reason,
    leaseLeftMs:
      machine.role === 'borrower' && holds && leaseEndsMs !== undefined
        ? Math.max(0, Math.round(leaseEndsMs - nowMs))
        : null,
    events: [...entry.diary.events],
    definitionDiffers: entry.differs.length > 0,
    definitionDiffersFrom: entry.differs,
    evidence: entry.evidence,
    phase,
    toldMs: told ? Math.round(nowMs - told.atMs) : null,
    forceRevoke: entry.forces ?? null,
  };
}
