/** What people are told of a bundle without asking. */

import { expect, it } from 'vitest';
import { bundleId, type Epoch, vmId } from '../../../src/core/protocol/ids.ts';
import { Diary } from '../../../src/drivers/agent/diary.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';

it('a quarantine stands in the log: it ends by an operator alone', () => {
  const lines: string[] = [];
  const log = (level: string, text: string) => void lines.push(`${level}: ${text}`);
  const diary = new Diary(bundleId('panel'), new VirtualClock(), log);
  diary.moved('lent', 'parked', 'remapped-stand-back');
  expect(lines).toEqual([]);
  diary.moved('parked', 'quarantined', 'stateReported-stand-back');
  expect(lines).toEqual(['warn: in quarantine; an operator lifts it at the host']);
});

it('a hook that failed stands in the reason until the same goes well, whatever comes between', () => {
  const diary = new Diary(bundleId('panel'), new VirtualClock(), () => {});
  const epoch = 3 as Epoch;
  diary.notified({ notice: 'hookFailed', hook: 'suspend', error: 'touch/inhibit: EACCES /sys/x' });
  expect(diary.reason).toBe('hook suspend failed: touch/inhibit: EACCES /sys/x');
  diary.moved('suspending', 'resuming', 'suspend-undone');
  diary.notified({ notice: 'resumed', epoch });
  expect(diary.reason).toBe('resumed at epoch 3; last: hook suspend failed: touch/inhibit: EACCES /sys/x');
  diary.notified({ notice: 'lent', borrower: vmId('vault'), epoch });
  expect(diary.reason).toBe('lent to vault at epoch 3');
  diary.notified({ notice: 'hookFailed', hook: 'resume', error: 'touch/inhibit: EIO' });
  diary.notified({ notice: 'resumed', epoch });
  expect(diary.reason).toBe('resumed at epoch 3');
});
