/**
 * Watches the attempts of one bundle and makes a record of each (handover-record.ts): when it begins, what its time is
 * spent on, how it ends.
 *
 * Pure, and for people: it looks at steps of the host's table (host-table.ts), and no decision depends on it. An
 * attempt begins with its reservation or with its move, and ends once its holder has confirmed, or when it can no
 * longer do so. Two may be open: one that waits for its confirmation, and the reservation of the next one.
 */

import type { MoveCause } from '../protocol/codes.ts';
import type { BundleId, Epoch, VmId } from '../protocol/ids.ts';
import { MESSAGES, STEPS_MAX, type StepTime } from '../protocol/messages.ts';
import { OWNER_TIMERS } from '../protocol/timers.ts';
import {
  type HandoverOutcome,
  type HandoverRecord,
  type HostStage,
  REPORTED_MAX,
  type RecordedStep,
} from './handover-record.ts';
import {
  type Attempt,
  type HostConfig,
  type HostEffect,
  type HostInput,
  type HostState,
  isAlive,
} from './host-state.ts';

/** An attempt that has not ended. Immutable. */
export interface OpenHandover {
  readonly epoch: Epoch;
  readonly cause: MoveCause;
  readonly from: VmId | undefined;
  readonly to: VmId | undefined;
  readonly purpose: string | undefined;
  readonly startedMs: number;
  /** What the host does now, and since when. */
  readonly stage: HostStage;
  readonly sinceMs: number;
  /** What the host did before, in ms. */
  readonly stages: Readonly<Partial<Record<HostStage, number>>>;
  readonly reported: readonly RecordedStep[];
  /** The phase that failed, and its error. */
  readonly failure?: Failure | undefined;
  /** Why it turned back to the owner. */
  readonly turned?: string | undefined;
}

interface Failure {
  readonly phase: string;
  readonly error: string;
}

/** One step of the host's table. */
export interface WatchedStep {
  readonly before: HostState;
  readonly after: HostState;
  readonly input: HostInput;
  readonly effects: readonly HostEffect[];
  readonly config: HostConfig;
}

/** What a step leaves: the attempts that are open, and the records of those that ended. */
export interface Watched {
  readonly open: readonly OpenHandover[];
  readonly records: readonly HandoverRecord[];
}

const NONE_OPEN: readonly OpenHandover[] = [];

/** By bundle. */
type Handovers = Readonly<Record<BundleId, readonly OpenHandover[]>>;

/** Returns the open attempts of all bundles after a step of one, and the records of those that it ended. */
export function watchBundle(
  handovers: Handovers,
  step: WatchedStep,
): { readonly handovers: Handovers; readonly records: readonly HandoverRecord[] } {
  const { bundle } = step.config;
  const before = handovers[bundle] ?? NONE_OPEN;
  const { open, records } = watchHandovers(before, step);
  return { handovers: open === before ? handovers : { ...handovers, [bundle]: open }, records };
}

/** Returns what a step of the host's table means for the records of its bundle. */
function watchHandovers(open: readonly OpenHandover[], step: WatchedStep): Watched {
  const { before, after, input, effects } = step;
  if (input.on === 'start') return { open: begun(NONE_OPEN, step), records: interrupted(step) };
  const refusal = effects.find(isRefusedPrepare);
  if (open.length === 0 && before === after && !refusal) return { open, records: [] };
  const records: HandoverRecord[] = [];
  const still: OpenHandover[] = [];
  for (const one of open) {
    const seen = withReport(withFailure(one, step), step);
    const end = endOf(seen, step);
    if (end) records.push(closed(seen, end, step));
    else still.push(moved(seen, step));
  }
  if (input.on === 'prepare' && refusal) records.push(refused(input, refusal.message.code, step));
  const isSame = still.length === open.length && still.every((one, index) => one === open[index]);
  return { open: begun(isSame ? open : still, step), records };
}

type Refusal = Extract<HostEffect, { do: 'send' }> & { readonly message: { readonly kind: 'refused' } };

