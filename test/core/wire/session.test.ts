/**
 * The handshake under loss, crossing, replay and restart, and the session that comes of it.
 *
 * Frames are carried by hand, so that each test shows which one is lost, repeated or kept for later.
 */

import { describe, expect, test } from 'vitest';
import { HOST, type Incarnation } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import type { Session } from '../../../src/core/wire/session.ts';
import {
  ANDROID,
  connected,
  deliver,
  freshChallenge,
  HOST_TIME,
  PIN_PAD,
  party,
  pattern,
  RELEASE,
  SMALLEST_CONSENT,
  sealed,
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

describe('handshake', () => {
  test('hello, answer and finish make a session both ways', () => {
    const { agent, host } = connected();
    expectBothWays(agent, host);
  });

  test('before it nothing can be sealed', () => {
    const agent = party(PIN_PAD, HOST);
    expect(agent.seal(RELEASE)).toMatchObject({ ok: false, reason: 'down' });
    expect(agent.sealConsent(SMALLEST_CONSENT)).toBeUndefined();
    expect([agent.isUp, agent.needsRetry]).toEqual([false, false]);
  });

  test('the agent learns its incarnation from the host', () => {
    const agent = party(PIN_PAD, HOST);
    const host = party(HOST, PIN_PAD);
    const answer = carry(agent.start(freshChallenge()), host);
    expect(agent.receive(answer[0]!).events).toMatchObject([
      { kind: 'up', incarnation: 5, peerIncarnation: 1 },
    ]);
  });

  test('the agent learns its incarnation also from a hello of the host', () => {
    const agent = party(PIN_PAD, HOST);
    const host = party(HOST, PIN_PAD);
    const finished = carry(carry(host.start(freshChallenge()), agent), host);
    expect(agent.receive(finished[0]!).events).toMatchObject([{ kind: 'up', incarnation: 5 }]);
  });

  test('the word of the host replaces what an agent claims', () => {
    const agent = party(PIN_PAD, HOST, { incarnation: 4 as Incarnation });
    const host = party(HOST, PIN_PAD);
    deliver(agent.start(freshChallenge()), host, agent);
    expectBothWays(agent, host);
  });

  test('two agents tell each other their incarnations', () => {
    const owner = party(ANDROID, PIN_PAD, { incarnation: 3 as Incarnation });
    const borrower = party(PIN_PAD, ANDROID, { incarnation: 5 as Incarnation });
    const answer = carry(owner.start(freshChallenge()), borrower);
    expect(owner.receive(answer[0]!).events).toMatchObject([
      { kind: 'up', incarnation: 3, peerIncarnation: 5 },
    ]);
  });

  test('a hello without a challenge of the driver is dropped', () => {
    const [hello] = party(PIN_PAD, HOST).start(freshChallenge());
    expect(party(HOST, PIN_PAD).receive(hello!).drop).toBe('challengeMissing');
  });
});

describe('lost messages', () => {
  test('a lost hello is repaired by a retry', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    agent.start(freshChallenge());
    expect(agent.needsRetry).toBe(true);
    deliver(agent.retry(freshChallenge()), host, agent);
    expectBothWays(agent, host);
  });

  test('a lost answer is repaired by a retry', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    carry(agent.start(freshChallenge()), host);
    deliver(agent.retry(freshChallenge()), host, agent);
    expectBothWays(agent, host);
  });

  test('an answer that comes after the retry still counts', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    const late = carry(agent.start(freshChallenge()), host);
    carry(agent.retry(freshChallenge()), host);
    deliver(late, agent, host);
    expectBothWays(agent, host);
  });

  test('a lost finish is repaired by a retry', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    carry(carry(agent.start(freshChallenge()), host), agent);
    expect([agent.isUp, agent.needsRetry, host.isUp]).toEqual([true, true, false]);
    deliver(agent.retry(freshChallenge()), host, agent);
    expectBothWays(agent, host);
  });

  test('a repeated finish keeps the session: what was sealed before it still arrives', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    carry(carry(agent.start(freshChallenge()), host), agent);
    const early = sealed(agent, RELEASE);
    deliver(agent.retry(freshChallenge()), host, agent);
    expect(host.receive(early).message?.message).toEqual(RELEASE);
    expect(agent.needsRetry).toBe(false);
  });

  test('a finish that answers another challenge is stale', () => {
    const { agent, host } = connected();
    const wrong = { kind: 'helloFinished', answered: freshChallenge() } as unknown as Message;
    expect(host.receive(sealed(agent, wrong)).drop).toBe('stale');
  });

  test('a lost finish is repaired by the next message', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    carry(carry(agent.start(freshChallenge()), host), agent);
    const received = host.receive(sealed(agent, RELEASE));
    expect(received.events).toMatchObject([{ kind: 'up' }]);
    expect(received.message?.message).toEqual(RELEASE);
  });

  test('a lost answer to the finish is repaired by a retry', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    carry(carry(carry(agent.start(freshChallenge()), host), agent), host);
    expect([agent.needsRetry, host.isUp]).toEqual([true, true]);
    deliver(agent.retry(freshChallenge()), host, agent);
    expectBothWays(agent, host);
  });

  test('a retry repairs a finish whose session the responder has forgotten', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    const old = party(PIN_PAD, HOST).start(freshChallenge());
    const answer = carry(agent.start(freshChallenge()), host);
    carry(old, host);
    carry(carry(answer, agent), host);
    expect([agent.isUp, host.isUp]).toEqual([true, false]);
    deliver(agent.retry(freshChallenge()), host, agent);
    expectBothWays(agent, host);
  });

  test('a retry with nothing lost says nothing', () => {
    expect(connected().agent.retry(freshChallenge())).toEqual([]);
  });

  test('a hello that arrives twice does not void the answer on its way', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    const hello = agent.start(freshChallenge());
    const [first, second] = [carry(hello, host), carry(hello, host)];
    expect(second).toEqual(first);
    deliver(first, agent, host);
    expectBothWays(agent, host);
  });
});

