/**
 * How many lines of the audit log each VM may cause: a token bucket per VM. Pure.
 *
 * A VM that lends, borrows or touches what it may not, again and again, would else fill the disk's share of the log
 * with its own lines, and what others did would be deleted sooner. Lines beyond the share are counted, and one line a
 * minute says how many there were.
 */

import type { VmId } from '../protocol/ids.ts';
import { type AuditEntry, OVER_SHARE_EVENT } from './audit.ts';

/** Lines at once: some 140 handovers of 7 lines. */
const LINES_AT_ONCE = 1_000;
/** Lines after that: one handover in 1.4 s without end, 120 MB a day. */
const LINES_PER_S = 5;
/** Time between two lines that tell what was left out, in ms. */
export const OVER_SHARE_EVERY_MS = 60_000;

/** Refused accesses have a share of their own: a VM that makes them without end must not hide what it holds by it. */
const FAULT_EVENT = 'fault';

interface Share {
  readonly vm: VmId | undefined;
  left: number;
  filledMs: number;
  /** Lines left out, and the last of them. */
  skipped: number;
  last: AuditEntry | undefined;
}

export class AuditShares {
  readonly #shares = new Map<string, Share>();

  /** Whether `vm` may cause this line now. `vm`: undefined when no VM is behind it, which is a party of its own. */
  take(vm: VmId | undefined, entry: AuditEntry, nowMs: number): boolean {
    const key = `${entry.event === FAULT_EVENT ? FAULT_EVENT : ''} ${vm ?? ''}`;
    const share = this.#shares.get(key) ?? newShare(vm, nowMs);
    this.#shares.set(key, share);
    share.left = Math.min(LINES_AT_ONCE, share.left + ((nowMs - share.filledMs) / 1_000) * LINES_PER_S);
    share.filledMs = nowMs;
    if (share.left >= 1) {
      share.left -= 1;
      return true;
    }
    share.skipped += 1;
    share.last = entry;
    return false;
  }

  /** Returns a line for each VM of which lines were left out since the last call. */
  leftOut(nowMs: number): AuditEntry[] {
    return [...this.#shares.values()].flatMap((share) => {
      const { vm, skipped, last } = share;
      if (!last) return [];
      share.skipped = 0;
      share.last = undefined;
      const words = `${skipped} lines that ${vm ?? 'no VM'} caused are left out: more than ${LINES_PER_S} a second`;
      const detail = `${words}; the last one: ${last.event}${last.detail === undefined ? '' : ` (${last.detail})`}`;
      return [{ ...last, atMs: Math.round(nowMs), event: OVER_SHARE_EVENT, detail }];
    });
  }
}

function newShare(vm: VmId | undefined, nowMs: number): Share {
  return { vm, left: LINES_AT_ONCE, filledMs: nowMs, skipped: 0, last: undefined };
}
