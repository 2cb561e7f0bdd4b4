/** What the host's table holds after any number of records, and what it refuses to read. */

import { beforeEach, describe, expect, it } from 'vitest';
import { type HostState, initialHost } from '../../../src/core/host/host-state.ts';
import type { BundleId, Epoch } from '../../../src/core/protocol/ids.ts';
import { HostTable } from '../../../src/drivers/host/table.ts';
import { MemoryJournal } from '../../support/memory-journal.ts';

const PANEL = 'panel' as BundleId;
const TOUCH = 'touch' as BundleId;
const REGISTRY = { machineBoot: 'b', incarnations: {}, running: [], floor: 0 };
const at = (epoch: number): HostState => ({ ...initialHost(), epoch: epoch as Epoch });

/** A journal that keeps how it was written to, and fails when told to. */
class ToldJournal extends MemoryJournal {
  readonly orders: string[] = [];
  /** There is no room behind the last record. */
  appendFails = false;

  override append(record: Uint8Array, sync: boolean): void {
    this.orders.push(sync ? 'append, sync' : 'append');
    if (this.appendFails) throw new Error('ENOSPC');
    super.append(record, sync);
  }

  override rewrite(records: readonly Uint8Array[], isDurable?: boolean): void {
    this.orders.push('rewrite');
    super.rewrite(records, isDurable);
  }
}

const read = (from: MemoryJournal) => new HostTable(new MemoryJournal(from.records)).records();

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
    const { registry, bundles } = read(fresh)!;
    expect(registry).toEqual(REGISTRY);
    expect([bundles.get(PANEL)?.epoch, bundles.get(TOUCH)?.epoch]).toEqual([1, 1]);
  });
});

describe('a table that grows', () => {
  it('is rewritten with its last records alone, and nothing is made durable', () => {
    for (let epoch = 1; epoch <= 1_000; epoch++) table.writeBundle(PANEL, at(epoch));
    expect(journal.orders.filter((order) => order === 'rewrite')).toHaveLength(1);
    expect(journal.records.length).toBeLessThan(10);
    expect(journal.syncs).toBe(0);
    expect(read(journal)?.bundles.get(PANEL)?.epoch).toBe(1_000);
  });

  it('makes durable what is asked for, in a rewrite too', () => {
    for (let epoch = 1; epoch <= 999; epoch++) table.writeBundle(PANEL, at(epoch));
    table.writeBundle(PANEL, at(1_000), true);
    expect([journal.orders.at(-1), journal.syncs]).toEqual(['rewrite', 1]);
    table.writeBundle(PANEL, at(1_001), true);
    expect([journal.orders.at(-1), journal.syncs]).toEqual(['append, sync', 2]);
  });

  it('that has no room for a record may have some for the last ones alone', () => {
    table.writeBundle(TOUCH, at(7));
    journal.appendFails = true;
    table.writeBundle(PANEL, at(100));
    expect(journal.orders).toEqual(['append', 'append', 'rewrite']);
    const { bundles } = read(journal)!;
    expect([bundles.get(TOUCH)?.epoch, bundles.get(PANEL)?.epoch]).toEqual([7, 100]);
  });
});

describe('a record that this version cannot use', () => {
  const life = { vm: 'vault', incarnation: 1 };
  const terms = { leaseMs: 1, minHoldMs: 0, noticeMs: 0, requestId: 7 };
  const lease = { ...terms, startedMs: 0.5, lender: 1, renewal: 0 };
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
  const bytesOf = (record: object) => new TextEncoder().encode(JSON.stringify(record));
  const stateOf = (...fields: readonly object[]) => {
    const records = fields.map((each) => bytesOf({ bundle: PANEL, state: { ...at(1), ...each } }));
    return new HostTable(new MemoryJournal([...records, bytesOf({ registry: REGISTRY })])).records()!.bundles;
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
    ['exiting', { exiting: ['vault'] }],
    ['isOwnerWaiting', { isOwnerWaiting: 1 }],
    ['epochMax', { epochMax: -1 }],
  ])('is not used: %s, %j', (field, fields) => {
    expect(() => stateOf(fields)).toThrow(`its record of panel is invalid: ${field}`);
  });

  it('is told from one that it can use', () => {
    const lastBorrower = { vm: 'vault', requestId: 7 };
    const reservation = { epoch: 2, borrower: life, terms, isTold: true };
    const whole = { holder, attempt, reservation, lastBorrower, suspect: life };
    expect(stateOf(whole).get(PANEL)).toMatchObject(whole);
  });

  it('may be one of the registry', () => {
    const registry = { machineBoot: 'one', incarnations: { vault: 1 }, running: 'vault', floor: 0 };
    const journalled = new MemoryJournal([new TextEncoder().encode(JSON.stringify({ registry }))]);
    expect(() => new HostTable(journalled)).toThrow('its registry is invalid: running');
  });

  it('is of no account where a later one took its place', () => {
    expect(stateOf({ lastBorrower: 'vault' }, {}).get(PANEL)?.epoch).toBe(1);
  });
});
