/** Two generations of a pair key at a time: sessions in either, and what never verifies. */

import { describe, expect, test } from 'vitest';
import { HOST, type Incarnation, type VmId } from '../../../src/core/protocol/ids.ts';
import { routeOf } from '../../../src/core/wire/envelope.ts';
import type { PairKeys } from '../../../src/core/wire/pair-keys.ts';
import type { Session } from '../../../src/core/wire/session.ts';
import type { SessionConfig, SessionEvent } from '../../../src/core/wire/session-io.ts';
import {
  ANDROID,
  freshChallenge,
  PAIR_KEY,
  PIN_PAD,
  party,
  pattern,
  RELEASE,
  SMALLEST_CONSENT,
  sealed,
} from './samples.ts';

const FIRST = { generation: 1, key: PAIR_KEY };
const SECOND = { generation: 2, key: pattern(0x90, 32) };
const THIRD = { generation: 3, key: pattern(0xd0, 32) };
const one = 1 as Incarnation;

function pair(ours: PairKeys, theirs: PairKeys, names: readonly [VmId, VmId] = [PIN_PAD, HOST]) {
  const [us, peer] = names;
  const known = us === HOST || peer === HOST ? {} : { incarnation: one };
  return [
    party(us, peer, { pairKeys: ours, ...known }),
    party(peer, us, { pairKeys: theirs, ...known }),
  ] as const;
}

/** Carries frames to and fro until nobody has anything to say. Returns the generations of sessions that came up. */
function talk(frames: readonly Uint8Array[], to: Session, from: Session): number[] {
  const ups: number[] = [];
  let [queue, receiver, sender] = [frames, to, from];
  for (let round = 0; queue.length > 0 && round < 12; round++) {
    queue = queue.flatMap((frame) => {
      const received = receiver.receive(frame, freshChallenge());
      ups.push(
        ...received.events.flatMap((event: SessionEvent) => (event.kind === 'up' ? [event.generation] : [])),
      );
      return received.frames;
    });
    [receiver, sender] = [sender, receiver];
  }
  return ups;
}

/** Retries as a link does, until both have a session. Returns the generations, and how many hellos it took. */
function settle(from: Session, to: Session): { generations: Set<number>; hellos: number } {
  const generations = talk(from.start(freshChallenge()), to, from);
  let hellos = 1;
  for (; from.needsRetry && hellos < 10; hellos++)
    generations.push(...talk(from.retry(freshChallenge()), to, from));
  return { generations: new Set(generations), hellos };
}

const reaches = (from: Session, to: Session) => to.receive(sealed(from, RELEASE)).message !== undefined;

