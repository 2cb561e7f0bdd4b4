/** What one VM can make the host write. */

import { beforeEach, describe, expect, it } from 'vitest';
import { quietLog } from '../../../src/common/quiet-log.ts';
import { AuditShares } from '../../../src/core/host/audit-share.ts';
import { type Epoch, type ResourceId, vmId } from '../../../src/core/protocol/ids.ts';
import { FaultReports } from '../../../src/drivers/host/fault-reports.ts';
import { HostWriter } from '../../../src/drivers/host/host-writer.ts';
import { HostTable } from '../../../src/drivers/host/table.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { checkAudit } from '../../support/check-audit.ts';
import { MemoryJournal } from '../../support/memory-journal.ts';

const EVIL = vmId('evil');
const VAULT = vmId('vault');
const entry = (event: string) => ({ atMs: 0, bundle: 'panel', event, epoch: 7, holder: null, detail: 'why' });

describe('lines of the audit log', () => {
  it('are a share of each VM: one that used its own up takes nothing of another’s', () => {
    const shares = new AuditShares();
    let passed = 0;
    for (let i = 0; i < 50_000; i++) if (shares.take(EVIL, entry('cancel'), i)) passed += 1;
    // 1,000 at once, and 5 in each of 50 s.
    expect(passed).toBe(1_249);
    expect(shares.take(VAULT, entry('held'), 50_000)).toBe(true);
    expect(shares.take(undefined, entry('lift'), 50_000)).toBe(true);
    expect(shares.leftOut(50_000)).toMatchObject([
      {
        atMs: 50_000,
        event: 'linesOverShare',
        bundle: 'panel',
        epoch: 7,
        detail: '48751 lines caused by evil were omitted: more than 5 a second; the last one: cancel (why)',
      },
    ]);
    expect(shares.leftOut(50_000)).toEqual([]);
  });

  it('of what a VM holds are not left out for those of what it touched, nor the other way round', () => {
    const shares = new AuditShares();
    for (let i = 0; i < 2_000; i++) shares.take(EVIL, entry('fault'), 0);
    expect(shares.take(EVIL, entry('fault'), 0)).toBe(false);
    for (const event of ['moving', 'held', 'confirmed'])
      expect(shares.take(EVIL, entry(event), 0)).toBe(true);
    for (let i = 0; i < 2_000; i++) shares.take(VAULT, entry('cancel'), 0);
    expect(shares.take(VAULT, entry('held'), 0)).toBe(false);
    expect(shares.take(VAULT, entry('fault'), 0)).toBe(true);
    expect(shares.leftOut(0).map(({ detail }) => detail)).toEqual([
      '1001 lines caused by evil were omitted: more than 5 a second; the last one: fault (why)',
      '1001 lines caused by vault were omitted: more than 5 a second; the last one: held (why)',
    ]);
  });

  it('beyond a share are told of once a minute and at the end, and break no chain', () => {
    const clock = new VirtualClock();
    const lines: string[] = [];
    const logged: string[] = [];
    const writer = new HostWriter({
      table: new HostTable(new MemoryJournal()),
      audit: (text) => lines.push(text),
      auditHash: undefined,
      clock,
      log: (_level, text) => void logged.push(text),
    });
    for (let i = 0; i < 130_000; i += 10) {
      writer.writeAudit(entry('cancel'), EVIL);
      clock.advance(10);
    }
    writer.stop();
    const log = lines.join('');
    const told = log.split('\n').filter((line) => line.includes('linesOverShare'));
    expect(told).toHaveLength(2);
    const check = checkAudit(log);
    expect(check).toMatchObject({ ok: true });
    expect(check.losses).toHaveLength(2);
    const left = told.reduce((sum, line) => sum + Number(/"detail":"(\d+) lines/.exec(line)?.[1]), 0);
    expect(left + check.lines! - 2).toBe(13_000);
    // The service's log has the same lines and no more.
    expect(logged).toHaveLength(check.lines!);
  });
});

describe('refused accesses', () => {
  let clock: VirtualClock;
  let reports: number[];
  let desk: FaultReports;
  beforeEach(() => {
    clock = new VirtualClock();
    reports = [];
    desk = new FaultReports(clock, (_attributed, count) => reports.push(count));
  });
  const fault = (address: bigint) => ({
    fault: { address, by: 'cpu', count: 1, resource: undefined as ResourceId | undefined, stream: undefined },
    offender: { vm: EVIL, incarnation: 1 },
    epoch: 3 as Epoch,
  });

  it('at another address each time are a bounded number of reports, and each is counted', () => {
    for (let i = 0; i < 10_000; i++) {
      desk.add(fault(BigInt(i)) as never);
      clock.advance(1);
    }
    clock.advance(5_000);
    expect(reports.reduce((sum, count) => sum + count, 0)).toBe(10_000);
    // 128 kinds that are kept apart in each second, and all others as one.
    expect(reports.length).toBeLessThan(10 * 129 + 129);
  });
});

it('handovers in quick turn stand in the host’s log one by one, in their order', () => {
  const clock = new VirtualClock();
  const logged: unknown[] = [];
  const log = quietLog((_level, text, fields) => void logged.push(`${text} ${fields?.['epoch']}`), clock);
  const writer = new HostWriter({
    table: new HostTable(new MemoryJournal()),
    audit: () => {},
    auditHash: undefined,
    clock,
    log,
  });
  const expected: string[] = [];
  for (let epoch = 1; epoch <= 60; epoch++) {
    for (const event of ['moving', 'held', 'confirmed']) {
      writer.writeAudit({ atMs: 0, bundle: 'panel', event, epoch, holder: null }, VAULT);
      expected.push(`${event} ${epoch}`);
    }
    clock.advance(200);
  }
  expect(logged).toEqual(expected);
});
