/** What the host's table promises about epochs, and what it does after a sync that failed. */

import { beforeEach, describe, expect, it } from 'vitest';
import { HostTable } from '../../src/host/table.ts';
import type { BundleId, Epoch } from '../../src/protocol/ids.ts';
import { type HostState, initialHost } from '../../src/protocol/index.ts';
import { MemoryJournal } from '../support/memory-journal.ts';

const PANEL = 'panel' as BundleId;
const TOUCH = 'touch' as BundleId;
const REGISTRY = { machineBoot: 'b', lives: {}, running: [] };
const at = (epoch: number): HostState => ({ ...initialHost(), epoch: epoch as Epoch });

/** A journal that keeps how it was written to, and fails when told to. */
class ToldJournal extends MemoryJournal {
  readonly orders: string[] = [];
  /** The disk takes records, and does not make them durable. */
  syncFails = false;

  override append(record: Uint8Array, sync: boolean): void {
    this.orders.push(sync ? 'append, sync' : 'append');
    super.append(record, sync);
    if (sync && this.syncFails) throw new Error('EIO');
  }

  override rewrite(records: readonly Uint8Array[]): void {
    this.orders.push('rewrite');
    if (this.syncFails) throw new Error('EIO');
    super.rewrite(records);
  }
}

let journal: ToldJournal;
let table: HostTable;
beforeEach(() => {
  journal = new ToldJournal();
  table = new HostTable(journal);
  table.writeRegistry(REGISTRY);
  journal.orders.length = 0;
});

describe('a new table', () => {
  it('is written whole with its registry, and not before', () => {
    const fresh = new ToldJournal();
    const first = new HostTable(fresh);
    first.writeBundle(PANEL, at(1), true);
    first.writeBundle(TOUCH, at(1), false);
    expect(fresh.orders).toEqual([]);
    first.writeRegistry(REGISTRY);
    expect(fresh.orders).toEqual(['rewrite']);
    const read = new HostTable(new MemoryJournal(fresh.records));
    expect(read.registry()).toEqual(REGISTRY);
    expect([read.bundle(PANEL)?.epoch, read.bundle(TOUCH)?.epoch]).toEqual([17, 17]);
  });
});

describe('epochs beyond that of a record', () => {
  it('are not reserved by a record that may be lost with the power', () => {
    table.writeBundle(PANEL, at(100), false);
    expect(table.isReserved(PANEL, 100)).toBe(false);
    table.writeBundle(TOUCH, at(1), true);
    expect(table.isReserved(PANEL, 116)).toBe(true);
    expect(table.isReserved(PANEL, 117)).toBe(false);
    table.writeBundle(PANEL, at(110), false);
    expect(table.isReserved(PANEL, 117)).toBe(false);
    expect(new HostTable(new MemoryJournal(journal.records)).bundle(PANEL)?.epoch).toBe(126);
  });

  it('are not reserved by a record whose sync failed', () => {
    journal.syncFails = true;
    expect(() => table.writeBundle(PANEL, at(100), true)).toThrow('EIO');
    expect(table.isReserved(PANEL, 100)).toBe(false);
  });
});

describe('after a sync that failed', () => {
  it('the next durable record comes with a whole new file: nobody knows what the kernel dropped', () => {
    table.writeBundle(TOUCH, at(7), true);
    journal.syncFails = true;
    expect(() => table.writeBundle(PANEL, at(100), true)).toThrow('EIO');
    expect(journal.orders).toEqual(['append, sync', 'append, sync', 'rewrite']);
    journal.syncFails = false;
    journal.orders.length = 0;
    table.writeBundle(PANEL, at(101), false);
    table.writeBundle(PANEL, at(102), true);
    table.writeBundle(PANEL, at(103), true);
    expect(journal.orders).toEqual(['append', 'rewrite', 'append, sync']);
    expect(table.isReserved(PANEL, 119)).toBe(true);
    const read = new HostTable(new MemoryJournal(journal.records));
    expect([read.bundle(TOUCH)?.epoch, read.bundle(PANEL)?.epoch]).toEqual([23, 119]);
  });
});
