/** A durable record in memory. It shares the fault of a journal, as on one disk. */

import type { DurableRecord } from '../../src/ports/world.ts';
import type { MemoryJournal } from './memory-journal.ts';

export class MemoryRecord implements DurableRecord {
  found: Uint8Array | undefined;
  writes = 0;
  readonly #disk: Pick<MemoryJournal, 'broken'>;

  constructor(disk: Pick<MemoryJournal, 'broken'>) {
    this.#disk = disk;
  }

  write(record: Uint8Array, done: (fault: string | undefined) => void): void {
    this.writes += 1;
    if (this.#disk.broken === undefined) this.found = record;
    done(this.#disk.broken);
  }
}