describe('crossing hellos', () => {
  test('of two hellos at the same moment that of the lower name counts', () => {
    const [owner, borrower] = [party(ANDROID, PIN_PAD), party(PIN_PAD, ANDROID)];
    const [fromOwner, fromBorrower] = [owner.start(freshChallenge()), borrower.start(freshChallenge())];
    const repeated = carry(fromBorrower, owner);
    expect(repeated).toEqual(fromOwner);
    deliver(carry(fromOwner, borrower), owner, borrower);
    deliver(repeated, borrower, owner);
    expectBothWays(owner, borrower);
  });

  test('they converge also when the hello of the lower name was lost and never retried', () => {
    const [owner, borrower] = [party(ANDROID, PIN_PAD), party(PIN_PAD, ANDROID)];
    owner.start(freshChallenge());
    deliver(borrower.start(freshChallenge()), owner, borrower);
    expectBothWays(owner, borrower);
  });

  test('in whatever order the frames of two crossing handshakes arrive, retries end in one session', () => {
    // All interleavings of the first ten deliveries, each taking from one of the two directions or losing it.
    for (let schedule = 0; schedule < 4 ** 5; schedule++) {
      const [owner, borrower] = [party(ANDROID, PIN_PAD), party(PIN_PAD, ANDROID)];
      const toBorrower = [...owner.start(freshChallenge())];
      const toOwner = [...borrower.start(freshChallenge())];
      const step = (choice: number) => {
        const [queue, receiver, back] =
          choice % 2 ? [toBorrower, borrower, toOwner] : [toOwner, owner, toBorrower];
        const frame = choice < 2 ? queue.shift() : queue.pop();
        if (frame) back.push(...carry([frame], receiver));
      };
      for (let at = 0; at < 5; at++) step((schedule >> (2 * at)) & 3);
      for (let round = 0; round < 40; round++) {
        if (toBorrower.length + toOwner.length === 0) {
          toBorrower.push(...owner.retry(freshChallenge()));
          toOwner.push(...borrower.retry(freshChallenge()));
        }
        step(round & 1);
      }
      expectBothWays(owner, borrower);
    }
  });
});

