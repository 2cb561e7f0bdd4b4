import { expect, it } from 'vitest';
import { unknownBundleRefusal } from '../../src/host/host-view.ts';
import { consentMark } from '../../src/protocol/messages.ts';
import { CONSENT, message } from '../protocol/requirements-support.ts';

it('a prepare for a bundle that is not configured is refused with the mark by which its owner knows it', () => {
  const prepare = message('prepare', { epoch: 1, borrower: 'vault', consent: CONSENT });
  expect(unknownBundleRefusal(prepare as never)).toMatchObject({
    code: 'unknownBundle',
    mark: consentMark(CONSENT),
  });
  expect(unknownBundleRefusal(message('release', { epoch: 1 }) as never)).not.toHaveProperty('mark');
});