function isRefusedPrepare(effect: HostEffect): effect is Refusal {
  if (effect.do !== 'send' || effect.message.kind !== 'refused') return false;
  return effect.message.command === MESSAGES.prepare.number;
}

/** What the host does for the attempt of `epoch` in `state`; undefined: nothing, it is over. */
function stageOf({ reservation, attempt, holder }: HostState, epoch: Epoch): HostStage | undefined {
  if (attempt?.epoch === epoch) return attempt.phase === 'inspect' ? undefined : attempt.phase;
  if (reservation?.epoch === epoch) return reservation.isTold ? 'lend' : 'prepare';
  return holder?.epoch === epoch && !holder.confirmed ? 'confirm' : undefined;
}

/** Returns `open` with the attempts that this step began. */
function begun(open: readonly OpenHandover[], step: WatchedStep): readonly OpenHandover[] {
  const { after, input, config } = step;
  const { reservation, attempt } = after;
  const isNew = (epoch: Epoch) => !open.some((one) => one.epoch === epoch);
  const base = { startedMs: input.nowMs, sinceMs: input.nowMs, stages: {}, reported: [] };
  const added: OpenHandover[] = [];
  if (input.on === 'prepare' && reservation && isNew(reservation.epoch)) {
    const { epoch, borrower } = reservation;
    const { purpose } = input.message;
    const reported = reportedBy(input);
    const parties = { from: config.owner, to: borrower.vm };
    added.push({ ...base, epoch, cause: 'lend', ...parties, purpose, stage: 'prepare', reported });
  }
  // A host that starts has the last attempt of the record in its state, too.
  if (attempt && after.name === 'moving' && isNew(attempt.epoch)) {
    const { epoch, cause, from, to } = attempt;
    const reported = input.on === 'release' ? reportedBy(input) : [];
    const parties = { from: from?.vm, to: to?.vm };
    added.push({ ...base, epoch, cause, ...parties, purpose: undefined, stage: 'fence', reported });
  }
  return added.length === 0 ? open : [...open, ...added];
}

/** What each message may report, besides single steps of a hook. */
const REPORTS = {
  prepare: ['policy'],
  lend: ['suspend', 'hook'],
  confirm: ['prepare', 'resume', 'hook'],
  release: ['suspend', 'hook'],
} as const satisfies Record<string, readonly StepTime['step'][]>;
type Report = Extract<HostInput, { on: keyof typeof REPORTS }>;

/** A VM is believed what it says of itself, within the time that its agent gives a policy. */
function reportedBy({ on, from: by, message }: Report): RecordedStep[] {
  const allowed: readonly string[] = REPORTS[on];
  return (message.steps ?? [])
    .filter(({ step }) => allowed.includes(step))
    .slice(0, on === 'prepare' ? 1 : STEPS_MAX)
    .map((one) => ({
      by,
      ...one,
      ms: one.step === 'policy' ? Math.min(one.ms, OWNER_TIMERS.policy) : one.ms,
    }));
}

/** The holder and the owner report what they did before their message. */
function withReport(one: OpenHandover, { before, after, input }: WatchedStep): OpenHandover {
  const isLend =
    input.on === 'lend' && before.reservation?.epoch === one.epoch && after.attempt !== undefined;
  const isConfirm = input.on === 'confirm' && before.holder?.epoch === one.epoch && after.holder?.confirmed;
  if ((!isLend && !isConfirm) || input.message.epoch !== one.epoch) return one;
  const reported = [...one.reported, ...reportedBy(input)];
  return { ...one, reported: reported.slice(0, REPORTED_MAX) };
}

function withFailure(one: OpenHandover, { before, input }: WatchedStep): OpenHandover {
  const { attempt } = before;
  if (attempt?.epoch !== one.epoch) return one;
  if (input.on === 'timer:enforce')
    return { ...one, failure: { phase: attempt.phase, error: 'no answer in time' } };
  if (input.on !== 'phaseDone' || input.epoch !== one.epoch || input.phase !== attempt.phase) return one;
  const { result, phase } = input;
  if (!result.ok) return { ...one, failure: { phase, error: result.error } };
  if (result.idle === false) return { ...one, failure: { phase, error: 'a device is not idle' } };
  return one.failure && one.turned === undefined ? { ...one, failure: undefined } : one;
}

