/**
 * Rows that act on what is so, whatever happened, each in a state in which it alone decides; and what a record may not
 * be believed in.
 */

import { describe, expect, it } from 'vitest';
import type { HostState } from '../../../src/core/host/host-state.ts';
import type { Incarnation } from '../../../src/core/protocol/ids.ts';
import {
  ANDROID,
  CHALLENGE,
  command,
  HOST_CONFIG,
  heldByOwner,
  host,
  lentByHost,
  moving,
  phase,
  phaseFailed,
  phases,
  RECORDED,
  refusalTo,
  reserved,
  timers,
  VAULT,
} from '../protocol/requirements-support.ts';

const HYPERVISOR = { ...HOST_CONFIG, keeper: 'hypervisor' } as const;
const cleaned = (at: number) => [phase('fence', at), phase('settle', at), phase('clean', at, { idle: true })];
/** A host that starts again on a machine that was not rebooted. */
const restarted = (state: HostState, running: object, reach: string, config = HOST_CONFIG) =>
  host(
    [
      { on: 'start', recovered: { kind: 'record', state, rebooted: false }, running },
      phase('inspect', state.epoch, { reach }),
    ],
    undefined,
    config,
  );

describe('after a restart', () => {
  it('a loan whose lender has ended since, and runs again, comes back by force', () => {
    const running = { [ANDROID]: 2, [VAULT]: 1 };
    expect(restarted(lentByHost(), running, VAULT).state.attempt).toMatchObject({
      cause: 'supplyLost',
      forced: true,
      to: undefined,
    });
    expect(restarted(lentByHost(), running, VAULT, HYPERVISOR as never).state.name).toBe('held');
  });

  it('a quarantine is not believed to be isolated: that is proved anew', () => {
    const left = host([phaseFailed('fence', 2)], moving()).state;
    const isolated = { ...left, quarantine: { ...left.quarantine!, isolated: true }, suspect: undefined };
    const { state, effects } = restarted(isolated, { [ANDROID]: 1, [VAULT]: 1 }, 'blocked');
    expect(state).toMatchObject({ name: 'quarantined', quarantine: { isolated: false } });
    expect(phases(effects)).toEqual(['fence']);
    const exit = host([{ on: 'vmExited', vm: VAULT }], state);
    expect(exit.effects.filter((effect) => effect.do === 'acknowledgeExit')).toEqual([]);
    const proved = host([phase('fence', 2), phase('settle', 2)], exit.state);
    expect(proved.effects).toContainEqual({ do: 'acknowledgeExit', vm: VAULT, incarnation: 1 });
  });

  it('a record of a loan that a party knows to be old ends in a forced return', () => {
    const epochs = { from: 1_024, to: 2_048 };
    const recovered = { kind: 'record', state: lentByHost(), rebooted: false };
    const running = { [ANDROID]: 1, [VAULT]: 1 };
    const start = { on: 'start', recovered, running, epochs };
    const held = host([start, phase('inspect', 1_024, { reach: VAULT })]).state;
    expect(held).toMatchObject({ name: 'held', holder: { vm: VAULT, epoch: 2 } });
    for (const from of [ANDROID, VAULT]) {
      const query = command(from, 'queryState', { epoch: 5, challenge: CHALLENGE });
      expect(host([query], held).state.attempt).toMatchObject({ cause: 'restart', forced: true });
    }
  });
});

describe('an ended incarnation', () => {
  it('that the bundle still reaches stays, while another is let go of', () => {
    const owned = host(
      [{ on: 'vmExited', vm: VAULT }],
      lentByHost({}, HYPERVISOR as never),
      HYPERVISOR as never,
    );
    const { state, effects } = host([{ on: 'vmExited', vm: ANDROID }], owned.state, HYPERVISOR as never);
    expect(effects.filter((effect) => effect.do === 'acknowledgeExit')).toMatchObject([{ vm: ANDROID }]);
    expect(state.exiting).toEqual([{ vm: VAULT, incarnation: 1 }]);
  });

  it('is another than that of the same VM which runs by now', () => {
    const inputs = [
      { on: 'vmExited', vm: VAULT },
      { on: 'vmStarted', vm: VAULT, incarnation: 2 },
    ];
    const next = host([...inputs, { on: 'vmExited', vm: VAULT }], lentByHost());
    // The second never had anything of it.
    const freed = next.effects.filter((effect) => effect.do === 'acknowledgeExit');
    expect(freed).toEqual([{ do: 'acknowledgeExit', vm: VAULT, incarnation: 2 }]);
  });

  it('ends the reservation that was made for it', () => {
    const { state, effects } = host([{ on: 'vmExited', vm: VAULT }], reserved());
    expect(state.reservation).toBeUndefined();
    expect(refusalTo(ANDROID, effects)).toEqual(['borrowerAbsent']);
  });
});

describe('an owner', () => {
  const lifted = (running: object) =>
    host([{ on: 'lift' }, ...cleaned(3), RECORDED], {
      ...host([phaseFailed('fence', 2)], moving()).state,
      running,
    } as HostState).state;

  it('is given what an operator lifted when it asks, or starts, and not by itself', () => {
    const parked = lifted({ [ANDROID]: 1 as Incarnation });
    expect(parked).toMatchObject({ name: 'parked', lastCause: 'lift' });
    expect(host([RECORDED], parked).state.name).toBe('parked');
    expect(host([command(ANDROID, 'claim', { epoch: 3 })], parked).state.attempt?.cause).toBe('claim');
    const away = lifted({});
    expect(host([{ on: 'vmStarted', vm: ANDROID, incarnation: 2 }], away).state.attempt).toMatchObject({
      cause: 'start',
      to: { vm: ANDROID, incarnation: 2 },
    });
  });

  it('is not given its bundle in the guard time, whatever happens', () => {
    const forced = host([{ on: 'timer:lease' }, { on: 'timer:notice' }, ...cleaned(3)], lentByHost()).state;
    expect(forced).toMatchObject({ name: 'parked', isGuardTime: true });
    for (const input of [RECORDED, { on: 'vmExited', vm: VAULT }, { on: 'vmRuns', vm: ANDROID }])
      expect(host([input], forced).state).toMatchObject({ name: 'parked', isGuardTime: true });
  });

  it('that holds and has ended loses its bundle in whatever way that came about', () => {
    const gone = { ...heldByOwner(), running: {} };
    expect(host([RECORDED], gone).state.attempt).toMatchObject({ cause: 'exit', forced: false });
  });
});

describe('the end of a phase’s time', () => {
  it('is none while this process, and its machine, did not run', () => {
    const late = host([{ on: 'timer:enforce', lateMs: 60_000 }], moving());
    expect(late.state).toEqual(moving());
    expect(timers(late.effects)).toEqual([['enforce', HOST_CONFIG.times.enforceMs]]);
    expect(host([{ on: 'timer:enforce', lateMs: 1 }], moving()).state.name).toBe('quarantined');
  });
});
