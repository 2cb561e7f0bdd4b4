/**
 * The sums behind src/core/wire/limits.ts, computed again from the schemas.
 */

import { expect, test } from 'vitest';
import { HOST } from '../../../src/core/protocol/ids.ts';
import { CONSENT_BYTES_MAX } from '../../../src/core/protocol/messages.ts';
import { sealMac0 } from '../../../src/core/wire/cose.ts';
import { createEnvelopeKey } from '../../../src/core/wire/envelope.ts';
import { FRAME_BYTES_MAX, ITEMS_MAX, KID_BYTES_MAX } from '../../../src/core/wire/limits.ts';
import { HANDSHAKE_CODEC, SESSION_CODEC } from '../../../src/core/wire/payload.ts';
import {
  deliver,
  freshChallenge,
  HANDSHAKE_SAMPLES,
  HOST_TIME,
  LARGEST_CONSENT,
  PAIR_KEY,
  party,
  SESSION_SAMPLES,
} from './samples.ts';

const LONGEST_ID = `v${'0'.repeat(31)}` as never;

function sizes(): number[] {
  const key = createEnvelopeKey(
    PAIR_KEY,
    { from: LONGEST_ID, to: LONGEST_ID, channel: 'm', generation: 0xffff_ffff },
    LONGEST_ID,
  );
  const encoded = [
    ...SESSION_SAMPLES.map(({ message }) => SESSION_CODEC.encode(message, 0xffff_ffff, HOST_TIME)),
    ...HANDSHAKE_SAMPLES.map(({ message }) => HANDSHAKE_CODEC.encode(message as never, 0)),
  ];
  return encoded.map((payload) => (payload.ok ? sealMac0(key, payload.bytes).length : Number.NaN));
}

/** Counts data items: containers, keys and values. */
function items(value: unknown): number {
  if (Array.isArray(value)) return 1 + value.reduce((sum, item) => sum + items(item), 0);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 1;
  return 1 + Object.values(value).reduce((sum: number, item) => sum + 1 + items(item), 0);
}

test('the largest message, sealed between the longest names, is about as long as limits.ts says', () => {
  expect(Math.max(...sizes())).toBeGreaterThan(3700);
  expect(Math.max(...sizes())).toBeLessThanOrEqual(FRAME_BYTES_MAX);
});

test('the largest message has about as many items as limits.ts says', () => {
  // `kind` of a sample stands for the number; payload, sequence number, timestamp token and body key are added.
  const most = Math.max(...SESSION_SAMPLES.map(({ message }) => items(message) + 6));
  expect(most).toBeGreaterThan(390);
  expect(most).toBeLessThanOrEqual(ITEMS_MAX);
});

test('a key id of the longest names fits', () => {
  expect(`${LONGEST_ID}/${LONGEST_ID}/m/${0xffff_ffff}`).toHaveLength(KID_BYTES_MAX);
});

test('a consent of the longest names fits its field', () => {
  const agent = party(LONGEST_ID, HOST);
  deliver(agent.start(freshChallenge()), party(HOST, LONGEST_ID), agent);
  const consent = agent.sealConsent(LARGEST_CONSENT);
  expect(consent).toHaveLength(264);
  expect(consent!.length).toBeLessThanOrEqual(CONSENT_BYTES_MAX);
});