describe('replay, reflection, confusion', () => {
  test('no frame of one boot of the receiver means anything to the next (M6)', () => {
    const agent = party(PIN_PAD, HOST);
    const host = party(HOST, PIN_PAD);
    const captured: Uint8Array[] = [];
    const answer = carry(agent.start(freshChallenge()), host);
    captured.push(...answer, ...carry(carry(answer, agent), host));
    captured.push(sealed(host, RELEASE, HOST_TIME), sealed(host, RELEASE));

    const restarted = party(PIN_PAD, HOST, { bootId: pattern(99, 16) });
    const beforeHello = captured.map((frame) => restarted.receive(frame, freshChallenge()));
    const hello = restarted.start(freshChallenge());
    const duringHello = captured.map((frame) => restarted.receive(frame, freshChallenge()));
    deliver(hello, host, restarted);
    const afterwards = captured.map((frame) => restarted.receive(frame, freshChallenge()));

    const drops = [beforeHello, duringHello, afterwards].map((results) => results.map(({ drop }) => drop));
    const expected = ['stale', 'unverified', 'unverified', 'unverified'];
    expect(drops).toEqual([expected, expected, expected]);
    expectBothWays(restarted, host);
  });

  test('a replayed hello does not tear down the session', () => {
    const [agent, host] = [party(PIN_PAD, HOST), party(HOST, PIN_PAD)];
    const hello = agent.start(freshChallenge());
    deliver(hello, host, agent);
    const answer = carry(hello, host);
    expect(agent.receive(answer[0]!).drop).toBe('stale');
    expectBothWays(agent, host);
  });

  test('a replayed hello of an earlier boot does not tear down the session', () => {
    const old = party(PIN_PAD, HOST, { bootId: pattern(77, 16) }).start(freshChallenge());
    const { agent, host } = connected();
    const answer = carry(old, host);
    expect(agent.receive(answer[0]!).drop).toBe('stale');
    expectBothWays(agent, host);
  });

  test('a restarted agent replaces its session once it has proven itself', () => {
    const { agent, host } = connected();
    const restarted = party(PIN_PAD, HOST, { bootId: pattern(88, 16) });
    const finished = carry(carry(restarted.start(freshChallenge()), host), restarted);
    expect(reaches(agent, host)).toBe(true);
    expect(host.receive(finished[0]!).events).toMatchObject([{ kind: 'up', peerRestarted: true }]);
    expect(host.receive(sealed(agent, RELEASE)).drop).toBe('unverified');
  });

  test('a frame sent back to its sender does not verify', () => {
    const { agent, host } = connected();
    const frames = [...agent.start(freshChallenge()), sealed(agent, RELEASE)];
    expect(frames.map((frame) => agent.receive(frame, freshChallenge()).drop)).toEqual([
      'unverified',
      'unverified',
    ]);
    expect(host.isUp).toBe(true);
  });

  test('a frame moved to another pair does not verify, even with the same pair key', () => {
    const { agent } = connected();
    const other = party(HOST, ANDROID);
    deliver(party(ANDROID, HOST).start(freshChallenge()), other, party(ANDROID, HOST));
    const frames = [...agent.start(freshChallenge()), sealed(agent, RELEASE)];
    expect(frames.map((frame) => other.receive(frame, freshChallenge()).drop)).toEqual([
      'unverified',
      'unverified',
    ]);
  });

  test('with another pair key every frame gets the one error', () => {
    const { agent } = connected();
    const stranger = party(HOST, PIN_PAD, { pairKeys: pattern(9, 32) });
    const frames = [
      ...agent.start(freshChallenge()),
      sealed(agent, RELEASE),
      new Uint8Array(),
      pattern(0, 50),
    ];
    const drops = frames.map((frame) => stranger.receive(frame, freshChallenge()));
    expect(new Set(drops)).toHaveLength(1);
    expect(drops[0]).toEqual({ frames: [], events: [], drop: 'unverified' });
  });

  test('a consent is no message and a message no consent', () => {
    const { agent, host } = connected();
    expect(host.receive(agent.sealConsent(SMALLEST_CONSENT)!).drop).toBe('unverified');
    expect(host.openConsent(sealed(agent, RELEASE))).toBeUndefined();
  });
});
