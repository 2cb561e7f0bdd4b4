/** Guards of single rows, each where it alone decides: of whom, of which life, of which epoch, of which consent. */

import { describe, expect, it } from 'vitest';
import type { HostState } from '../../../src/core/host/host-state.ts';
import {
  ANDROID,
  allowed,
  borrower,
  command,
  fromBorrower,
  fromHost,
  heldByOwner,
  hooks,
  host,
  lentByHost,
  message,
  moving,
  OTHER,
  owner,
  owning,
  phase,
  phases,
  prepare,
  prepared,
  proofFor,
  REQUEST,
  refusalTo,
  remapped,
  requesting,
  reserved,
  sent,
  VAULT,
} from './requirements-support.ts';

const RUNNING = { [ANDROID]: 1, [VAULT]: 1 };
const record = (state: object) => ({ kind: 'record', state, rebooted: false });
const readBack = (reach: string) => phase('inspect', 2, { reach, proof: proofFor(VAULT) });

describe('a consent', () => {
  it.each([
    ['leaseMs', { leaseMs: 999 }],
    ['minHoldMs', { minHoldMs: 99 }],
    ['noticeMs', { noticeMs: 399 }],
  ])('to more than the owner allows is refused: %s', (_, fields) => {
    const claims = { leaseMs: 1_000, minHoldMs: 100, noticeMs: 400 };
    const asked = (limits: object) => host([prepare(claims, {}, limits)], heldByOwner());
    expect(refusalTo(ANDROID, asked(fields).effects)).toEqual(['consentTerms']);
    expect(asked(claims).state.reservation).toBeDefined();
  });
});

describe('the host', () => {
  it('carries out a lend of its reservation alone', () => {
    const { state, effects } = host([command(ANDROID, 'lend', { epoch: 9 })], reserved());
    expect(state.name).toBe('held');
    expect(phases(effects)).toEqual([]);
    expect(refusalTo(ANDROID, effects)).toEqual(['reservationLapsed']);
  });

  it('takes no phase of an earlier attempt for one of this', () => {
    const before = moving();
    const { state, effects } = host([phase('fence', before.attempt!.epoch - 1)], before);
    expect(state).toEqual(before);
    expect(effects).toEqual([]);
  });

  it('takes a release from nobody but its holder, whatever epoch it names', () => {
    for (const from of [OTHER, ANDROID]) {
      const { state, effects } = host([command(from, 'release', { epoch: 2 })], lentByHost());
      expect(state.name).toBe('held');
      expect(phases(effects)).toEqual([]);
    }
  });

  it('takes no release of a holder that has ended and runs again', () => {
    const next = { ...lentByHost(), running: { ...RUNNING, [VAULT]: 2 } };
    const causeIn = (state: HostState) =>
      host([command(VAULT, 'release', { epoch: 2 })], state).state.attempt?.cause;
    expect(causeIn(next as never)).toBe('exit');
    expect(causeIn(lentByHost())).toBe('release');
  });

  it('lets go of nobody while the machine is read back', () => {
    const start = { on: 'start', recovered: record(lentByHost()), running: RUNNING };
    const { state, effects } = host([start, { on: 'vmExited', vm: VAULT }]);
    expect(state.name).toBe('starting');
    expect(effects.filter((effect) => effect.do === 'acknowledgeExit')).toEqual([]);
  });

  it('goes on after a restart with the life that held, and with no later one', () => {
    const start = (running: object) => ({ on: 'start', recovered: record(lentByHost()), running });
    const same = host([start(RUNNING), readBack(VAULT)]);
    expect(same.state).toMatchObject({ name: 'held', holder: { vm: VAULT } });
    const next = host([start({ ...RUNNING, [VAULT]: 2 }), readBack(VAULT)]);
    expect(next.state.name).toBe('moving');
    expect(phases(next.effects)).toEqual(['fence']);
    const another = host([start(RUNNING), readBack(ANDROID)]);
    expect(phases(another.effects)).toEqual(['fence']);
  });
});

describe('an agent', () => {
  it('that borrows takes no grant of the epoch at which the owner held', () => {
    const { state, effects } = borrower([fromHost(remapped(VAULT, 1))], requesting());
    expect(state.name).toBe('requesting');
    expect(hooks(effects)).toEqual([]);
    expect(hooks(borrower([fromHost(remapped(VAULT, 2))], requesting()).effects)).toEqual(['resume']);
  });

  it('that lends suspends for the consent of this request alone', () => {
    const preparing = owner([fromBorrower(REQUEST), allowed(1)], owning()).state;
    const at = (fields: object) => owner([fromHost(prepared(fields))], preparing);
    expect(hooks(at({}).effects)).toEqual(['suspend']);
    for (const fields of [{ requestId: 9 }, { borrower: OTHER }, { epoch: 1 }]) {
      expect(hooks(at(fields).effects)).toEqual([]);
      expect(sent(at(fields).effects)).toEqual(['cancel']);
      expect(at(fields).state).toEqual(preparing);
    }
  });

  it('takes the policy’s answer to this request alone', () => {
    const deciding = owner([fromBorrower(REQUEST)], owning()).state;
    expect(owner([allowed(7)], deciding).state.name).toBe('held');
    expect(owner([allowed(1)], deciding).state.name).toBe('preparing');
  });

  it('that lends takes no confirmation of another epoch', () => {
    const unconfirmed = { ...owning(), unconfirmed: true };
    expect(owner([fromHost(message('confirmed', { epoch: 9 }))], unconfirmed).state.unconfirmed).toBe(true);
    expect(owner([fromHost(message('confirmed', { epoch: 1 }))], unconfirmed).state.unconfirmed).toBe(false);
  });
});
