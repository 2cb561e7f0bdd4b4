/**
 * What a second implementation had to guess before the document said it: each test bears the number of its rule in
 * docs/PROTOCOL.md.
 */

import { describe, expect, it, test } from 'vitest';
import { faultMessage } from '../../../src/core/host/host-view.ts';
import { bundleDigest, canonicalBundle } from '../../../src/core/wire/digest.ts';
import {
  ANDROID,
  BUNDLE,
  borrower,
  command,
  fromHost,
  held,
  heldByOwner,
  holding,
  hooks,
  host,
  inspected,
  lentByHost,
  message,
  moving,
  OTHER,
  on,
  only,
  owner,
  owning,
  PANEL,
  pending,
  prepare,
  prepared,
  RECORDED,
  REQUEST,
  refusalTo,
  remap,
  remapped,
  requesting,
  reserved,
  sent,
  VAULT,
} from './requirements-support.ts';

const ask = (from: typeof VAULT) => command(from, 'queryState', { epoch: 0, challenge: new Uint8Array(8) });
const told = (from: typeof VAULT, state: ReturnType<typeof heldByOwner>, nowMs = 0) =>
  only(host([{ ...ask(from), nowMs }], state).effects, 'stateReported');
const noticed = () => host([{ on: 'timer:lease', nowMs: 1_000 }], lentByHost()).state;
const reclaimed = () =>
  host([command(ANDROID, 'reclaim', { epoch: 2 })], lentByHost({ minHoldMs: 500 })).state;

describe('stateReported', () => {
  it('R91 is pending for whom the bundle is reserved, or on its way to', () => {
    expect(told(VAULT, reserved()).pending).toBe(true);
    expect(told(VAULT, moving()).pending).toBe(true);
    expect(told(VAULT, lentByHost()).pending).toBe(false);
    expect(told(ANDROID, reserved()).pending).toBe(false);
    const returning = host([command(VAULT, 'release', { epoch: 2 })], lentByHost()).state;
    expect(told(ANDROID, returning).pending).toBe(true);
    expect(told(VAULT, returning).pending).toBe(false);
  });

  it('R91 says confirmed and lease of the holder, whoever asks', () => {
    const granted = host(remap(2, VAULT), moving()).state;
    const confirmed = host([command(VAULT, 'confirm', { epoch: 2 })], granted).state;
    for (const asker of [VAULT, ANDROID, OTHER]) {
      expect(told(asker, granted, 400)).toMatchObject({ confirmed: false, leaseMs: 600 });
      expect(told(asker, confirmed, 400)).toMatchObject({ confirmed: true, leaseMs: 600 });
      expect(told(asker, heldByOwner())).toMatchObject({ leaseMs: 0 });
      expect(told(asker, moving())).toMatchObject({ confirmed: false, leaseMs: 0 });
    }
  });

  it('R91 says ending to the holder alone, and only once notice was given', () => {
    expect(told(VAULT, noticed(), 1_100)).toMatchObject({ ending: 'expiry', noticeMs: 300 });
    expect(told(ANDROID, noticed(), 1_100)).not.toHaveProperty('ending');
    expect(told(VAULT, reclaimed())).not.toHaveProperty('ending');
    expect(told(VAULT, lentByHost())).not.toHaveProperty('ending');
  });
});

describe('we hold', () => {
  it('R92 counts the name, and the state held; another incarnation is wrong evidence', () => {
    const stranger = held(VAULT, 2);
    const taken = borrower([fromHost({ ...stranger, incarnation: 2 as never })], pending());
    expect(only(taken.effects, 'reject').what).toBe('incarnation 2, ours is 1');
    expect(hooks(taken.effects)).toEqual([]);
    const back = owner([fromHost(remapped(ANDROID, 2, { incarnation: 2 }))], owning());
    expect(only(back.effects, 'reject').what).toBe('incarnation 2, ours is 1');
    const moves = borrower([fromHost({ ...stranger, phase: 'moving', pending: true })], pending());
    expect(sent(moves.effects)).toEqual([]);
    const after = host([{ on: 'vmExited', vm: VAULT }], lentByHost()).state;
    const next = host([{ on: 'vmStarted', vm: VAULT, incarnation: 2 }], after).state;
    expect(told(VAULT, next)).not.toHaveProperty('holder');
  });
});

