/**
 * What a handover record says: one attempt to move a bundle, with its parties, outcome and times (handover-watch.ts
 * decides when one begins and ends). Types, and the line in which a record is written. For people; no decision depends
 * on it. Pure.
 */

import type { MoveCause } from '../protocol/codes.ts';
import type { BundleId, Epoch, VmId } from '../protocol/ids.ts';
import type { StepTime } from '../protocol/messages.ts';
import { asciiJson } from './audit.ts';
import type { RemapPhase } from './host-state.ts';

/** How an attempt ends, each with one sentence for people. */
export const HANDOVER_OUTCOMES = {
  confirmed: 'the borrower holds, and its driver has resumed',
  returned: 'the owner holds, and its driver has resumed',
  rolledBack: 'the owner got the bundle back in place of the borrower',
  unconfirmed: 'the new holder did not confirm that its driver resumed',
  parked: 'no VM holds the bundle',
  quarantined: 'no VM holds the bundle until an operator lifts the quarantine',
  refused: 'the host refused the reservation; nothing was changed',
  lapsed: 'the reservation ended without a move; nothing was changed',
  interrupted: 'the host was stopped during the attempt',
  omitted: 'records that are not in the file',
} as const;
export type HandoverOutcome = keyof typeof HANDOVER_OUTCOMES;

/** Outcomes in which the bundle did not come to the VM for which it was meant. */
export const FAILED_OUTCOMES: ReadonlySet<string> = new Set<HandoverOutcome>([
  'rolledBack',
  'unconfirmed',
  'quarantined',
  'refused',
  'lapsed',
  'interrupted',
]);

/**
 * What the host spends its part of the time on. `prepare`: checks and records the reservation; `lend`: waits until the
 * owner has suspended; `confirm`: waits until the new holder has resumed; between them the phases of the remap.
 */
export type HostStage = 'prepare' | 'lend' | Exclude<RemapPhase, 'inspect'> | 'confirm';

/** The time of one step. `by`: `host`, or the VM that reports it; `hook`: a step of the hook before it. */
export interface RecordedStep extends Omit<StepTime, 'step'> {
  readonly by: string;
  readonly step: HostStage | StepTime['step'];
}

/** One attempt. */
export interface HandoverRecord {
  /** When the host first heard of it, on its own clock: no VM can date a record. */
  readonly startedMs: number;
  /** Null: of several bundles. */
  readonly bundle: BundleId | null;
  /** Null: none was allocated. */
  readonly epoch: Epoch | null;
  readonly from: VmId | null;
  readonly to: VmId | null;
  readonly purpose: string | null;
  readonly cause: MoveCause | null;
  readonly outcome: HandoverOutcome;
  /** A code of a refusal, a move or a quarantine: why it did not succeed. */
  readonly why?: string | undefined;
  /** The same for people: an error of the enforcer, or what a holder rejected. */
  readonly detail?: string | undefined;
  /** The time of the owner’s policy and of the host’s stages, up to the outcome. Null: not known. */
  readonly ms: number | null;
  readonly steps: readonly RecordedStep[];
}

/** Longest detail of a record, in characters. It bounds how much of the file one error can fill. */
const DETAIL_MAX = 256;
/** Most steps of a record that VMs report. A policy and three hooks with seven steps each are 25. */
export const REPORTED_MAX = 32;
/** Longest line, in characters: its texts and names take up to six characters for each one. */
export const RECORD_LINE_MAX = 16_384;

/** What the driver adds to a record: wall-clock time of its begin in ISO 8601, and the boot of the machine. */
export interface RecordMoment {
  readonly time: string;
  readonly boot: string;
}

/** Returns the line of a record, with its newline: one JSON object in ASCII, so that no text can break a line. */
export function recordLine(record: HandoverRecord, { time, boot }: RecordMoment): string {
  const { startedMs, detail, ms, steps, ...rest } = record;
  return `${asciiJson({
    time,
    boot,
    atMs: Math.round(startedMs),
    ...rest,
    detail: detail !== undefined && detail.length > DETAIL_MAX ? `${detail.slice(0, DETAIL_MAX)}…` : detail,
    ms: ms === null ? null : toMicroseconds(ms),
    steps: steps.map(({ by, step, device, name, ms }) => ({
      by,
      step,
      device,
      name,
      ms: toMicroseconds(ms),
    })),
  })}\n`;
}

/** A clock's digits below a microsecond say nothing. */
function toMicroseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
