/** One test per requirement of docs/PROTOCOL.md on sessions and agents; its number leads the test's name. */

import { describe, expect, it, test } from 'vitest';
import { encodeLine } from '../../../src/common/lines.ts';
import { BORROWER_INPUTS } from '../../../src/core/agent/borrower.ts';
import { OWNER_INPUTS } from '../../../src/core/agent/owner.ts';
import { DEFAULT_MACHINE, HOST } from '../../../src/core/protocol/ids.ts';
import { noticeForUserMs } from '../../../src/core/protocol/timers.ts';
import { sealMac0 } from '../../../src/core/wire/cose.ts';
import { handshakeKey } from '../../../src/core/wire/keys.ts';
import { Session } from '../../../src/core/wire/session.ts';
import { AgentControl } from '../../../src/drivers/control/agent-control.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { ByteStreamListener } from '../../../src/ports/world.ts';
import { TERMS as BENCH_TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';
import {
  ANDROID,
  allowed,
  BUNDLE,
  borrower,
  CHALLENGE,
  CONSENT,
  done,
  failed,
  fromBorrower,
  fromHost,
  fromOwner,
  held,
  holding,
  hooks,
  inc,
  knowing,
  lending,
  lent,
  message,
  on,
  only,
  owner,
  owning,
  PANEL,
  pending,
  prepared,
  proofFor,
  REQUEST,
  remapped,
  requesting,
  sent,
  suspending,
  TERMS,
  VAULT,
  WRONG_DIGEST,
} from './requirements-support.ts';

describe('sessions', () => {
  it('R2 a payload is looked at only when the tag is right', () => {
    const pairKey = new Uint8Array(32);
    const session = new Session({
      us: VAULT,
      peer: ANDROID,
      pairKeys: pairKey,
      bootId: new Uint8Array(16),
      incarnation: inc(1),
      peerIncarnation: inc(0),
      versions: { min: 1, max: 1 },
      bundles: [],
    });
    const frame = sealMac0(
      handshakeKey({ generation: 1, key: pairKey }, { machine: DEFAULT_MACHINE, from: ANDROID, to: VAULT }),
      Uint8Array.of(0xff),
    );
    expect(session.receive(frame)).toMatchObject({ drop: 'malformed' });
    frame[frame.length - 1]! ^= 1;
    expect(session.receive(frame)).toEqual({ frames: [], events: [], drop: 'unverified' });
  });
});

describe('an agent that has just started', () => {
  const facts = {
    from: ANDROID,
    message: { ...remapped(VAULT, 9), challenge: CHALLENGE, reserveMs: 1, noticeMs: 1, consent: CONSENT },
    hook: 'suspend',
    result: { ok: true },
    status: 'active',
    terms: TERMS,
    fresh: true,
    decision: { allow: true },
  };
  const changing = (effects: readonly { do: string }[]) =>
    effects.filter((effect) => !['query', 'timer', 'stopTimer', 'inspect', 'notify'].includes(effect.do));

  test.each(OWNER_INPUTS.filter((name) => name !== 'stateReported'))(
    'R17 an owner does nothing on %s before its query is answered (M6)',
    (name) => {
      const unknown = owner([on('start'), { ...facts, on: 'driverInspected' } as never]).state;
      const { state, effects } = owner([{ ...facts, on: name } as never], unknown);
      expect(state.name).toBe('unknown');
      expect(changing(effects).filter((effect) => !sent([effect]).includes('borrowDeclined'))).toEqual([]);
    },
  );

  test.each(BORROWER_INPUTS.filter((name) => name !== 'stateReported'))(
    'R17 a borrower does nothing on %s before its query is answered (M6)',
    (name) => {
      const unknown = borrower([on('start'), { ...facts, on: 'driverInspected' } as never]).state;
      const { state, effects } = borrower([{ ...facts, on: name } as never], unknown);
      expect(state.name).toBe('unknown');
      expect(changing(effects)).toEqual([]);
    },
  );

  it('R17 an owner that works and holds is left as it was found', () => {
    const { state, effects } = owner([
      on('start'),
      { ...facts, on: 'driverInspected' } as never,
      fromHost(held(ANDROID, 1)),
    ]);
    expect(state.name).toBe('held');
    expect(hooks(effects)).toEqual([]);
    expect(sent(effects)).toEqual(['confirm']);
  });

  it('R18 a request meanwhile is declined as notReady', () => {
    const { effects } = owner([fromBorrower(REQUEST)]);
    expect(only(effects, 'borrowDeclined')).toMatchObject({ reason: 'notReady', retryAfterMs: 1_000 });
  });
});

describe('what an agent is told', () => {
  it.each([
    ['remapped', remapped(VAULT, 1)],
    ['stateReported', held(VAULT, 1)],
  ])('R19 a %s of an older epoch is ignored', (_, told) => {
    expect(borrower([fromHost(told)], holding())).toMatchObject({ state: holding(), effects: [] });
    expect(owner([fromHost(told)], lent())).toMatchObject({ state: lent(), effects: [] });
  });

  const world = () => {
    const vms = [ANDROID, VAULT];
    const made = new UnisolatedWorld(
      vms,
      [PANEL],
      () => new NoneEnforcer({ bundles: [PANEL], vms, machineBoot: '1' }),
    );
    made.startHost();
    made.startAgent(ANDROID, 'active');
    made.startAgent(VAULT, 'suspended');
    made.clock.advance(1_500);
    return made;
  };

  it('R20 a stateReported that does not echo the last challenge is dropped', () => {
    const made = world();
    const agent = made.agents.get(ANDROID)!;
    const before = agent.views();
    agent.onMessage(HOST, { ...held(VAULT, 99), challenge: new Uint8Array(8) }, undefined);
    expect(agent.views()).toEqual(before);
    expect(made.logs.at(-1)).toContain('answer to an older query');
  });

  test.each([
    ['of the host', VAULT, remapped(VAULT, 99)],
    ['of an owner', HOST, message('recallDevice', { epoch: 1, graceMs: 0 })],
  ])('R21 a message %s counts from nobody else', (_, from, told) => {
    const made = world();
    const agent = made.agents.get(ANDROID)!;
    const before = agent.views();
    agent.onMessage(from, told, undefined);
    expect(agent.views()).toEqual(before);
    expect(made.logs.at(-1)).toContain('not from the right sender');
  });

  it('R22 the epoch of an attempt under way is not taken over', () => {
    const underway = message('stateReported', { ...held(ANDROID, 7), phase: 'moving', holder: undefined });
    expect(owner([fromHost(underway)], lent()).state).toMatchObject({ epoch: 2 });
    expect(borrower([fromHost(underway)], knowing()).state).toMatchObject({ epoch: 1 });
  });

  it('R23 a new session with the host, and a second of silence, make an agent ask', () => {
    const asks = (effects: readonly { do: string }[]) => effects.map((effect) => effect.do);
    expect(asks(owner([on('hostUp')], lent()).effects)).toEqual(['query', 'timer']);
    expect(asks(borrower([on('hostUp')], holding()).effects)).toEqual(['query', 'timer']);
    expect(owner([on('timer:query')], lent()).effects).toContainEqual({
      do: 'timer',
      timer: 'query',
      ms: 1_000,
    });
  });
});

describe('a holder', () => {
  it('R24 confirms after its driver was resumed, and again until it is answered', () => {
    const granted = borrower([fromHost(remapped(VAULT, 2))], pending());
    expect(sent(granted.effects)).toEqual([]);
    const resumed = borrower([done('resume')], granted.state);
    expect(sent(resumed.effects)).toEqual(['confirm']);
    expect(sent(borrower([on('timer:confirm')], resumed.state).effects)).toEqual(['confirm']);
    const confirmed = borrower([fromHost(message('confirmed', { epoch: 2 }))], resumed.state);
    expect(sent(borrower([on('timer:confirm')], confirmed.state).effects)).toEqual([]);
  });

  it('R113 confirms again when it is told that the host has lost that', () => {
    const lost = { ...held(ANDROID, 1), confirmed: false } as never;
    expect(sent(owner([fromHost(lost)], owning()).effects)).toEqual(['confirm']);
    expect(sent(owner([fromHost(remapped(ANDROID, 1))], owning()).effects)).toEqual(['confirm']);
    expect(sent(owner([fromHost(held(ANDROID, 1))], owning()).effects)).toEqual([]);
    const told = { ...held(VAULT, 2), confirmed: false, leaseMs: 500 } as never;
    expect(sent(borrower([fromHost(told)], holding()).effects)).toEqual(['confirm']);
    expect(
      sent(borrower([fromHost({ ...(told as object), confirmed: true } as never)], holding()).effects),
    ).toEqual([]);
    // Not before its driver works.
    const resuming = borrower([fromHost(remapped(VAULT, 2))], pending()).state;
    expect(sent(borrower([fromHost(told)], resuming).effects)).toEqual([]);
  });

  const [first, second, ...rest] = proofFor(VAULT).resources;
  const proof = (fields: object) => ({ proof: { ...proofFor(VAULT), ...fields } });
  const wrong: readonly (readonly [string, object])[] = [
    ['another definition', { digest: WRONG_DIGEST }],
    ['another incarnation', { incarnation: 2 }],
    ['no proof', { proof: undefined }],
    ['weaker evidence than asked for', proof({ evidence: 'asserted' })],
    ['a missing resource', proof({ resources: [first, ...rest] })],
    ['an additional resource', proof({ resources: [first, second, ...rest, first] })],
    [
      'a swapped resource',
      proof({ resources: [{ ...first!, physical: second!.physical }, second, ...rest] }),
    ],
    ['a register range elsewhere', proof({ resources: [{ ...first!, view: 1 }, second, ...rest] })],
    ['a shorter register range', proof({ resources: [{ ...first!, pages: 0 }, second, ...rest] })],
    ['another SMMU', proof({ resources: [first, second, { ...rest[0]!, smmu: 0x15000 }, ...rest.slice(1)] })],
    ['another trigger', proof({ resources: [first, { ...second!, trigger: 'edge' }, ...rest] })],
  ];
  test.each(wrong)('R25 a borrower told of %s rejects and does not resume', (_, fields) => {
    const { state, effects } = borrower([fromHost(remapped(VAULT, 2, fields))], pending());
    expect(state.name).toBe('releasing');
    expect(hooks(effects)).toEqual([]);
    expect(only(effects, 'reject').epoch).toBe(2);
  });

  it('R25 an owner told of another definition rejects and does not resume', () => {
    const { state, effects } = owner([fromHost(remapped(ANDROID, 3, { digest: WRONG_DIGEST }))], lent());
    expect(state.name).toBe('quarantined');
    expect(hooks(effects)).toEqual([]);
    expect(only(effects, 'reject').epoch).toBe(3);
  });

  it('R26 a resume that a newer epoch overtook is undone and not confirmed (M7)', () => {
    const overtaken = borrower([fromHost(remapped(VAULT, 2)), fromHost(remapped(ANDROID, 3))], pending());
    const { state, effects } = borrower([done('resume')], overtaken.state);
    expect(state.name).toBe('suspending');
    expect(hooks(effects)).toEqual(['suspend']);
    expect(sent(effects)).toEqual([]);
  });

  it('R27 a driver that may work while somebody else holds is quiesced', () => {
    const lost = borrower([fromHost(remapped(ANDROID, 3))], holding());
    expect(hooks(lost.effects)).toEqual(['suspend']);
    const intruding = owner([fromHost(remapped(VAULT, 3))], owning());
    expect(hooks(intruding.effects)).toEqual(['quiesce']);
    const found = owner([
      on('start'),
      { on: 'driverInspected', status: 'unknown' },
      fromHost(held(VAULT, 3, ANDROID)),
    ]);
    expect(hooks(found.effects)).toEqual(['quiesce']);
  });
});

describe('a borrower', () => {
  it('R28 consents only at an epoch and with a timestamp token that are fresh, else it asks first', () => {
    const fresh = borrower([{ on: 'borrow', terms: TERMS, fresh: true }], knowing());
    expect(fresh.effects[1]).toMatchObject({ do: 'request', epoch: 1, incarnation: 1 });
    const old = borrower([{ on: 'borrow', terms: TERMS, fresh: false }], knowing());
    expect(old.effects[0]).toEqual({ do: 'query' });
    expect(old.state.name).toBe('asking');
  });

  it('R28 consents at the epoch that the host told last, and to nothing while that is quarantined', () => {
    const told = (phase: string) =>
      message('stateReported', { ...held(ANDROID, 2), phase, holder: undefined });
    const asking = (mayQueue: boolean) =>
      borrower([{ on: 'borrow', terms: { ...TERMS, mayQueue }, fresh: false }], knowing()).state;
    const waits = borrower([fromHost(told('parked'))], asking(true));
    expect(waits.effects).toContainEqual(expect.objectContaining({ do: 'request', epoch: 2 }));
    for (const [phase, mayQueue] of [
      ['parked', false],
      ['quarantined', true],
    ] as const) {
      const { state, effects } = borrower([fromHost(told(phase))], asking(mayQueue));
      expect(state.name).toBe('idle');
      expect(effects.some((effect) => effect.do === 'request')).toBe(false);
    }
  });

  it('R29 gives a consent anew once when it was stale, not for ever', () => {
    const stale = message('borrowDeclined', {
      reason: 'refusedByHost',
      retryAfterMs: 1,
      refusal: 'consentStale',
      requestId: 1,
    });
    const again = borrower([fromOwner(stale), fromHost(held(ANDROID, 2, VAULT))], requesting());
    expect(again.effects).toContainEqual(expect.objectContaining({ do: 'request', epoch: 2 }));
    const twice = borrower([fromOwner({ ...stale, requestId: 2 })], again.state);
    expect(twice.state.name).toBe('idle');
  });

  it('R30 releases a grant that nobody wants', () => {
    const { state, effects } = borrower([fromHost(remapped(VAULT, 2))], knowing());
    expect(state.name).toBe('releasing');
    expect(hooks(effects)).toEqual([]);
    expect(only(effects, 'release').epoch).toBe(2);
  });

  it('R30 releases a grant after its request was withdrawn', () => {
    const withdrawn = borrower([on('return')], pending());
    expect(sent(withdrawn.effects)).toEqual(['withdrawBorrow']);
    expect(sent(borrower([fromHost(remapped(VAULT, 2))], withdrawn.state).effects)).toEqual(['release']);
  });

  it('R31 suspends before the notice is over, whatever its client does', () => {
    const noticed = borrower(
      [fromHost(message('leaseEnding', { epoch: 2, noticeMs: 2_000, cause: 'expiry' }))],
      holding(),
    );
    expect(noticed.effects).toContainEqual({ do: 'timer', timer: 'notice', ms: 1_500, sooner: true });
    expect(hooks(borrower([on('timer:notice')], noticed.state).effects)).toEqual(['suspend']);
    expect([0, 400, 2_000, 60_000].map(noticeForUserMs)).toEqual([0, 300, 1_500, 59_500]);
  });

  it('R32 heeds a recall of its epoch and of no other', () => {
    const recall = (epoch: number) => fromOwner(message('recallDevice', { epoch, graceMs: 400 }));
    expect(borrower([recall(2)], holding()).effects).toContainEqual({
      do: 'timer',
      timer: 'notice',
      ms: 300,
      sooner: true,
    });
    expect(borrower([recall(1)], holding()).effects).toEqual([]);
  });

  it('R33 releases after its driver was suspended, and again until the bundle is taken', () => {
    const returning = borrower([on('return')], holding());
    expect(sent(returning.effects)).toEqual([]);
    const released = borrower([done('suspend')], returning.state);
    expect(sent(released.effects)).toEqual(['release']);
    expect(sent(borrower([on('timer:release')], released.state).effects)).toEqual(['release']);
    expect(borrower([fromHost(remapped(ANDROID, 3))], released.state).state.name).toBe('idle');
  });

  it('R33 releases also when its suspend hook failed', () => {
    const { effects } = borrower([on('return'), failed('suspend')], holding());
    expect(sent(effects)).toEqual(['release']);
  });

  it('R34 withdraws when its waiting time is over', () => {
    const { state, effects } = borrower([on('timer:request')], requesting());
    expect(state.name).toBe('idle');
    expect(sent(effects)).toEqual(['withdrawBorrow']);
  });

  it('R35 gives the bundle back when the connection that borrowed it closes', () => {
    const vms = [ANDROID, VAULT];
    const made = new UnisolatedWorld(
      vms,
      [PANEL],
      () => new NoneEnforcer({ bundles: [PANEL], vms, machineBoot: '1' }),
    );
    made.startHost();
    made.startAgent(ANDROID, 'active');
    const control = new AgentControl(made.startAgent(VAULT, 'suspended'), made.log('control'), made.clock);
    made.clock.advance(1_500);
    let end: ByteStreamListener | undefined;
    control.accept({
      open: (listener) => {
        end = listener;
      },
      write: () => true,
      close: () => {},
    });
    end!.onData(encodeLine({ id: 1, do: 'borrow', bundle: BUNDLE, ...BENCH_TERMS }));
    made.clock.advance(100);
    expect(made.host.views()[0]).toMatchObject({ holder: VAULT });
    end!.onClose('gone');
    made.clock.advance(100);
    expect(made.host.views()[0]).toMatchObject({ holder: ANDROID });
  });
});

describe('an owner', () => {
  it('R36 suspends when the host has prepared, and lends when it is suspended', () => {
    const preparing = owner([fromBorrower(REQUEST), allowed(1)], owning());
    expect(sent(preparing.effects)).toEqual(['prepare']);
    expect(hooks(preparing.effects)).toEqual([]);
    const suspends = owner([fromHost(prepared())], preparing.state);
    expect(suspends.effects.map((effect) => effect.do)).toEqual(['stopTimer', 'persist', 'hook']);
    expect(sent(suspends.effects)).toEqual([]);
    expect(only(owner([done('suspend')], suspends.state).effects, 'lend').epoch).toBe(2);
  });

  it('R37 cancels, resumes and declines when it cannot suspend', () => {
    const { state, effects } = owner([failed('suspend')], suspending());
    expect(state.name).toBe('resuming');
    expect(sent(effects)).toEqual(['borrowDeclined', 'cancel']);
    expect(hooks(effects)).toEqual(['resume']);
  });

  it('R38 takes no silence of the host for its bundle: it says lend again and asks', () => {
    const { state, effects } = owner([on('timer:lend')], lending());
    expect(state.name).toBe('lending');
    expect(hooks(effects)).toEqual([]);
    expect(only(effects, 'lend').epoch).toBe(2);
    expect(effects).toContainEqual({ do: 'query' });
  });

  it('R39 declines when its policy does not decide in time', () => {
    const { state, effects } = owner([fromBorrower(REQUEST), on('timer:policy')], owning());
    expect(state.name).toBe('held');
    expect(only(effects, 'borrowDeclined').reason).toBe('policyTimeout');
  });

  it('R40 cancels a reservation that comes too late', () => {
    const { effects } = owner([fromHost(prepared())], owning());
    expect(only(effects, 'cancel').epoch).toBe(2);
  });

  it('R41 claims its bundle while it is parked', () => {
    const parked = owner(
      [fromHost(message('remapped', { epoch: 3, digest: WRONG_DIGEST, cause: 'expiry', leaseMs: 0 }))],
      lent(),
    );
    expect(parked.state.name).toBe('parked');
    const { effects } = owner([on('timer:claim')], parked.state);
    expect(only(effects, 'claim').epoch).toBe(3);
    expect(effects).toContainEqual({ do: 'timer', timer: 'claim', ms: 2_000 });
  });
});