/** Returns the attempt with the time of its stage counted, and with what the step changed of it. */
function moved(one: OpenHandover, { before, after, input }: WatchedStep): OpenHandover {
  const stage = stageOf(after, one.epoch) ?? one.stage;
  const attempt = after.attempt?.epoch === one.epoch ? after.attempt : undefined;
  const turned =
    one.turned ??
    (attempt?.cause === 'rollback' && one.cause === 'lend' ? whyTurned(one, before) : undefined);
  // Who gets a bundle that returns is decided last. A lend that turns back was meant for its borrower all the same.
  const to = one.cause === 'lend' || !attempt ? one.to : attempt.to?.vm;
  if (stage === one.stage) return turned === one.turned && to === one.to ? one : { ...one, turned, to };
  return { ...one, turned, to, stage, sinceMs: input.nowMs, stages: stagesAt(one, input.nowMs) };
}

function stagesAt({ stages, stage, sinceMs }: OpenHandover, nowMs: number): OpenHandover['stages'] {
  return { ...stages, [stage]: (stages[stage] ?? 0) + nowMs - sinceMs };
}

/** Returns why a lend turns back to its owner. */
function whyTurned({ failure }: OpenHandover, before: HostState): string {
  if (failure) return failure.phase === 'grant' ? 'grantFailed' : 'resetFailed';
  const { cancelled, to } = before.attempt as Attempt;
  if (cancelled) return 'cancelled';
  return to && !isAlive(before, to) ? 'borrowerAbsent' : 'supplyLost';
}

/** How an attempt ended. */
interface End {
  readonly outcome: HandoverOutcome;
  readonly why?: string | undefined;
  readonly detail?: string | undefined;
}

/** Returns how this step ends an attempt; undefined: it goes on. */
function endOf(one: OpenHandover, step: WatchedStep): End | undefined {
  const { before, after, input } = step;
  const { epoch } = one;
  if (before.reservation?.epoch === epoch && stageOf(after, epoch) === undefined)
    return endOfReservation(step);
  if (before.attempt?.epoch === epoch) {
    if (after.attempt?.epoch === epoch || after.holder?.epoch === epoch) return undefined;
    return endOfMove(one, step);
  }
  const stage = stageOf(after, epoch);
  // An owner whose VM starts confirms once its agent runs, however long that takes.
  const isLate = input.on === 'timer:confirm' && one.cause !== 'start';
  if (stage === 'confirm' && isLate) return unconfirmed(one, 'noConfirm');
  if (stage !== undefined) return undefined;
  if (after.holder?.epoch === epoch) return granted(one);
  const detail = input.on === 'reject' ? input.message.what : undefined;
  return unconfirmed(one, after.attempt?.cause ?? after.quarantine?.cause, detail);
}

function endOfReservation({ after, effects, input }: WatchedStep): End {
  const refusal = effects.find(isRefusedPrepare);
  if (refusal) {
    const detail = input.on === 'recorded' ? input.fault : undefined;
    return { outcome: 'refused', why: refusal.message.code, detail };
  }
  const told = effects.find((effect) => effect.do === 'send' && effect.message.kind === 'refused');
  const code = told?.do === 'send' && told.message.kind === 'refused' ? told.message.code : undefined;
  return { outcome: 'lapsed', why: code ?? after.attempt?.cause ?? after.quarantine?.cause };
}

/** The move ended, and its holder is not the present one. */
function endOfMove(one: OpenHandover, { after }: WatchedStep): End {
  const { failure } = one;
  const detail = failure && `${failure.phase} failed: ${failure.error}`;
  const isFinished = after.lastEpoch === one.epoch;
  if (isFinished && after.quarantine) return { outcome: 'quarantined', why: after.quarantine.cause, detail };
  // From a parked bundle another move may begin in the same step. That one has nobody to take the bundle from.
  if (isFinished && after.attempt?.from === undefined) return { outcome: 'parked' };
  if (isFinished) return unconfirmed(one, after.attempt?.cause);
  return { outcome: 'rolledBack', why: failure ? `${failure.phase}Failed` : after.attempt?.cause, detail };
}

