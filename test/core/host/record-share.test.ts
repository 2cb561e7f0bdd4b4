/** How many handover records one VM may cause, and what stands for those beyond. */

import { describe, expect, it } from 'vitest';
import {
  type HandoverRecord,
  RECORD_LINE_MAX,
  REPORTED_MAX,
  recordLine,
} from '../../../src/core/host/handover-record.ts';
import { RecordShares } from '../../../src/core/host/record-share.ts';
import type { BundleId, VmId } from '../../../src/core/protocol/ids.ts';

const VAULT = 'vault' as VmId;
const RECORD: HandoverRecord = {
  startedMs: 1_234.5678,
  bundle: 'panel' as BundleId,
  epoch: null,
  from: 'android' as VmId,
  to: VAULT,
  purpose: 'pin',
  cause: 'lend',
  outcome: 'refused',
  why: 'busy',
  ms: 0.00049,
  steps: [{ by: 'host', step: 'fence', ms: 1.23456 }],
};

describe('the share of a VM', () => {
  it('is 300 records at once and one a second; another VM has its own', () => {
    const shares = new RecordShares();
    const take = (vm: VmId, nowMs: number) => shares.take(vm, RECORD, nowMs);
    const taken = Array.from({ length: 1_000 }, () => take(VAULT, 0)).filter((isTaken) => isTaken);
    expect(taken).toHaveLength(300);
    expect(take('lidar' as VmId, 0)).toBe(true);
    expect(take(VAULT, 1_000)).toBe(true);
    expect(take(VAULT, 1_000)).toBe(false);
    const [omitted, ...others] = shares.leftOut(2_000);
    expect(omitted).toMatchObject({
      outcome: 'omitted',
      why: 'overShare',
      bundle: 'panel',
      startedMs: 2_000,
    });
    expect(omitted!.detail).toContain('701 lines caused by vault were omitted');
    expect(others).toEqual([]);
    expect(shares.leftOut(3_000)).toEqual([]);
  });
});

describe('the line of a record', () => {
  const moment = { time: '2026-11-30T13:03:07.123Z', boot: 'b' };

  it('is one JSON object, with times to the microsecond', () => {
    const line = recordLine(RECORD, moment);
    expect(line.endsWith('}\n')).toBe(true);
    expect(JSON.parse(line)).toEqual({
      time: '2026-11-30T13:03:07.123Z',
      boot: 'b',
      atMs: 1_235,
      bundle: 'panel',
      epoch: null,
      from: 'android',
      to: 'vault',
      purpose: 'pin',
      cause: 'lend',
      outcome: 'refused',
      why: 'busy',
      ms: 0,
      steps: [{ by: 'host', step: 'fence', ms: 1.235 }],
    });
  });

  it('is bounded and ASCII, whatever texts and steps it has', () => {
    const name = '\u202e'.repeat(32);
    const step = {
      by: 'v'.repeat(32),
      step: 'hook',
      device: 'd'.repeat(32) as never,
      name,
      ms: 2 ** 32,
    } as const;
    const line = recordLine(
      {
        ...RECORD,
        purpose: '\u0007'.repeat(96),
        detail: '\u2028'.repeat(100_000),
        steps: Array.from({ length: REPORTED_MAX + 7 }, () => step),
      },
      moment,
    );
    expect(line.length).toBeLessThan(RECORD_LINE_MAX);
    expect(line).toMatch(/^[\x20-\x7e]+\n$/);
  });
});
