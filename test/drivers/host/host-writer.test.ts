/** What the host writes when, and that it waits for no disk. */

import { beforeEach, describe, expect, it } from 'vitest';
import type { HandoverRecord } from '../../../src/core/host/handover-record.ts';
import { type HostState, initialHost } from '../../../src/core/host/host-state.ts';
import type { BundleId, Epoch, VmId } from '../../../src/core/protocol/ids.ts';
import { HostWriter } from '../../../src/drivers/host/host-writer.ts';
import { HostTable } from '../../../src/drivers/host/table.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { MemoryJournal } from '../../support/memory-journal.ts';

const PANEL = 'panel' as BundleId;
const REGISTRY = { machineBoot: 'b', incarnations: {}, running: [], floor: 0 };
const RECORD: HandoverRecord = {
  startedMs: 0,
  bundle: PANEL,
  epoch: 1 as Epoch,
  from: null,
  to: null,
  purpose: null,
  cause: 'start',
  outcome: 'returned',
  ms: 1,
  steps: [],
};
const LINE = { atMs: 1, bundle: PANEL, event: 'held', epoch: 1, holder: null };
const at = (epoch: number): HostState => ({ ...initialHost(), epoch: epoch as Epoch });

let journal: MemoryJournal;
let clock: VirtualClock;
let audited: string[];
let auditFault: string | undefined;
let recorded: string[];
let recordFault: string | undefined;
let logged: string[];
let writer: HostWriter;
beforeEach(() => {
  journal = new MemoryJournal();
  clock = new VirtualClock();
  audited = [];
  auditFault = undefined;
  recorded = [];
  recordFault = undefined;
  logged = [];
  writer = new HostWriter({
    table: new HostTable(journal),
    audit: (lines) => {
      if (auditFault !== undefined) throw new Error(auditFault);
      audited.push(lines);
    },
    auditHash: undefined,
    records: {
      append: (lines) => {
        if (recordFault !== undefined) throw new Error(recordFault);
        recorded.push(...lines.trimEnd().split('\n'));
      },
      wallMs: () => 1_000_000 + clock.nowMs(),
      isoTime: String,
    },
    clock,
    log: (level, message) => logged.push(`${level}: ${message}`),
  });
  writer.writeRegistry(REGISTRY);
});

const read = () => new HostTable(new MemoryJournal(journal.records)).records();

describe('the table', () => {
  it('is written at once, and nothing of it is made durable', () => {
    expect(writer.writeBundle(PANEL, at(1), false)).toBeUndefined();
    expect(read()?.bundles.get(PANEL)?.epoch).toBe(1);
    expect(journal.syncs).toBe(0);
  });

  it('is made durable where VMs outlive the kernel below the host', () => {
    writer.writeBundle(PANEL, at(1), true);
    expect(journal.syncs).toBe(1);
  });

  it('that cannot be written is reported each time, and in the log once a minute', () => {
    journal.broken = 'ENOSPC';
    expect(writer.writeBundle(PANEL, at(2), false)).toBe('ENOSPC');
    expect(writer.writeRegistry(REGISTRY)).toBe('ENOSPC');
    expect(writer.fault).toBe('ENOSPC');
    expect(logged).toEqual([expect.stringMatching(/^error: ENOSPC; free space .* lending stops until then/)]);
    clock.advance(60_000);
    writer.writeBundle(PANEL, at(3), false);
    expect(logged).toHaveLength(2);
    journal.broken = undefined;
    expect(writer.writeBundle(PANEL, at(4), false)).toBeUndefined();
    expect(writer.fault).toBeUndefined();
    expect(logged.at(-1)).toBe('info: table and audit log can be written again');
  });
});

describe('the audit log', () => {
  it('is written soon, at the end of a handover, or when its hash is asked for', () => {
    writer.writeAudit(LINE, undefined);
    expect(audited).toHaveLength(0);
    clock.advance(50);
    expect(audited).toHaveLength(1);
    writer.writeAudit({ ...LINE, event: 'confirmed' }, undefined);
    clock.advance(0);
    expect(audited).toHaveLength(2);
    writer.writeAudit(LINE, undefined);
    expect(writer.auditHash).toMatch(/^[0-9a-f]{64}$/);
    expect(audited).toHaveLength(3);
  });

  it('that cannot be written keeps its lines, and is tried again', () => {
    auditFault = 'EIO';
    writer.writeAudit(LINE, undefined);
    clock.advance(500);
    expect(writer.fault).toBe('EIO');
    expect(logged).toEqual([expect.stringContaining('lending continues')]);
    auditFault = undefined;
    clock.advance(1_000);
    expect(audited).toHaveLength(1);
    expect(writer.fault).toBeUndefined();
  });
});

describe('handover records', () => {
  const put = (epoch: number) => writer.writeRecord({ ...RECORD, epoch: epoch as Epoch }, 'boot', undefined);
  const last = () => JSON.parse(recorded.at(-1)!) as { epoch: number; time: string; detail?: string };

  it('are written soon, with the wall-clock time of their begin', () => {
    clock.advance(500);
    writer.writeRecord({ ...RECORD, startedMs: 200 }, 'boot', undefined);
    expect(recorded).toHaveLength(0);
    clock.advance(50);
    expect(recorded).toHaveLength(1);
    expect(last()).toMatchObject({ time: '1000200', boot: 'boot' });
  });

  it('that cannot be written wait, a bounded number of them; one stands for the rest', () => {
    recordFault = 'ENOSPC';
    for (let i = 0; i < 700; i++) {
      put(i);
      clock.advance(1_000);
    }
    expect(writer.fault).toBe('ENOSPC');
    expect(logged.filter((line) => line.startsWith('error')).length).toBeLessThanOrEqual(12);
    recordFault = undefined;
    clock.advance(1_000);
    expect(recorded).toHaveLength(501);
    expect(JSON.parse(recorded[0]!)).toMatchObject({ outcome: 'omitted', why: 'unwritten', bundle: null });
    expect(recorded[0]).toContain('200 records could not be written');
    expect(last().epoch).toBe(699);
    expect(writer.fault).toBeUndefined();
  });

  it('do not hold up the audit log, nor the table', () => {
    recordFault = 'ENOSPC';
    put(1);
    writer.writeAudit(LINE, undefined);
    clock.advance(50);
    expect(audited).toHaveLength(1);
    expect(writer.writeBundle(PANEL, at(1), false)).toBeUndefined();
  });

  it('beyond the share of a VM are counted by one record a minute', () => {
    for (let i = 0; i < 400; i++) writer.writeRecord(RECORD, 'boot', 'vault' as VmId);
    clock.advance(60_000);
    clock.advance(60_000);
    expect(recorded).toHaveLength(301);
    expect(last().detail).toContain('100 lines caused by vault were omitted');
    expect(audited.join('')).not.toContain('vault');
  });

  it('that wait are written when the host stops', () => {
    put(1);
    writer.stop();
    expect(recorded).toHaveLength(1);
  });
});