function granted({ cause, turned, failure }: OpenHandover): End {
  if (turned === undefined) return { outcome: cause === 'lend' ? 'confirmed' : 'returned' };
  return {
    outcome: 'rolledBack',
    why: turned,
    detail: failure && `${failure.phase} failed: ${failure.error}`,
  };
}

function unconfirmed(one: OpenHandover, why: string | undefined, detail?: string): End {
  return one.turned === undefined ? { outcome: 'unconfirmed', why, detail } : granted(one);
}

/** Host stages in their order. */
const STAGES: readonly HostStage[] = ['prepare', 'lend', 'fence', 'settle', 'clean', 'grant', 'confirm'];

function closed(one: OpenHandover, end: End, { input, config }: WatchedStep): HandoverRecord {
  const { epoch, cause, from, to, purpose = null, startedMs, reported } = one;
  const stages = stagesAt(one, input.nowMs);
  const own: RecordedStep[] = STAGES.flatMap((step) => {
    const ms = stages[step];
    return ms === undefined ? [] : [{ by: 'host', step, ms }];
  });
  return {
    startedMs,
    bundle: config.bundle,
    epoch,
    from: from ?? null,
    to: to ?? null,
    purpose,
    cause,
    ...end,
    ms: policyMs(reported) + input.nowMs - startedMs,
    steps: [...own, ...reported],
  };
}

function policyMs(reported: readonly RecordedStep[]): number {
  return reported.find(({ step }) => step === 'policy')?.ms ?? 0;
}

function refused(
  input: Extract<HostInput, { on: 'prepare' }>,
  why: string,
  { config }: WatchedStep,
): HandoverRecord {
  const { from, message, nowMs } = input;
  const steps = reportedBy(input);
  return {
    startedMs: nowMs,
    bundle: config.bundle,
    epoch: null,
    from,
    to: message.borrower,
    purpose: message.purpose ?? null,
    cause: 'lend',
    outcome: 'refused',
    why,
    ms: policyMs(steps),
    steps,
  };
}

/**
 * A host that starts: what the last one had under way, by its table. Times and purpose are not in the table. An attempt
 * that had ended well may lack its record as well, since records are written later than the table.
 */
function interrupted({ input, config }: WatchedStep): HandoverRecord[] {
  if (input.on !== 'start' || input.recovered.kind !== 'record') return [];
  const { attempt, reservation, holder, lastCause } = input.recovered.state;
  const { owner, bundle } = config;
  const { recorded } = input;
  const left = (part: Pick<HandoverRecord, 'epoch' | 'cause' | 'from' | 'to' | 'outcome'>) => {
    const unknown = { purpose: null, ms: null, steps: [] };
    return recorded?.includes(part.epoch!) ? [] : [{ ...unknown, ...part, startedMs: input.nowMs, bundle }];
  };
  const isUnwritten =
    recorded !== undefined && holder !== undefined && holder.epoch > Math.max(0, ...recorded);
  const outcome = !holder?.confirmed ? 'interrupted' : holder.lease ? 'confirmed' : 'returned';
  const from = holder?.lease ? owner : null;
  const { epoch, borrower } = reservation ?? {};
  return [
    ...(holder && (isUnwritten || !holder.confirmed)
      ? left({ epoch: holder.epoch, cause: lastCause, from, to: holder.vm, outcome })
      : []),
    ...(epoch && borrower
      ? left({ epoch, cause: 'lend', from: owner, to: borrower.vm, outcome: 'interrupted' })
      : []),
    ...(attempt ? left({ ...partiesOf(attempt), outcome: 'interrupted' }) : []),
  ];
}

function partiesOf({ epoch, cause, from, to }: Attempt) {
  return { epoch, cause, from: from?.vm ?? null, to: to?.vm ?? null };
}
