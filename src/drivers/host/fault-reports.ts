/**
 * Aggregates refused accesses, so that a storm of them cannot flood messages or the audit log.
 *
 * The first fault of a kind is reported at once; then at most one report a second covers all equal ones. The number
 * of kinds is limited; further faults are counted for the bundle as a whole.
 */

import type { Attributed } from '../../core/host/attribution.ts';
import type { Clock } from '../../ports/world.ts';

/** Shortest time between two reports of one kind, in ms: readable for people, and slow enough for a log. */
const REPORT_EVERY_MS = 1_000;
/** Number of separate kinds (VM, resource, CPU or DMA): 32 resources x a few VMs. */
const KINDS_MAX = 128;
/** The kind for all others. No real kind has this name, since each contains spaces. */
const OTHERS = 'others';

interface Kind {
  last: Attributed;
  waiting: number;
  nextMs: number;
}

/** Collects faults of one bundle. */
export class FaultReports {
  readonly #clock: Clock;
  readonly #report: (attributed: Attributed, count: number) => void;
  readonly #kinds = new Map<string, Kind>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, report: (attributed: Attributed, count: number) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  /** Adds one attributed fault, and reports it now or later. */
  add(attributed: Attributed): void {
    const { fault, offender, epoch } = attributed;
    const full =
      `${offender?.vm ?? '?'} ${offender?.incarnation ?? 0} ` +
      `${fault.resource ?? fault.stream ?? fault.address} ${fault.by} ${epoch}`;
    const nowMs = this.#clock.nowMs();
    const name = this.#kinds.has(full) || this.#hasRoom(nowMs) ? full : OTHERS;
    const kind = this.#kinds.get(name);
    if (kind && nowMs < kind.nextMs) {
      kind.waiting += fault.count;
      kind.last = attributed;
      this.#cancel ??= this.#clock.after(REPORT_EVERY_MS, () => this.#flush());
      return;
    }
    const count = fault.count + (kind?.waiting ?? 0);
    this.#kinds.set(name, { last: attributed, waiting: 0, nextMs: nowMs + REPORT_EVERY_MS });
    this.#report(attributed, count);
  }

  /** Stops all reports. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Returns whether another kind may be kept; expired kinds make room. */
  #hasRoom(nowMs: number): boolean {
    if (this.#kinds.size < KINDS_MAX) return true;
    for (const [name, { waiting, nextMs }] of this.#kinds)
      if (waiting === 0 && nextMs <= nowMs) this.#kinds.delete(name);
    return this.#kinds.size < KINDS_MAX;
  }

  #flush(): void {
    this.#cancel = undefined;
    const nextMs = this.#clock.nowMs() + REPORT_EVERY_MS;
    for (const kind of this.#kinds.values()) {
      if (kind.waiting === 0) continue;
      const { waiting } = kind;
      kind.waiting = 0;
      kind.nextMs = nextMs;
      this.#report(kind.last, waiting);
    }
  }
}
