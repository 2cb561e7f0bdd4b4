/** Handover records for people: reads them from the parts of a file, and tells each in one line. */

import { RECORD_LINE_MAX } from '../../../src/core/host/handover-record.ts';
import { clockText, dayText } from './local-time.ts';

/** A step of a record. */
export interface StoredStep {
  readonly by: string;
  readonly step: string;
  readonly device?: string;
  readonly name?: string;
  readonly ms: number;
}

/** A record as it is in the file, as far as it is read here. */
export interface StoredRecord {
  /** ISO 8601. */
  readonly time: string;
  readonly bundle: string | null;
  readonly epoch: number | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly purpose: string | null;
  readonly cause: string | null;
  readonly outcome: string;
  readonly why?: string;
  readonly detail?: string;
  readonly ms: number | null;
  readonly steps: readonly StoredStep[];
}

/**
 * Returns the records of a file that comes in parts of any length, in constant memory. Calls `onDamage` for each line
 * that is no record.
 */
export function* recordsIn(parts: Iterable<string>, onDamage: () => void): Generator<StoredRecord> {
  let rest = '';
  let isTooLong = false;
  for (const part of parts) {
    const lines = (rest + part).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (!isTooLong) yield* recordOf(line, onDamage);
      isTooLong = false;
    }
    if (rest.length <= RECORD_LINE_MAX) continue;
    if (!isTooLong) onDamage();
    isTooLong = true;
    rest = '';
  }
  // The host may be writing it.
  if (rest !== '' && !isTooLong) yield* recordOf(rest, onDamage);
}

function* recordOf(line: string, onDamage: () => void): Generator<StoredRecord> {
  if (line === '') return;
  const record = line.length > RECORD_LINE_MAX ? undefined : parsed(line);
  if (record) yield record;
  else onDamage();
}

function parsed(line: string): StoredRecord | undefined {
  try {
    const record = JSON.parse(line) as StoredRecord;
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

const isMaybeText = (value: unknown) => value === null || value === undefined || typeof value === 'string';
const isMaybeNumber = (value: unknown) => value === null || typeof value === 'number';

function isRecord(value: StoredRecord | null): value is StoredRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { time, bundle, epoch, from, to, purpose, cause, outcome, why, detail, ms, steps } = value;
  if (typeof time !== 'string' || Number.isNaN(Date.parse(time)) || typeof outcome !== 'string') return false;
  if (![bundle, from, to, purpose, cause, why, detail].every(isMaybeText)) return false;
  return isMaybeNumber(epoch) && isMaybeNumber(ms) && Array.isArray(steps) && steps.every(isStep);
}

function isStep(value: StoredStep | null): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { by, step, device, name, ms } = value;
  return [by, step].every((text) => typeof text === 'string') && isMaybeText(device) && isMaybeText(name)
    ? typeof ms === 'number'
    : false;
}

/** Widths of the columns in which most names fit. */
const WIDTHS = [23, 8, 6, 17, 8, 8, 24, 8];

/** Returns a record as one line: time, bundle, epoch, parties, purpose, cause, outcome, duration, slowest step. */
export function lineOf(record: StoredRecord): string {
  const { time, bundle, epoch, from, to, purpose, cause, outcome, why, detail, ms } = record;
  const then = new Date(time);
  const parties = outcome === 'omitted' ? '-' : `${from ?? 'nobody'} → ${to ?? 'nobody'}`;
  const columns = [
    `${dayText(then)} ${clockText(then)}`,
    word(bundle),
    String(epoch ?? '-'),
    parties,
    word(purpose),
    word(cause),
    why === undefined ? outcome : `${outcome}: ${why}`,
    ms === null ? '-' : msText(ms),
  ];
  const slowest = slowestOf(record);
  const more = [...(slowest === undefined ? [] : [`slowest: ${slowest}`]), ...(detail ? [detail] : [])];
  return `${columns.map((text, index) => text.padEnd(WIDTHS[index]!)).join('  ')}  ${more.join('; ')}`.trimEnd();
}

/** A text of a VM as one word, since words are told apart by spaces. */
function word(text: string | null): string {
  if (text === null || text === '') return '-';
  return /[\s"]/.test(text) ? JSON.stringify(text) : text;
}

function msText(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** Waits of the host, and the hook of the other party that explains them. */
const WAITS: Readonly<Record<string, string>> = { lend: 'suspend', confirm: 'resume' };

/**
 * Returns the slowest step in words. Of the host's waits only that part counts which no hook explains: messages, and
 * the agents themselves. Of a hook, its slowest step is named.
 */
export function slowestOf({ steps }: Pick<StoredRecord, 'steps'>): string | undefined {
  let best: { readonly index: number; readonly ms: number } | undefined;
  for (const [index, { by, step, ms }] of steps.entries()) {
    if (step === 'hook') continue;
    const hook = by === 'host' ? WAITS[step] : undefined;
    const own = hook === undefined ? ms : ms - sumOf(steps, hook);
    if (own > 0 && own > (best?.ms ?? 0)) best = { index, ms: own };
  }
  if (!best) return undefined;
  const { by, step } = steps[best.index]!;
  const what = by !== 'host' ? `${by} ${step}` : step in WAITS ? `waiting for ${step}` : step;
  const inner = by === 'host' ? undefined : slowestHookStep(steps, best.index);
  const where = inner ? ` (${[inner.device, inner.name].join('/')}, ${msText(inner.ms)})` : '';
  return `${what}, ${msText(best.ms)}${where}`;
}

function sumOf(steps: readonly StoredStep[], hook: string): number {
  return steps.reduce((sum, { step, ms }) => sum + (step === hook ? ms : 0), 0);
}

/** Steps of a hook follow it in the list. */
function slowestHookStep(steps: readonly StoredStep[], hook: number): StoredStep | undefined {
  const after = steps.slice(hook + 1);
  const end = after.findIndex(({ step }) => step !== 'hook');
  const own = end < 0 ? after : after.slice(0, end);
  return own.reduce<StoredStep | undefined>(
    (best, one) => (one.ms > (best?.ms ?? 0) ? one : best),
    undefined,
  );
}
