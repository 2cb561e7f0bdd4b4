/** What the host's table promises about epochs, and what it does after a sync that failed. */

import { beforeEach, describe, expect, it } from 'vitest';
import { type HostState, initialHost } from '../../../src/core/host/host-state.ts';
import type { BundleId, Epoch } from '../../../src/core/protocol/ids.ts';
import { HostTable } from '../../../src/drivers/host/table.ts';
import { MemoryJournal } from '../../support/memory-journal.ts';

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

describe('a record that this version cannot use', () => {
  const life = { vm: 'vault', incarnation: 1 };
  const terms = { leaseMs: 1, minTenureMs: 0, noticeMs: 0, requestId: 7 };
  const lease = { ...terms, startedMs: 0.5 };
  const holder = { ...life, epoch: 2, confirmed: true, lease };
  const attempt = {
    epoch: 2,
    cause: 'lend',
    phase: 'fence',
    forced: false,
    settled: false,
    drainsLeft: 1,
    cancelled: false,
    from: life,
    terms,
  };
  const read = (fields: object) => {
    const record = { bundle: PANEL, state: { ...at(1), ...fields }, epochsTo: 17 };
    return new HostTable(new MemoryJournal([new TextEncoder().encode(JSON.stringify(record))]));
  };

  it.each<[string, object]>([
    ['lastBorrower', { lastBorrower: 'vault' }],
    ['lastBorrower', { lastBorrower: { vm: 'vault' } }],
    ['holder', { holder: { ...holder, lease: { ...lease, requestId: undefined } } }],
    ['holder', { holder: { ...holder, vm: undefined } }],
    ['holder', { holder: { ...holder, ending: { cause: 'expiry' } } }],
    ['holder', { holder: null }],
    ['reservation', { reservation: { epoch: 2, borrower: life, terms: {} } }],
    ['attempt', { attempt: { ...attempt, phase: 'later' } }],
    ['attempt', { attempt: { ...attempt, to: 'vault' } }],
    ['name', { name: 'lent' }],
    ['lastCause', { lastCause: 'whim' }],
    ['quarantine', { quarantine: {} }],
    ['suspect', { suspect: 'vault' }],
    ['running', { running: { vault: '1' } }],
    ['rejections', { rejections: undefined }],
    ['rejections', { rejections: [{ vm: 'vault' }] }],
    ['exiting', { exiting: 'vault' }],
  ])('is not used: %s, %j', (field, fields) => {
    expect(() => read(fields)).toThrow(`its record of panel cannot be used: ${field}`);
  });

  it('is told from one that it can use', () => {
    const lastBorrower = { vm: 'vault', requestId: 7 };
    const reservation = { epoch: 2, borrower: life, terms };
    const whole = { holder, attempt, reservation, lastBorrower, suspect: life };
    expect(read(whole).bundle(PANEL)).toMatchObject(whole);
  });

  it('may be one of the registry', () => {
    const registry = { machineBoot: 'one', lives: { vault: 1 }, running: 'vault' };
    const journalled = new MemoryJournal([new TextEncoder().encode(JSON.stringify({ registry }))]);
    expect(() => new HostTable(journalled)).toThrow('its registry cannot be used: running');
  });

  it('is of no account where a later one took its place', () => {
    const records = [{ lastBorrower: 'vault' }, {}].map((fields) =>
      new TextEncoder().encode(JSON.stringify({ bundle: PANEL, state: { ...at(1), ...fields } })),
    );
    expect(new HostTable(new MemoryJournal(records)).bundle(PANEL)?.epoch).toBe(1);
  });
});
