/**
 * A session in use: sequence numbers, what was negotiated, timestamp tokens, consents, our own mistakes.
 */

import { describe, expect, test } from 'vitest';
import { DEFAULT_MACHINE, HOST, type Incarnation, vmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { encodeCbor } from '../../../src/core/wire/codec.ts';
import { type Mac0Key, sealMac0 } from '../../../src/core/wire/cose.ts';
import { type BundleDigest, HANDSHAKE_MESSAGES } from '../../../src/core/wire/handshake.ts';
import { handshakeKey } from '../../../src/core/wire/keys.ts';
import { HANDSHAKE_CODEC, SESSION_CODEC } from '../../../src/core/wire/payload.ts';
import { SendCounter } from '../../../src/core/wire/sequence.ts';
import type { Session } from '../../../src/core/wire/session.ts';
import {
  connected,
  deliver,
  freshChallenge,
  HOST_TIME,
  PAIR_KEY,
  PIN_PAD,
  party,
  pattern,
  RELEASE,
  SMALLEST_CONSENT,
  sealed,
  smallest,
} from './samples.ts';

/** Hands one frame over and returns the frames that come back. */
function carry(frames: readonly Uint8Array[], to: Session): readonly Uint8Array[] {
  return frames.flatMap((frame) => to.receive(frame, freshChallenge()).frames);
}

/** Returns whether a message sealed by `from` arrives at `to`. */
function reaches(from: Session, to: Session): boolean {
  return to.receive(sealed(from, RELEASE)).message?.message.kind === 'release';
}

function expectBothWays(a: Session, b: Session): void {
  expect([reaches(a, b), reaches(b, a), a.needsRetry, b.needsRetry]).toEqual([true, true, false, false]);
}

describe('between agents', () => {
  test('there is no key for consents: nothing is sealed, and nothing opens', () => {
    const [one, other] = [party(PIN_PAD, vmId('android')), party(vmId('android'), PIN_PAD)];
    deliver(one.start(freshChallenge()), other, one);
    expect([one.isUp, other.isUp]).toEqual([true, true]);
    expect(one.sealConsent(SMALLEST_CONSENT)).toBeUndefined();
    expect(other.openConsent(connected().agent.sealConsent(SMALLEST_CONSENT)!)).toBeUndefined();
  });
});

describe('sequence numbers', () => {
  test('a repeated message is dropped, an overtaken one is taken once', () => {
    const { agent, host } = connected();
    const frames = Array.from({ length: 65 }, () => sealed(agent, RELEASE));
    const outcome = (index: number) => host.receive(frames[index]!).drop ?? 'taken';
    const order = [64, 1, 1, 63, 64, 0];
    // Number 0 of these lies 64 behind number 64: outside the window.
    expect(order.map(outcome)).toEqual(['taken', 'taken', 'replayed', 'taken', 'replayed', 'replayed']);
  });

  test('when they run out the session says so, and a new one starts again from 1', () => {
    const { agent, host } = connected();
    Object.assign((agent as unknown as { current: object }).current, {
      counter: new SendCounter(0xffff_ffff),
    });
    expect(agent.renewalDue).toBe(true);
    expect(agent.seal(RELEASE)).toMatchObject({ ok: true, seq: 0xffff_ffff });
    expect(agent.seal(RELEASE)).toMatchObject({ ok: false, reason: 'exhausted' });
    deliver(agent.start(freshChallenge()), host, agent);
    expect(agent.renewalDue).toBe(false);
    expectBothWays(agent, host);
  });
});

describe('what is negotiated', () => {
  test('the highest common version', () => {
    const agent = party(PIN_PAD, HOST, { versions: { min: 1, max: 3 } });
    const host = party(HOST, PIN_PAD, { versions: { min: 2, max: 9 } });
    const answer = carry(agent.start(freshChallenge()), host);
    expect(agent.receive(answer[0]!).events).toMatchObject([{ kind: 'up', version: 3 }]);
  });

  test('no common version is told to both, with both ranges, and there is no session', () => {
    const agent = party(PIN_PAD, HOST, { versions: { min: 1, max: 1 } });
    const host = party(HOST, PIN_PAD, { versions: { min: 2, max: 3 } });
    const atHost = host.receive(agent.start(freshChallenge())[0]!, freshChallenge());
    const atAgent = agent.receive(atHost.frames[0]!);
    const [low, high] = [
      { min: 1, max: 1 },
      { min: 2, max: 3 },
    ];
    expect(atHost.events).toEqual([{ kind: 'versionUnsupported', ours: high, theirs: low }]);
    expect(atAgent.events).toEqual([{ kind: 'versionUnsupported', ours: low, theirs: high }]);
    expect([agent.isUp, host.isUp, agent.needsRetry]).toEqual([false, false, false]);
  });

  test('bundles that are defined differently are told, and the session is up', () => {
    const digest = (bundle: string, first: number) =>
      ({ bundle, digest: pattern(first, 32) }) as BundleDigest;
    const agent = party(PIN_PAD, HOST, {
      bundles: [digest('panel', 1), digest('touch', 2), digest('audio', 3)],
    });
    const host = party(HOST, PIN_PAD, {
      bundles: [digest('touch', 4), digest('panel', 1), digest('usb', 5)],
    });
    const answer = carry(agent.start(freshChallenge()), host);
    const mismatch = { bundle: 'touch', ours: pattern(2, 32), theirs: pattern(4, 32) };
    expect(agent.receive(answer[0]!).events[1]).toEqual({ kind: 'digestMismatch', mismatches: [mismatch] });
    expect(agent.isUp).toBe(true);
  });
});

describe('timestamp tokens and consents', () => {
  test('the timestamp token of the host arrives', () => {
    const { agent, host } = connected();
    expect(agent.receive(sealed(host, RELEASE, HOST_TIME)).message).toEqual({
      message: RELEASE,
      seq: 2,
      hostTime: HOST_TIME,
    });
  });

  test('an agent cannot put a timestamp token on a message', () => {
    expect(connected().agent.seal(RELEASE, HOST_TIME)).toMatchObject({
      ok: false,
      reason: 'hostTimeNotHost',
    });
  });

  test('a timestamp token that is not from the host makes a message malformed', () => {
    const { agent, host } = connected();
    const { sendKey } = (agent as unknown as { current: { sendKey: Mac0Key } }).current;
    const payload = SESSION_CODEC.encode(RELEASE, 9, HOST_TIME);
    const frame = sealMac0(sendKey, payload.ok ? payload.bytes : new Uint8Array());
    expect(host.receive(frame)).toMatchObject({
      drop: 'malformed',
      detail: 'timestamp token: not from the host',
    });
  });

  test('an authentic payload that says nothing is malformed, with the field', () => {
    const { agent, host } = connected();
    const { sendKey } = (agent as unknown as { current: { sendKey: Mac0Key } }).current;
    const frame = sealMac0(sendKey, encodeCbor([1]));
    expect(host.receive(frame)).toMatchObject({ drop: 'malformed', detail: 'payload' });
  });

  test('a consent is opened by the host, unchanged', () => {
    const { agent, host } = connected();
    expect(host.openConsent(agent.sealConsent(SMALLEST_CONSENT)!)).toEqual(SMALLEST_CONSENT);
  });

  test('a consent of another session, a changed one and one that is too long are not opened', () => {
    const consent = connected().agent.sealConsent(SMALLEST_CONSENT)!;
    const { agent, host } = connected();
    const changed = agent.sealConsent(SMALLEST_CONSENT)!;
    changed[60]! ^= 1;
    expect([consent, changed, new Uint8Array(4096)].map((bytes) => host.openConsent(bytes))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('a consent outlives one renewal of the session, whoever began it, and not a second', () => {
    const { agent, host } = connected();
    const consent = agent.sealConsent(SMALLEST_CONSENT)!;
    deliver(host.start(freshChallenge()), agent, host);
    expectBothWays(agent, host);
    expect(host.openConsent(consent)).toEqual(SMALLEST_CONSENT);
    const next = agent.sealConsent(SMALLEST_CONSENT)!;
    deliver(agent.start(freshChallenge()), host, agent);
    expect([host.openConsent(consent), host.openConsent(next)]).toEqual([undefined, SMALLEST_CONSENT]);
  });

  test('a consent does not outlive the boot of its agent', () => {
    const { agent, host } = connected();
    const consent = agent.sealConsent(SMALLEST_CONSENT)!;
    const restarted = party(PIN_PAD, HOST, { bootId: pattern(99, 16) });
    deliver(restarted.start(freshChallenge()), host, restarted);
    expectBothWays(restarted, host);
    expect(host.openConsent(consent)).toBeUndefined();
    expect(host.openConsent(restarted.sealConsent(SMALLEST_CONSENT)!)).toEqual(SMALLEST_CONSENT);
  });

  test('a consent of a session that the host has only answered is opened, if between the same boots', () => {
    const { agent, host } = connected();
    const restarted = party(PIN_PAD, HOST, { bootId: pattern(99, 16) });
    for (const [sealer, opens] of [
      [agent, true],
      [restarted, false],
    ] as const) {
      const answers = sealer
        .start(freshChallenge())
        .flatMap((hello) => host.receive(hello, freshChallenge()).frames);
      // What the agent sends at the end of the handshake is lost.
      for (const answer of answers) sealer.receive(answer, freshChallenge());
      const consent = sealer.sealConsent(SMALLEST_CONSENT)!;
      expect(host.openConsent(consent)).toEqual(opens ? SMALLEST_CONSENT : undefined);
    }
  });

  test('only an agent with a session to the host can seal a consent, only the host opens it', () => {
    const { agent, host } = connected();
    const consent = agent.sealConsent(SMALLEST_CONSENT)!;
    expect([host.sealConsent(SMALLEST_CONSENT), agent.openConsent(consent)]).toEqual([undefined, undefined]);
  });
});

describe('our own mistakes', () => {
  test('a message that does not fit its description is not sealed and uses up no number', () => {
    const { agent } = connected();
    const wrong = { ...RELEASE, epoch: -1 } as unknown as Message;
    expect(agent.seal(wrong)).toEqual({ ok: false, reason: 'range', field: 'release.epoch' });
    expect(agent.seal(RELEASE)).toMatchObject({ ok: true, seq: 2 });
  });

  test.each([
    ['a short pair key', { pairKeys: new Uint8Array(31) }],
    ['a short boot id', { bootId: new Uint8Array(8) }],
    ['an empty version range', { versions: { min: 2, max: 1 } }],
    ['version 0', { versions: { min: 0, max: 1 } }],
    ['itself as peer', { peer: HOST }],
    ['no incarnation of the agent', { peerIncarnation: 0 as Incarnation }],
    ['too many bundles', { bundles: Array(17).fill({ bundle: 'touch', digest: pattern(1, 32) }) }],
  ])('%s is refused when the session is made', (_what, changes) => {
    expect(() => party(HOST, PIN_PAD, changes as object)).toThrow(RangeError);
  });
});

describe('the host’s timestamp token', () => {
  test('R90 is in no message of the handshake: one that bears it is malformed', () => {
    const payload = HANDSHAKE_CODEC.encode(
      { kind: 'hello', ...smallest(HANDSHAKE_MESSAGES.hello.fields) } as never,
      0,
      HOST_TIME,
    );
    const key = handshakeKey(
      { generation: 1, key: PAIR_KEY },
      { machine: DEFAULT_MACHINE, from: HOST, to: PIN_PAD },
    );
    const frame = sealMac0(key, payload.ok ? payload.bytes : new Uint8Array());
    expect(party(PIN_PAD, HOST).receive(frame, freshChallenge())).toMatchObject({
      drop: 'malformed',
      detail: 'timestamp token: none in the handshake',
    });
  });

  test('R90 is not awaited: a session is proven by helloFinished without one', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    const finished = carry(carry(agent.start(freshChallenge()), host), agent);
    const last = carry(finished, host);
    expect(last).toHaveLength(1);
    expect(agent.receive(last[0]!).drop).toBeUndefined();
    expect([agent.needsRetry, host.needsRetry]).toEqual([false, false]);
  });

  test('R99 helloFinished with a wrong challenge proves the session, and is not answered', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    carry(carry(agent.start(freshChallenge()), host), agent);
    const wrong = { kind: 'helloFinished', answered: freshChallenge() } as unknown as Message;
    const received = host.receive(sealed(agent, wrong));
    expect(received).toMatchObject({ drop: 'stale', frames: [], events: [{ kind: 'up' }] });
    expect(host.receive(sealed(agent, RELEASE)).message?.message).toEqual(RELEASE);
  });
});

describe('step times', () => {
  const times = (count: number) => Array.from({ length: count }, () => ({ step: 'suspend', ms: 3 }));

  test('R109 travel with lend, confirm and release, at most 16', () => {
    for (const kind of ['lend', 'confirm', 'release'] as const) {
      const { agent, host } = connected();
      const steps = [{ step: 'policy', ms: 1 }, { step: 'hook', device: 'touch', ms: 2 }, ...times(14)];
      const message = { ...RELEASE, kind, steps } as unknown as Message;
      expect(host.receive(sealed(agent, message)).message?.message).toEqual(message);
      const long = { ...message, steps: times(17) } as unknown as Message;
      expect(agent.seal(long)).toMatchObject({ ok: false, field: `${kind}.steps` });
      expect(agent.seal({ ...message, steps: [{ step: 'lunch', ms: 1 }] } as never)).toMatchObject({
        ok: false,
      });
    }
  });
});
