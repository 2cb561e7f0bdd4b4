/** Collects refused accesses until they are fetched: merges equal ones, is bounded, and reports losses. Pure. */

import type { FaultRecord } from '../../ports/enforcer.ts';

/** Most distinct records between two fetches. More are dropped, and the next fetch reports it. */
export const FAULT_RECORDS_MAX = 128;

export class FaultLog {
  #records: FaultRecord[] = [];
  #lost = false;

  /** Number of distinct waiting records. */
  get size(): number {
    return this.#records.length;
  }

  /** Adds a record; one that differs only in `count` from a waiting one is merged into it. */
  add(record: FaultRecord): void {
    const index = this.#records.findIndex((known) => isAlike(known, record));
    if (index >= 0) {
      const known = this.#records[index]!;
      this.#records[index] = { ...known, count: known.count + record.count };
    } else if (this.#records.length < FAULT_RECORDS_MAX) {
      this.#records.push(this.#lost && !record.lost ? { ...record, lost: true } : record);
      this.#lost = false;
    } else {
      this.#lost = true;
    }
  }

  /** Marks that records were lost before the next one. */
  markLost(): void {
    this.#lost = true;
  }

  /** Returns and clears the records. */
  take(): readonly FaultRecord[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }
}

function isAlike(left: FaultRecord, right: FaultRecord): boolean {
  return (
    left.by === right.by &&
    left.vm === right.vm &&
    left.bundle === right.bundle &&
    left.resource === right.resource &&
    left.stream === right.stream &&
    left.address === right.address &&
    left.write === right.write &&
    left.event === right.event &&
    left.lost === right.lost
  );
}
