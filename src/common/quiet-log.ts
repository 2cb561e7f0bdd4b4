/**
 * A rate-limited log. Lines that a peer, a broker or a local client causes are written a few times, then counted.
 *
 * Lines are of one kind when they concern the same party and start alike (up to the first colon, ignoring numbers).
 * The first few of a kind are written at once, and so is a line with new text. Further ones wait: some seconds later
 * each different line is written once more, with its count (`times`). So no first line and no change is lost in a
 * flood, and memory is bounded. Lines of level debug are not limited.
 */

import type { Clock, Log, LogLevel } from '../ports/world.ts';

/** Burst size per kind: an agent that restarts a few times is shown in full. */
const BURST = 10;
/** Further lines with new text, so that a change is visible in a flood of known lines. */
const NEWS = 4;
/** Texts of a kind that are remembered as known. */
const KNOWN_MAX = 8;
/** Time per further line of a kind, in ms: 9,000 a day. */
const REFILL_MS = 10_000;
/** Longest time from one summary of a flood to the next, in ms; the first comes after REFILL_MS. */
const SUMMARY_MAX_MS = 60_000;
/** Different waiting lines of a kind; beyond that, only a count is kept. */
const WAITING_MAX = 4;
/** Number of separate kinds: some ten for each of a few peers and bundles. All others count as one. */
const KINDS_MAX = 256;
/** Characters that identify a kind: longer than the start of any of our lines. */
const KIND_CHARS = 60;
/** The party of a line: the first of these fields. */
const PARTIES = ['peer', 'vm', 'from', 'to', 'bundle'] as const;

type Fields = Readonly<Record<string, unknown>>;

/** A waiting line and its count. */
interface Waiting {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Fields;
  readonly times: number;
}

interface Kind {
  tokens: number;
  news: number;
  readonly known: Set<string>;
  refilledMs: number;
  readonly waiting: Map<string, Waiting>;
  /** Lines of the kind that differ from all waiting ones. */
  others: number;
  summaryMs: number;
  cancel: (() => void) | undefined;
}

/** A rate-limited log. */
export interface QuietLog extends Log {
  /** Writes all waiting lines: at the end of the process. */
  flush(): void;
}

/** Returns a rate-limited log over `log`; returns `log` itself if it already is one. */
export function quietLog(log: Log, clock: Clock): QuietLog {
  if ('flush' in log) return log as QuietLog;
  const limiter = new Limiter(log, clock);
  const quiet = (level: LogLevel, message: string, fields: Fields = {}) =>
    limiter.line(level, message, fields);
  return Object.assign(quiet, {
    flush: () => limiter.flush(),
    each: log,
    ...(log.level === undefined ? {} : { level: log.level }),
  });
}

class Limiter {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #kinds = new Map<string, Kind>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  line(level: LogLevel, message: string, fields: Fields): void {
    if (level === 'debug') return this.#log(level, message, fields);
    const kind = this.#kindOf(level, message, fields);
    // A changed epoch or time is not new text.
    const text = message + JSON.stringify(fields, (_, value) => (typeof value === 'number' ? 0 : value));
    if (this.#take(kind, text)) {
      this.#summarise(kind);
      return this.#log(level, message, fields);
    }
    const { times = 0 } = kind.waiting.get(text) ?? {};
    if (times === 0 && kind.waiting.size >= WAITING_MAX) this.#leaveOut(kind);
    // Of lines that differ only in numbers, the last one is kept.
    kind.waiting.set(text, { level, message, fields, times: times + 1 });
    kind.cancel ??= this.#clock.after(kind.summaryMs, () => {
      kind.cancel = undefined;
      kind.summaryMs = Math.min(kind.summaryMs * 2, SUMMARY_MAX_MS);
      this.#summarise(kind);
      // The summary used this interval's line.
      kind.tokens = 0;
      kind.news = Math.min(NEWS, kind.news + 1);
      kind.refilledMs = this.#clock.nowMs();
    });
  }

  /** Makes room among the waiting lines: the first and the last ones stay. */
  #leaveOut(kind: Kind): void {
    const [text, { times }] = [...kind.waiting][WAITING_MAX / 2]!;
    kind.waiting.delete(text);
    kind.others += times;
  }

  flush(): void {
    for (const kind of this.#kinds.values()) this.#summarise(kind);
  }

  #kindOf(level: LogLevel, message: string, fields: Fields): Kind {
    const [head = ''] = message.slice(0, KIND_CHARS).split(':', 1);
    const name = `${level} ${head.replace(/[0-9]+/g, '#')}`;
    const party = PARTIES.map((field) => fields[field]).find((value) => value !== undefined) ?? '';
    const key = `${name} ${String(party).slice(0, KIND_CHARS)}`;
    const known = this.#kinds.get(key);
    if (known) return known;
    if (this.#kinds.size >= KINDS_MAX) this.#forgetIdle();
    const size = this.#kinds.size;
    const shared = size < KINDS_MAX ? key : size < 2 * KINDS_MAX ? name : level;
    const kind = this.#kinds.get(shared) ?? {
      tokens: BURST,
      news: NEWS,
      known: new Set<string>(),
      refilledMs: this.#clock.nowMs(),
      waiting: new Map(),
      others: 0,
      summaryMs: REFILL_MS,
      cancel: undefined,
    };
    this.#kinds.set(shared, kind);
    return kind;
  }

  /** Returns whether a line may be written now. */
  #take(kind: Kind, text: string): boolean {
    const nowMs = this.#clock.nowMs();
    const refill = Math.floor(Math.max(0, nowMs - kind.refilledMs) / REFILL_MS);
    kind.refilledMs += refill * REFILL_MS;
    kind.tokens = Math.min(BURST, kind.tokens + refill);
    kind.news = Math.min(NEWS, kind.news + refill);
    if (kind.tokens === BURST) {
      kind.refilledMs = nowMs;
      kind.summaryMs = REFILL_MS;
    }
    const isNews = !kind.known.has(text);
    // While lines wait, the flood continues, and its summary will follow.
    const isCalm = kind.tokens > 0 && kind.waiting.size === 0;
    if (!isCalm && !(isNews && kind.news > 0)) return false;
    if (isCalm) kind.tokens -= 1;
    else kind.news -= 1;
    const [oldest] = kind.known;
    if (isNews && kind.known.size >= KNOWN_MAX) kind.known.delete(oldest!);
    kind.known.add(text);
    return true;
  }

  #summarise(kind: Kind): void {
    kind.cancel?.();
    kind.cancel = undefined;
    const all = [...kind.waiting.values()];
    const { others } = kind;
    kind.waiting.clear();
    kind.others = 0;
    for (const { level, message, fields, times } of all) this.#log(level, message, { ...fields, times });
    const last = all.at(-1);
    if (last && others > 0)
      this.#log(last.level, `${others} more lines of this kind are left out`, last.fields);
  }

  #forgetIdle(): void {
    for (const [key, kind] of this.#kinds) {
      const isFull = this.#clock.nowMs() - kind.refilledMs >= (BURST - kind.tokens) * REFILL_MS;
      if (isFull && kind.waiting.size === 0) this.#kinds.delete(key);
    }
  }
}
