/**
 * Limits the audit log lines that each VM may cause: a token bucket per VM. Pure.
 *
 * Without a limit, a VM that repeats requests or refused accesses would fill the log's space, and lines about others
 * would be deleted sooner. Lines beyond the share are counted; one line a minute gives their number.
 */

import type { VmId } from '../protocol/ids.ts';
import { type AuditEntry, OVER_SHARE_EVENT } from './audit.ts';

/** Size of a share. */
export interface ShareSize {
  /** Burst size in lines. */
  readonly atOnce: number;
  /** Rate in lines per second. */
  readonly perS: number;
}

/** Of the audit log: some 140 handovers of 7 lines at once; then one handover in 1.4 s, 120 MB a day. */
export const AUDIT_SHARE: ShareSize = { atOnce: 1_000, perS: 5 };
/** Interval of the lines that count omitted lines, in ms. */
export const OVER_SHARE_EVERY_MS = 60_000;

/** Refused accesses have their own share, so that their lines cannot crowd out those of handovers. */
const FAULT_EVENT = 'fault';

interface Share {
  readonly vm: VmId | undefined;
  left: number;
  filledMs: number;
  /** Number of omitted lines, and the last of them. */
  skipped: number;
  last: AuditEntry | undefined;
}

export class AuditShares {
  readonly #shares = new Map<string, Share>();
  readonly #size: ShareSize;

  constructor(size: ShareSize = AUDIT_SHARE) {
    this.#size = size;
  }

  /** Returns whether `vm` may cause this line now. `vm` undefined: no VM caused it; such lines share one bucket. */
  take(vm: VmId | undefined, entry: AuditEntry, nowMs: number): boolean {
    const key = `${entry.event === FAULT_EVENT ? FAULT_EVENT : ''} ${vm ?? ''}`;
    const share = this.#shares.get(key) ?? newShare(vm, this.#size.atOnce, nowMs);
    this.#shares.set(key, share);
    const { atOnce, perS } = this.#size;
    share.left = Math.min(atOnce, share.left + ((nowMs - share.filledMs) / 1_000) * perS);
    share.filledMs = nowMs;
    if (share.left >= 1) {
      share.left -= 1;
      return true;
    }
    share.skipped += 1;
    share.last = entry;
    return false;
  }

  /** Returns a line for each VM with omitted lines since the last call. */
  leftOut(nowMs: number): AuditEntry[] {
    return [...this.#shares.values()].flatMap((share) => {
      const { vm, skipped, last } = share;
      if (!last) return [];
      share.skipped = 0;
      share.last = undefined;
      const words = `${skipped} lines caused by ${vm ?? 'no VM'} were omitted: more than ${this.#size.perS} a second`;
      const detail = `${words}; the last one: ${last.event}${last.detail === undefined ? '' : ` (${last.detail})`}`;
      return [{ ...last, atMs: Math.round(nowMs), event: OVER_SHARE_EVENT, detail }];
    });
  }
}

function newShare(vm: VmId | undefined, left: number, nowMs: number): Share {
  return { vm, left, filledMs: nowMs, skipped: 0, last: undefined };
}