describe('a command', () => {
  it.each([
    ['release', {}],
    ['confirm', {}],
    ['reject', { what: 'x' }],
  ] as const)(
    'R95 %s of a VM that does not hold is answered with how the bundle stands, or refused',
    (kind, fields) => {
      const say = (epoch: number, from = OTHER) =>
        host([command(from, kind, { epoch, ...fields })], lentByHost());
      for (const epoch of [1, 2]) {
        const { state, effects } = say(epoch);
        expect(only(effects, 'remapped')).toMatchObject({ holder: VAULT, epoch: 2 });
        expect(only(effects, 'remapped')).not.toHaveProperty('proof');
        expect(state.holder).toEqual(lentByHost().holder);
      }
      expect(refusalTo(OTHER, say(3).effects)).toEqual(['notHolder']);
      expect(sent(host([command(ANDROID, 'release', { epoch: 1 })], heldByOwner()).effects)).toEqual([
        'remapped',
      ]);
    },
  );

  it('R96 release while a return is coming makes the move bear its cause, and is not forced', () => {
    const cause = (state: ReturnType<typeof noticed>) => {
      const out = host([{ ...command(VAULT, 'release', { epoch: 2 }), nowMs: 1_100 }], state);
      return [out.state.attempt?.cause, out.state.attempt?.forced];
    };
    expect(cause(lentByHost())).toEqual(['release', false]);
    expect(cause(noticed())).toEqual(['expiry', false]);
    expect(cause(reclaimed())).toEqual(['reclaim', false]);
    const back = host(
      [{ ...command(VAULT, 'release', { epoch: 2 }), nowMs: 1_100 }, ...remap(3, ANDROID)],
      noticed(),
    );
    expect(back.state.lastCause).toBe('expiry');
  });
});

describe('a consent', () => {
  test.each<[string, object, string]>([
    ['bundle', { bundle: 'other' }, 'consentInvalid'],
    ['owner', { owner: OTHER }, 'consentInvalid'],
    ['requestId', { requestId: 2 }, 'consentInvalid'],
    ['digest', { digest: new Uint8Array(32) }, 'digestMismatch'],
    ['epoch', { epoch: 2 }, 'consentStale'],
    ['incarnation', { incarnation: 2 }, 'consentStale'],
    ['validMs', { validMs: 9 }, 'consentStale'],
    ['use renew', { use: 'renew' }, 'consentTerms'],
    ['use next', { use: 'next' }, 'consentTerms'],
    ['renewal', { renewal: 1 }, 'consentTerms'],
    ['leaseMs of 0', { leaseMs: 0 }, 'consentTerms'],
    ['minHoldMs above leaseMs', { minHoldMs: 1_001 }, 'consentTerms'],
    ['evidence', { evidence: 'attested' }, 'evidenceTooWeak'],
  ])('R97 is refused by the claim that is wrong: %s', (_, claims, code) => {
    expect(refusalTo(ANDROID, host([prepare(claims)], heldByOwner()).effects)).toEqual([code]);
  });

  it('R97 is refused by the first of several wrong claims, in the order of the document', () => {
    const order: [object, string][] = [
      [{ requestId: 2 }, 'consentInvalid'],
      [{ digest: new Uint8Array(32) }, 'digestMismatch'],
      [{ epoch: 2 }, 'consentStale'],
      [{ use: 'next' }, 'consentTerms'],
      [{ evidence: 'attested' }, 'evidenceTooWeak'],
    ];
    for (const [index, [, code]] of order.entries()) {
      const claims = Object.assign({}, ...order.slice(index).map(([claim]) => claim));
      expect(refusalTo(ANDROID, host([prepare(claims)], heldByOwner()).effects)).toEqual([code]);
    }
  });

  test.each(['leaseMs', 'minHoldMs', 'noticeMs'])(
    'R98 is refused beyond the %s of prepare; what requestBorrow says is for the policy',
    (field) => {
      const terms = { leaseMs: 1_000, minHoldMs: 300, noticeMs: 400 };
      const asked = prepare(terms, {}, { ...terms, [field]: terms[field as keyof typeof terms] - 1 });
      expect(refusalTo(ANDROID, host([asked], heldByOwner()).effects)).toEqual(['consentTerms']);
      expect(sent(host([prepare(terms, {}, terms), RECORDED], heldByOwner()).effects)).toContain('prepared');
      const long = message('requestBorrow', { ...REQUEST, [field]: 7 });
      const decides = owner([{ on: 'requestBorrow', from: VAULT, message: long } as never], owning()).effects;
      expect(decides).toContainEqual(expect.objectContaining({ do: 'decide', [field]: 7 }));
    },
  );
});

