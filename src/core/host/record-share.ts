/**
 * Limits the handover records that each VM may cause, as audit-share.ts does for lines of the audit log; and the
 * records that stand for others, which are not in the file. Pure.
 */

import type { BundleId, VmId } from '../protocol/ids.ts';
import { AuditShares, type ShareSize } from './audit-share.ts';
import type { HandoverRecord } from './handover-record.ts';

/** 150 leases and their returns at once, then one of them in 2 s: at 1 kB a record, 86 MB a day. */
const RECORD_SHARE: ShareSize = { atOnce: 300, perS: 1 };

/** Shares of the VMs in the handover records. */
export class RecordShares {
  readonly #shares = new AuditShares(RECORD_SHARE);

  /** Returns whether `vm` may cause this record now. `vm` undefined: no VM caused it. */
  take(vm: VmId | undefined, { bundle, outcome }: HandoverRecord, nowMs: number): boolean {
    const line = { atMs: nowMs, bundle: bundle ?? '-', event: outcome, epoch: 0, holder: null };
    return this.#shares.take(vm, line, nowMs);
  }

  /** Returns a record for each VM with omitted records since the last call. */
  leftOut(nowMs: number): HandoverRecord[] {
    return this.#shares
      .leftOut(nowMs)
      .map(({ bundle, detail }) => omitted(bundle as BundleId, 'overShare', detail ?? '', nowMs));
  }
}

/** Returns the record that stands for records that are not in the file. */
export function omitted(
  bundle: BundleId | null,
  why: 'overShare' | 'unwritten',
  detail: string,
  nowMs: number,
): HandoverRecord {
  const nobody = { epoch: null, from: null, to: null, purpose: null, cause: null, ms: null, steps: [] };
  return { startedMs: nowMs, bundle, ...nobody, outcome: 'omitted', why, detail };
}
