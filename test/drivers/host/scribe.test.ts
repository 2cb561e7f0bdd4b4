/** In which order the scribe writes, what it makes durable, and what it leaves alone after a fault. */

import { beforeEach, describe, expect, it } from 'vitest';
import { type HostState, initialHost } from '../../../src/core/host/host-state.ts';
import type { BundleId, Epoch } from '../../../src/core/protocol/ids.ts';
import { Scribe } from '../../../src/drivers/host/scribe.ts';
import { HostTable } from '../../../src/drivers/host/table.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { MemoryJournal } from '../../support/memory-journal.ts';

const PANEL = 'panel' as BundleId;
const TOUCH = 'touch' as BundleId;
const REGISTRY = { machineBoot: 'b', lives: {}, running: [] };
const at = (epoch: number): HostState => ({ ...initialHost(), epoch: epoch as Epoch });

/** A journal that keeps the orders it got, as `append panel`, `sync panel`, `rewrite`; a broken one keeps them too. */
class ToldJournal extends MemoryJournal {
  readonly orders: string[] = [];

  override append(record: Uint8Array, sync: boolean): void {
    const { bundle = 'registry' } = JSON.parse(new TextDecoder().decode(record)) as { bundle?: string };
    this.orders.push(`${sync ? 'sync' : 'append'} ${bundle}`);
    super.append(record, sync);
  }

  override rewrite(records: readonly Uint8Array[]): void {
    this.orders.push('rewrite');
    super.rewrite(records);
  }
}

let journal: ToldJournal;
let clock: VirtualClock;
let audited: string[];
beforeEach(() => {
  journal = new ToldJournal();
  new HostTable(journal).writeRegistry(REGISTRY);
  journal.orders.length = 0;
  clock = new VirtualClock();
  audited = [];
});

const scribeOf = (table = new HostTable(journal)) =>
  new Scribe({
    table,
    audit: (lines) => audited.push(lines),
    auditHash: undefined,
    clock,
    log: () => {},
    onWritten: () => {},
  });

describe('a scribe', () => {
  it('begins by reserving epochs for every bundle that was read, durable with the registry', () => {
    new HostTable(journal).writeBundle(PANEL, at(100), true);
    const table = new HostTable(journal);
    const scribe = scribeOf(table);
    journal.orders.length = 0;
    // The record reserved up to 116: the first epoch of this life is 117.
    expect(scribe.isReserved(PANEL, 117)).toBe(false);
    expect(scribe.begin(REGISTRY)).toBe(true);
    expect(journal.orders).toEqual(['append panel', 'sync registry']);
    expect(scribe.isReserved(PANEL, 117)).toBe(true);
    expect(new HostTable(new MemoryJournal(journal.records)).bundle(PANEL)?.epoch).toBe(132);
  });

  it('does not begin when nothing can be reserved', () => {
    new HostTable(journal).writeBundle(PANEL, at(100), true);
    const scribe = scribeOf(new HostTable(journal));
    journal.broken = 'ENOSPC';
    expect(scribe.begin(REGISTRY)).toBe(false);
    expect(journal.orders.filter((order) => order.includes('registry'))).toEqual([]);
  });

  it('syncs nothing that nobody waits for', () => {
    const scribe = scribeOf();
    scribe.writeBundle(PANEL, at(1), false);
    clock.advance(1_000);
    expect(journal.orders).toEqual(['append panel']);
  });

  it('writes and syncs nothing more in a turn that met a fault: the registry says that all before it is there', () => {
    const scribe = scribeOf();
    journal.broken = 'ENOSPC';
    scribe.writeBundle(PANEL, at(1), false);
    scribe.writeBundle(TOUCH, at(2), false);
    expect(scribe.writeRegistry(REGISTRY)).toBe(false);
    expect(journal.orders).toEqual(['append panel']);
    expect(scribe.fault).toContain('ENOSPC');
    expect(scribe.knowsLives).toBe(false);
  });

  it('makes durable what it writes after a fault, for what should have been is among it', () => {
    const scribe = scribeOf();
    journal.broken = 'ENOSPC';
    expect(scribe.writeBundle(PANEL, at(1), true)).toBe(false);
    journal.broken = undefined;
    journal.orders.length = 0;
    clock.advance(1_000);
    expect(journal.orders).toEqual(['rewrite']);
    expect(scribe.isReserved(PANEL, 1)).toBe(true);
    // And no longer than that.
    journal.orders.length = 0;
    scribe.writeBundle(PANEL, at(2), false);
    clock.advance(1_000);
    expect(journal.orders).toEqual(['append panel']);
  });
});