describe('keys of two generations', () => {
  test.each<[string, PairKeys, PairKeys, number, number]>([
    ['a key without a number is the first', PAIR_KEY, [FIRST], 1, 1],
    ['both have both: the newest', [FIRST, SECOND], [SECOND, FIRST], 2, 1],
    ['the responder has not got the next yet', [FIRST, SECOND], [FIRST], 1, 4],
    ['the initiator has not got the next yet', [FIRST], [FIRST, SECOND], 1, 1],
    ['the responder has let the first go', [FIRST, SECOND], [SECOND, THIRD], 2, 1],
    ['the responder is two behind', [SECOND, THIRD], [FIRST, SECOND], 2, 4],
  ])('R103 make a session where there is a common one: %s', (_, ours, theirs, generation, hellos) => {
    const [agent, host] = pair(ours, theirs);
    expect(settle(agent, host)).toEqual({ generations: new Set([generation]), hellos });
    expect([reaches(agent, host), reaches(host, agent)]).toEqual([true, true]);
    expect(host.openConsent(agent.sealConsent(SMALLEST_CONSENT)!)).toEqual(SMALLEST_CONSENT);
    expect(routeOf(sealed(agent, RELEASE))?.generation).toBe(generation);
  });

  test('R103 make none without a common one, and go on trying both', () => {
    const [agent, host] = pair([SECOND, THIRD], [FIRST]);
    const tried = new Set<number | undefined>();
    for (let hello = 0; hello < 12; hello++) {
      const frames = hello === 0 ? agent.start(freshChallenge()) : agent.retry(freshChallenge());
      for (const frame of frames) {
        tried.add(routeOf(frame)?.generation);
        expect(host.receive(frame, freshChallenge()).drop).toBe('unverified');
      }
    }
    expect([...tried].sort()).toEqual([2, 3]);
    expect([agent.isUp, host.isUp]).toEqual([false, false]);
  });

  test('R103 a renewal begins with the newest, once the peer has it', () => {
    const [agent, host] = pair([FIRST, SECOND], [FIRST]);
    settle(agent, host);
    const updated = party(HOST, PIN_PAD, { pairKeys: [FIRST, SECOND], bootId: pattern(5, 16) });
    expect(settle(agent, updated)).toEqual({ generations: new Set([2]), hellos: 1 });
    expect(reaches(agent, updated)).toBe(true);
  });

  test.each<[string, PairKeys, PairKeys]>([
    ['the lower name has the next', [FIRST, SECOND], [FIRST]],
    ['the higher name has the next', [FIRST], [FIRST, SECOND]],
  ])('R103 two hellos that cross end in one session: %s', (_, ours, theirs) => {
    const [owner, borrower] = pair(ours, theirs, [ANDROID, PIN_PAD]);
    const [first, second] = [owner.start(freshChallenge()), borrower.start(freshChallenge())];
    const ups = [...talk(second, owner, borrower), ...talk(first, borrower, owner)];
    for (let i = 0; i < 8 && (owner.needsRetry || borrower.needsRetry); i++) {
      ups.push(...talk(borrower.retry(freshChallenge()), owner, borrower));
      ups.push(...talk(owner.retry(freshChallenge()), borrower, owner));
    }
    expect(new Set(ups)).toEqual(new Set([1]));
    expect([reaches(owner, borrower), reaches(borrower, owner)]).toEqual([true, true]);
  });

  test('R103 an answer in another generation than the hello is stale', () => {
    const [agent, host] = pair([FIRST, SECOND], [FIRST, SECOND]);
    const late = agent
      .start(freshChallenge())
      .flatMap((frame) => host.receive(frame, freshChallenge()).frames);
    for (let hello = 0; hello < 3; hello++) agent.retry(freshChallenge());
    expect(agent.receive(late[0]!).drop).toBe('stale');
  });

  test.each<[string, PairKeys]>([
    ['none', []],
    ['three', [FIRST, SECOND, THIRD]],
    ['two of one number', [FIRST, { ...SECOND, generation: 1 }]],
    ['number 0', [{ ...FIRST, generation: 0 }]],
  ])('are refused when the session is made: %s', (_, pairKeys) => {
    expect(() => pair(pairKeys, PAIR_KEY)).toThrow(RangeError);
  });
});

describe('the machine', () => {
  test('R104 is part of every frame: with the same keys, those of another machine do not verify', () => {
    const agent = party(PIN_PAD, HOST, { machine: 'm1' });
    const host = party(HOST, PIN_PAD, { machine: 'm2' });
    const same = party(HOST, PIN_PAD, { machine: 'm1' });
    const [hello] = agent.start(freshChallenge());
    expect(host.receive(hello!, freshChallenge()).drop).toBe('unverified');
    expect(settle(agent, same).hellos).toBe(1);
  });
});

describe('the id of the host’s table', () => {
  const TABLE = pattern(0x33, 8);
  const ids = (frames: readonly Uint8Array[], to: Session) =>
    frames.flatMap((frame) =>
      to
        .receive(frame, freshChallenge())
        .events.flatMap((event) => (event.kind === 'up' ? [event.tableId] : [])),
    );
  const both = (changes: Partial<SessionConfig>) => [
    party(PIN_PAD, HOST, changes),
    party(HOST, PIN_PAD, { tableId: TABLE }),
  ];

  test('R106 is told by the host, whoever began, and by nobody else', () => {
    const [agent, host] = both({ tableId: pattern(9, 8) }) as [Session, Session];
    const answer = agent
      .start(freshChallenge())
      .flatMap((frame) => host.receive(frame, freshChallenge()).frames);
    const installed = agent.receive(answer[0]!);
    expect(installed.events).toMatchObject([{ kind: 'up', tableId: TABLE }]);
    expect(ids(installed.frames, host)).toEqual([new Uint8Array(8)]);
    const [second, again] = both({}) as [Session, Session];
    const finished = again
      .start(freshChallenge())
      .flatMap((frame) => second.receive(frame, freshChallenge()).frames);
    const end = finished.flatMap((frame) => again.receive(frame).frames);
    expect(ids(end, second)).toEqual([TABLE]);
  });
});
