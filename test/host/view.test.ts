import { expect, it, test } from 'vitest';
import { hostView, unknownBundleRefusal } from '../../src/host/host-view.ts';
import { consentMark } from '../../src/protocol/messages.ts';
import { CONSENT, HOST_CONFIG, host, message } from '../protocol/requirements-support.ts';

it('a prepare for a bundle that is not configured is refused with the mark by which its owner knows it', () => {
  const prepare = message('prepare', { epoch: 1, borrower: 'vault', consent: CONSENT });
  expect(unknownBundleRefusal(prepare as never)).toMatchObject({
    code: 'unknownBundle',
    mark: consentMark(CONSENT),
  });
  expect(unknownBundleRefusal(message('release', { epoch: 1 }) as never)).not.toHaveProperty('mark');
});

test.each([
  ['none', 'tableLost, nothing is isolated'],
  ['observed', 'tableLost, isolation unproved'],
] as const)('of evidence %s a lost table is told as: %s', (evidence, reason) => {
  const config = { ...HOST_CONFIG, evidence };
  const { state } = host([{ on: 'start', recovered: { kind: 'lost' }, running: {} }], undefined, config);
  const parts = { config, reason: 'started', faults: 0, phases: {}, events: [] };
  expect(hostView(parts, state, 0).reason).toBe(reason);
});