describe('a request', () => {
  it('R100 that went into a dead session is not said again: it ends with its time', () => {
    const up = borrower([on('hostUp')], requesting());
    expect(sent(up.effects)).toEqual([]);
    expect(up.effects.some((effect) => effect.do === 'request')).toBe(false);
    const over = borrower([on('timer:request')], up.state);
    expect(sent(over.effects)).toEqual(['withdrawBorrow']);
    expect(over.state.name).toBe('idle');
  });
});

describe('order', () => {
  it('R101 of devices, resources and residual states counts in a digest, that of views does not', () => {
    const [first, ...others] = PANEL.devices;
    const residualStates = [
      { what: 'one', clearedBy: 'reset' },
      { what: 'two', clearedBy: 'reset' },
    ] as const;
    const hex = (devices: readonly object[]) => bundleDigest({ ...PANEL, devices } as never).join();
    const device = { ...first!, residualStates };
    expect(hex([device, ...others])).not.toBe(
      hex([{ ...device, residualStates: [...residualStates].reverse() }, ...others]),
    );
    expect(hex([device, ...others])).not.toBe(hex([...others, device]));
    const resources = [...first!.resources].reverse();
    expect(hex([device, ...others])).not.toBe(hex([{ ...device, resources }, ...others]));
    const views = { vault: 0x1000_0000, android: 0x2000_0000 };
    const seen = (how: object) => [{ ...first!, resources: [{ ...first!.resources[0]!, views: how }] }];
    const turned = { android: 0x2000_0000, vault: 0x1000_0000 };
    expect(canonicalBundle({ ...PANEL, devices: seen(views) } as never)).toEqual(
      canonicalBundle({ ...PANEL, devices: seen(turned) } as never),
    );
  });
});

describe('an epoch', () => {
  it('R102 may skip: agents take any that is higher', () => {
    const back = owner([fromHost(remapped(ANDROID, 900_000))], owning());
    expect([back.state.name, back.state.epoch]).toEqual(['resuming', 900_000]);
    const allowed = { on: 'policyDecided', request: 1, decision: { allow: true } } as const;
    const waiting = owner(
      [{ on: 'requestBorrow', from: VAULT, message: REQUEST } as never, allowed],
      owning(),
    ).state;
    expect(owner([fromHost(prepared({ epoch: 77 }))], waiting).state).toMatchObject({ attempt: 77 });
    const granted = borrower([fromHost(remapped(VAULT, 4_000))], pending());
    expect([granted.state.name, granted.state.epoch]).toEqual(['resuming', 4_000]);
    const gone = borrower([fromHost(remapped(ANDROID, 70_000))], holding());
    expect(gone.state).toMatchObject({ name: 'suspending', epoch: 70_000, overtaken: true });
    const known = borrower([...inspected('suspended'), fromHost(held(ANDROID, 5_000, VAULT))]);
    expect([known.state.name, known.state.epoch]).toEqual(['idle', 5_000]);
    const lapsed = host([on('timer:reservation'), prepare(), RECORDED], reserved());
    expect(only(lapsed.effects, 'prepared').epoch).toBe(3);
  });
});

describe('a fault', () => {
  const fault = { by: 'dma', address: 0x5000, write: true, count: 1, lost: false } as const;
  const report = (event: string) =>
    faultMessage(BUNDLE, { fault: { ...fault, event }, epoch: 2 } as never, 'touch.stream0' as never, 1);

  it('R107 says neither page nor write where the hardware does not', () => {
    expect(report('F_TRANSLATION')).toMatchObject({ write: true, page: 5 });
    const unknown = report('C_BAD_STE');
    expect(unknown).not.toHaveProperty('write');
    expect(unknown).not.toHaveProperty('page');
  });
});
