/** What people are told of a bundle without asking. */

import { expect, it } from 'vitest';
import { Diary } from '../../src/agent/diary.ts';
import { bundleId } from '../../src/protocol/ids.ts';
import { VirtualClock } from '../../src/simulation/virtual-clock.ts';

it('a quarantine stands in the log: it ends by an operator alone', () => {
  const lines: string[] = [];
  const log = (level: string, text: string) => void lines.push(`${level}: ${text}`);
  const diary = new Diary(bundleId('panel'), new VirtualClock(), log);
  diary.moved('lent', 'parked', 'remapped-stand-back');
  expect(lines).toEqual([]);
  diary.moved('parked', 'quarantined', 'stateReported-stand-back');
  expect(lines).toEqual(['warn: in quarantine; an operator lifts it at the host']);
});
