/** What people are told of a bundle without asking. */

import { expect, it } from 'vitest';
import { bundleId, type Epoch, vmId } from '../../../src/core/protocol/ids.ts';
import { EventLog } from '../../../src/drivers/agent/event-log.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';

it('a quarantine stands in the log: it ends by an operator alone', () => {
  const lines: string[] = [];
  const write = (level: string, text: string) => void lines.push(`${level}: ${text}`);
  const log = new EventLog(bundleId('panel'), new VirtualClock(), write);
  log.moved('lent', 'parked', 'remapped-not-ours');
  expect(lines).toEqual([]);
  log.moved('parked', 'quarantined', 'stateReported-not-ours');
  expect(lines).toEqual(['warn: quarantined; an operator lifts it at the host']);
});

it('a hook that failed stands in the reason until the same goes well, whatever comes between', () => {
  const log = new EventLog(bundleId('panel'), new VirtualClock(), () => {});
  const epoch = 3 as Epoch;
  log.notified({ notice: 'hookFailed', hook: 'suspend', error: 'touch/inhibit: EACCES /sys/x' });
  expect(log.reason).toBe('hook suspend failed: touch/inhibit: EACCES /sys/x');
  log.moved('suspending', 'resuming', 'suspend-undone');
  log.notified({ notice: 'resumed', epoch });
  expect(log.reason).toBe('resumed at epoch 3; last: hook suspend failed: touch/inhibit: EACCES /sys/x');
  log.notified({ notice: 'lent', borrower: vmId('vault'), epoch });
  expect(log.reason).toBe('lent to vault at epoch 3');
  log.notified({ notice: 'hookFailed', hook: 'resume', error: 'touch/inhibit: EIO' });
  log.notified({ notice: 'resumed', epoch });
  expect(log.reason).toBe('resumed at epoch 3');
});
