/**
 * Gathers refused accesses so that a storm of them cannot flood messages or the audit log.
 *
 * The first of a kind is reported at once; then at most one report a second stands for all alike. Kinds are
 * bounded too: what does not fit is counted under the bundle as a whole.
 */

import type { Attributed } from '../../core/host/attribution.ts';
import type { Clock } from '../../ports/world.ts';

/** Shortest time between two reports of one kind, in milliseconds: a person can follow, a log does not fill. */
const REPORT_EVERY_MS = 1_000;
/** Kinds (VM, resource, CPU or DMA) that are kept apart: 32 resources x a few VMs. */
const KINDS_MAX = 128;
/** Stands for all kinds that are not kept apart; no kind has this name, since each has spaces. */
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

  /** Takes in one attributed fault, and reports it now or later. */
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

  /** Reports nothing more. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Whether another kind may be kept: those that are over make room. */
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
