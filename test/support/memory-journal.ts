/** A journal in memory that counts what a real one would have to make durable. */

import type { Journal } from '../../src/ports/world.ts';

export class MemoryJournal implements Journal {
  records: Uint8Array[];
  syncs = 0;
  /** Nothing can be written, and this is why. */
  broken: string | undefined;
  /** Sees each record that was written. */
  onRecord: (record: Uint8Array) => void = () => {};

  constructor(records: readonly Uint8Array[] = []) {
    this.records = [...records];
  }

  append(record: Uint8Array, sync: boolean): void {
    if (this.broken !== undefined) throw new Error(this.broken);
    this.records.push(record);
    if (sync) this.syncs += 1;
    this.onRecord(record);
  }

  rewrite(records: readonly Uint8Array[]): void {
    if (this.broken !== undefined) throw new Error(this.broken);
    this.records = [...records];
    this.syncs += 1;
  }

  close(): void {}
}
