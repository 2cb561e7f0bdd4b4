import { expect, it, test } from 'vitest';
import { faultText, hostView, unknownBundleRefusal } from '../../../src/core/host/host-view.ts';
import { CONSENT, HOST_CONFIG, host, message } from '../protocol/requirements-support.ts';

it('a prepare for a bundle that is not configured is refused with the number by which its owner knows it', () => {
  const prepare = message('prepare', { epoch: 1, borrower: 'vault', consent: CONSENT, requestId: 7 });
  expect(unknownBundleRefusal(prepare as never)).toMatchObject({
    code: 'unknownBundle',
    requestId: 7,
  });
  expect(unknownBundleRefusal(message('release', { epoch: 1 }) as never)).not.toHaveProperty('requestId');
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

test.each([
  ['F_TRANSLATION', 'unattributed write at 0x1000, display.stream0'],
  ['C_BAD_STE', 'unattributed access, display.stream0'],
])('a refused access is told as far as the hardware does: %s', (event, text) => {
  const access = { by: 'dma', resource: 'display.stream0', address: 0x1000, write: true } as const;
  const fault = { ...access, event, count: 1, lost: false };
  const told = faultText({ fault, offender: undefined, epoch: 4 } as never, 1);
  expect(told).toBe(`${event}: ${text}, by dma, epoch 4, 1 times`);
});
