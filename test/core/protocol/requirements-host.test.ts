/** One test per requirement of docs/PROTOCOL.md on the host; its number leads the test's name. */

import { describe, expect, it, test } from 'vitest';
import { attribute } from '../../../src/core/host/attribution.ts';
import { type HostState, initialHost } from '../../../src/core/host/host-state.ts';
import { HOST_INPUTS } from '../../../src/core/host/host-table.ts';
import { foldAnswers, NO_TALLY, phaseRun } from '../../../src/core/host/remap.ts';
import type { Epoch, VmId } from '../../../src/core/protocol/ids.ts';
import { DRAINS_MAX, HOST_TIMES } from '../../../src/core/protocol/timers.ts';
import {
  ANDROID,
  CHALLENGE,
  command,
  DIGEST,
  epoch,
  HOST_CONFIG,
  heldByOwner,
  host,
  lentByHost,
  message,
  moving,
  OTHER,
  only,
  PANEL,
  phase,
  phaseFailed,
  phases,
  prepare,
  proofFor,
  RECORDED,
  refusalTo,
  remap,
  reserved,
  sent,
  VAULT,
  WRONG_DIGEST,
} from './requirements-support.ts';

describe('prepare and consent', () => {
  test.each([
    ['of another epoch', { epoch: 7 }, {}, 'consentStale'],
    ['of another incarnation of the borrower', { incarnation: 2 }, {}, 'consentStale'],
    ['of another boot of the host', {}, { sameBoot: false }, 'consentStale'],
    ['after its time', {}, { ageMs: 10_001 }, 'consentStale'],
    ['from the future', {}, { ageMs: -1 }, 'consentStale'],
    ['for another bundle', { bundle: 'keys' }, {}, 'consentInvalid'],
    ['for another owner', { owner: OTHER }, {}, 'consentInvalid'],
    ['for another definition', { digest: WRONG_DIGEST }, {}, 'digestMismatch'],
    ['without a lease', { leaseMs: 0 }, {}, 'consentTerms'],
    ['with a minimum hold time longer than its lease', { leaseMs: 10, minHoldMs: 11 }, {}, 'consentTerms'],
    ['that asks for better evidence', { evidence: 'attested' }, {}, 'evidenceTooWeak'],
  ])('R42 a consent %s is refused (M1)', (_, claims, opened, code) => {
    const { state, effects } = host([prepare(claims, opened)], heldByOwner());
    expect(refusalTo(ANDROID, effects)).toEqual([code]);
    expect(state.reservation).toBeUndefined();
  });

  it('R42 a consent that does not verify is refused', () => {
    const { effects } = host([{ ...prepare(), consent: undefined }], heldByOwner());
    expect(refusalTo(ANDROID, effects)).toEqual(['consentInvalid']);
  });

  it('R42 a consent serves once: what it led to has another epoch', () => {
    const back = host([command(VAULT, 'release', { epoch: 2 }), ...remap(3, ANDROID)], lentByHost()).state;
    const { effects } = host([prepare({}, {}, { epoch: 3 })], back);
    expect(refusalTo(ANDROID, effects)).toEqual(['consentStale']);
  });

  test.each([
    ['by another VM', { from: OTHER }, {}, OTHER, 'notOwner'],
    ['at another epoch', {}, { epoch: 7 }, ANDROID, 'epochStale'],
    ['with another definition', {}, { digest: WRONG_DIGEST }, ANDROID, 'digestMismatch'],
    ['for a VM that does not run', {}, { borrower: OTHER }, ANDROID, 'borrowerAbsent'],
  ])('R43 a prepare %s is refused', (_, input, fields, to, code) => {
    const { state, effects } = host([{ ...prepare({}, {}, fields), ...input }], heldByOwner());
    expect(refusalTo(to, effects)).toEqual([code]);
    expect(state.reservation).toBeUndefined();
  });

  it('R44 a reservation is on disk before anybody is told of it', () => {
    const { state, effects } = host([prepare()], heldByOwner());
    expect(effects[0]).toEqual({ do: 'record' });
    expect(sent(effects)).toEqual([]);
    expect(sent(host([RECORDED], state).effects)).toEqual(['prepared', 'handoverPending']);
    expect(sent(host([prepare()], state).effects)).toEqual([]);
    expect(state).toMatchObject({ name: 'held', epoch: 2, reservation: { epoch: 2 }, holder: { epoch: 1 } });
  });

  it('R44 a reservation that cannot be recorded is off, and nothing is lent until something can be', () => {
    const unwritten = host([prepare(), { on: 'recorded', fault: 'ENOSPC' }], heldByOwner());
    expect(unwritten.state.reservation).toBeUndefined();
    expect(refusalTo(ANDROID, unwritten.effects)).toEqual(['busy']);
    expect(sent(unwritten.effects)).toEqual(['refused']);
    expect(refusalTo(ANDROID, host([prepare()], unwritten.state).effects)).toEqual(['busy']);
    const again = host([RECORDED, prepare(), RECORDED], unwritten.state);
    expect(sent(again.effects)).toEqual(['prepared', 'handoverPending']);
  });

  it('R44 a block of epochs that is nearly used up refuses lends, and no return', () => {
    const low = { ...heldByOwner(), epochMax: 10 as Epoch };
    expect(refusalTo(ANDROID, host([prepare()], low).effects)).toEqual(['busy']);
    const more = host([{ on: 'epochsReserved', to: 1_024 }, prepare()], low);
    expect(more.state.reservation?.epoch).toBe(2);
    const back = host([command(VAULT, 'release', { epoch: 2 })], { ...lentByHost(), epochMax: 3 as Epoch });
    expect(back.state.attempt?.epoch).toBe(3);
    const none = { ...lentByHost(), epochMax: 2 as Epoch };
    expect(() => host([command(VAULT, 'release', { epoch: 2 })], none)).toThrow('epoch 3 may not be used');
  });

  it('R45 a reservation that lapses burns its epoch and changes nothing else', () => {
    const { state, effects } = host([{ on: 'timer:reservation' }], reserved());
    expect(state).toMatchObject({ name: 'held', epoch: 2, holder: { vm: ANDROID, epoch: 1 } });
    expect(refusalTo(ANDROID, effects)).toEqual(['reservationLapsed']);
    expect(refusalTo(VAULT, effects)).toEqual(['reservationLapsed']);
    expect(host([prepare()], state).state.reservation?.epoch).toBe(3);
  });
});

describe('commands', () => {
  it('R46 a lend that is repeated after a rollback does not act (M4)', () => {
    const rolledBack = host(
      [
        phase('fence', 2),
        phase('settle', 2),
        phaseFailed('clean', 2),
        phase('grant', 2, { proof: proofFor(ANDROID) }),
      ],
      moving(),
    ).state;
    const { state, effects } = host([command(ANDROID, 'lend', { epoch: 2 })], rolledBack);
    expect(state).toEqual(rolledBack);
    expect(phases(effects)).toEqual([]);
    expect(only(effects, 'remapped')).toMatchObject({ holder: ANDROID, epoch: 2, cause: 'rollback' });
  });

  test.each([
    ['lend', ANDROID, { epoch: 1 }],
    ['release', VAULT, { epoch: 1 }],
    ['reclaim', ANDROID, { epoch: 1 }],
    ['reject', VAULT, { epoch: 1, what: '' }],
    ['confirm', VAULT, { epoch: 1 }],
    ['cancel', ANDROID, { epoch: 1 }],
    ['prepare', ANDROID, { epoch: 1, digest: DIGEST, borrower: VAULT, consent: new Uint8Array(1) }],
  ] as const)('R46 a %s of an older epoch changes nothing', (kind, from, fields) => {
    const before = lentByHost();
    const { state, effects } = host([command(from, kind, fields)], before);
    expect(state).toEqual(before);
    expect(phases(effects)).toEqual([]);
    expect(effects).toHaveLength(1);
  });

  it('R47 a command while the bundle moves is refused, or waits for the end that is told', () => {
    expect(refusalTo(ANDROID, host([prepare()], moving()).effects)).toEqual(['busy']);
    expect(host([command(VAULT, 'release', { epoch: 2 })], moving()).row).toBe('release-underway');
  });

  test.each([
    ['lend', VAULT, reserved, 2],
    ['cancel', VAULT, reserved, 2],
    ['reclaim', VAULT, lentByHost, 2],
    ['claim', VAULT, heldByOwner, 1],
  ] as const)('R48 a %s by somebody who is not the owner is refused', (kind, from, state, at) => {
    const { effects } = host([command(from, kind, { epoch: at })], state());
    expect(refusalTo(from, effects)).toEqual(['notOwner']);
  });

  it('R49 a cancel before the grant leads back to the owner, one during the grant comes too late', () => {
    const cancel = command(ANDROID, 'cancel', { epoch: 2 });
    const early = host([phase('fence', 2), cancel, phase('settle', 2)], moving());
    expect(early.effects).toContainEqual({ do: 'phase', phase: 'grant', epoch: 2, to: ANDROID });
    const late = host(
      [phase('fence', 2), phase('settle', 2), phase('clean', 2, { idle: true }), cancel],
      moving(),
    );
    expect(refusalTo(ANDROID, late.effects)).toEqual(['tooLate']);
  });
});

describe('remap', () => {
  it('R50 an attempt is on disk with its plan before its first write', () => {
    const { state, effects } = host([command(VAULT, 'release', { epoch: 2 })], lentByHost());
    const order = effects.map((effect) => effect.do).filter((name) => name === 'record' || name === 'phase');
    expect(order).toEqual(['record', 'phase']);
    expect(state.attempt).toMatchObject({ epoch: 3, from: { vm: VAULT }, to: { vm: ANDROID } });
  });

  it('R50 a lend has its plan recorded as well, under the epoch of its reservation', () => {
    const { state, effects } = host([command(ANDROID, 'lend', { epoch: 2 })], reserved());
    const order = effects.map((effect) => effect.do).filter((name) => name === 'record' || name === 'phase');
    expect(order).toEqual(['record', 'phase']);
    expect(state.attempt).toMatchObject({ epoch: 2, cause: 'lend' });
  });

  it('R51 each phase waits for the end of the one before: fence, settle, clean, grant', () => {
    const state = moving();
    expect(phases(host([phase('settle', 2)], state).effects)).toEqual([]);
    expect(phases(host([phase('fence', 2)], state).effects)).toEqual(['settle']);
    expect(phases(host([phase('fence', 2), phase('settle', 2)], state).effects)).toEqual(['clean']);
    const cleaned = [phase('fence', 2), phase('settle', 2), phase('clean', 2, { idle: true })];
    expect(phases(host(cleaned, state).effects)).toEqual(['grant']);
  });

  test.each([
    ['fence', [phaseFailed('fence', 2)], 'fenceFailed'],
    ['settle', [phase('fence', 2), phaseFailed('settle', 2)], 'settleFailed'],
    ['settle, by silence', [phase('fence', 2), { on: 'timer:enforce' }], 'settleFailed'],
  ])('R52 a failed %s ends in quarantine, isolation unproved, with nothing granted', (_, inputs, cause) => {
    const { state, effects } = host(inputs, moving());
    expect(state).toMatchObject({ name: 'quarantined', quarantine: { cause, isolated: false } });
    expect(state.holder).toBeUndefined();
    expect(phases(effects)).toEqual([]);
  });

  it('R53 a failed reset of a lend gives the bundle back to the owner under the epoch of the attempt', () => {
    const { effects, state } = host(
      [phase('fence', 2), phase('settle', 2), phaseFailed('clean', 2)],
      moving(),
    );
    expect(effects).toContainEqual({ do: 'phase', phase: 'grant', epoch: 2, to: ANDROID });
    expect(state.epoch).toBe(2);
  });

  it('R53 a failed reset of a return ends in quarantine', () => {
    const { state } = host(
      [
        command(VAULT, 'release', { epoch: 2 }),
        phase('fence', 3),
        phase('settle', 3),
        phaseFailed('clean', 3),
      ],
      lentByHost(),
    );
    expect(state.quarantine).toEqual({ cause: 'resetFailed', isolated: true });
  });

  it('R54 a failed grant to the borrower is fenced again, under a new epoch, and goes to the owner', () => {
    const cleaned = [phase('fence', 2), phase('settle', 2), phase('clean', 2, { idle: true })];
    const { state, effects } = host([...cleaned, phaseFailed('grant', 2)], moving());
    expect(state.attempt).toMatchObject({ epoch: 3, cause: 'forwardBack', to: { vm: ANDROID } });
    expect(phases(effects)).toEqual(['fence']);
  });

  it('R54 a failed grant to the owner is fenced again and ends in quarantine', () => {
    const back = host([command(VAULT, 'release', { epoch: 2 })], lentByHost()).state;
    const cleaned = (at: number) => [
      phase('fence', at),
      phase('settle', at),
      phase('clean', at, { idle: true }),
    ];
    const { state } = host([...cleaned(3), phaseFailed('grant', 3), ...cleaned(4)], back);
    expect(state.quarantine).toEqual({ cause: 'grantFailed', isolated: true });
  });

  it('R55 a device is granted only when it was found idle, and looked at a bounded number of times', () => {
    const busy = [phase('clean', 2, { idle: false }), { on: 'timer:drain' }];
    const settled = host([phase('fence', 2), phase('settle', 2)], moving()).state;
    expect(phases(host(busy.slice(0, 1), settled).effects)).toEqual([]);
    const looks = Array.from({ length: DRAINS_MAX }, () => busy).flat();
    const { effects } = host([...looks, busy[0]!], settled);
    expect(effects).toContainEqual({ do: 'phase', phase: 'grant', epoch: 2, to: ANDROID });
  });

  it('R56 a grant counts only when every resource reads back as the new holder’s', () => {
    const grants = PANEL.devices.flatMap(({ resources }) => resources.map(() => ({ ok: true as const })));
    const reads = grants.map((_, index) => ({ ok: true as const, reach: index === 2 ? ANDROID : VAULT }));
    const folded = foldAnswers(phaseRun(PANEL, 'grant', VAULT), 'observed', [...grants, ...reads], NO_TALLY);
    expect(folded.result).toEqual({
      ok: false,
      error: 'touch.stream0 reads back as android, expected vault',
    });
  });

  it('R57 the proof is told to the holder only', () => {
    const effects = host(remap(2, VAULT), moving()).effects;
    const told = effects.flatMap((effect) =>
      effect.do === 'send' && effect.message.kind === 'remapped' ? [[effect.to, effect.message.proof]] : [],
    );
    expect(told).toEqual([
      [VAULT, proofFor(VAULT)],
      [ANDROID, undefined],
    ]);
  });
});

describe('lease and return', () => {
  it('R58 a reclaim before the minimum hold time waits for its end (M8)', () => {
    const state = lentByHost({ leaseMs: 1_000, minHoldMs: 600 });
    const reclaim = command(ANDROID, 'reclaim', { epoch: 2 });
    const early = host([{ ...reclaim, nowMs: 100 }], state);
    expect(early.state).toMatchObject({ name: 'held', holder: { vm: VAULT, ending: { notified: false } } });
    expect(early.effects).toContainEqual({ do: 'timer', timer: 'lease', ms: 500 });
    expect(sent(early.effects)).toEqual([]);
    const late = host([{ ...reclaim, nowMs: 600 }], state);
    expect(sent(late.effects)).toEqual(['leaseEnding']);
  });

  it('R59 the end of a lease starts the notice, the end of the notice the forced return', () => {
    const ending = host([{ on: 'timer:lease', nowMs: 1_000 }], lentByHost());
    expect(only(ending.effects, 'leaseEnding')).toMatchObject({ epoch: 2, noticeMs: 400, cause: 'expiry' });
    const { state } = host([{ on: 'timer:notice', nowMs: 1_400 }], ending.state);
    expect(state.attempt).toMatchObject({ cause: 'expiry', forced: true, epoch: 3 });
  });

  it('R59 an enforcer that cannot force waits for the release', () => {
    const config = { ...HOST_CONFIG, forceRevoke: false };
    const ending = host([{ on: 'timer:lease' }, { on: 'timer:notice' }], lentByHost({}, config), config);
    expect(ending.state).toMatchObject({ name: 'held', holder: { vm: VAULT } });
  });

  it('R60 a borrower that does not confirm loses its lease', () => {
    const unconfirmed = host(remap(2, VAULT), moving()).state;
    const { effects } = host([{ on: 'timer:confirm' }], unconfirmed);
    expect(only(effects, 'leaseEnding')).toMatchObject({ cause: 'noConfirm' });
  });

  it('R61 a forced return leaves the bundle dark and parked for guardMs before the owner gets it (M9)', () => {
    const cleaned = [phase('fence', 3), phase('settle', 3), phase('clean', 3, { idle: true })];
    const forced = host([{ on: 'timer:lease' }, { on: 'timer:notice' }], lentByHost()).state;
    const parked = host(cleaned, forced);
    expect(parked.state).toMatchObject({ name: 'parked', isGuardTime: true });
    expect(parked.effects).toContainEqual({ do: 'timer', timer: 'guard', ms: HOST_TIMES.guardMs });
    expect(host([command(ANDROID, 'claim', { epoch: 3 })], parked.state).row).toBe('claim-guard');
    const { state } = host([{ on: 'timer:guard' }], parked.state);
    expect(state.attempt).toMatchObject({ cause: 'guard', to: { vm: ANDROID } });
  });

  it('R62 a borrower’s reject is a return, and bars it until an operator lifts that (M14)', () => {
    const rejected = host(
      [command(VAULT, 'reject', { epoch: 2, what: 'no' }), ...remap(3, ANDROID)],
      lentByHost(),
    );
    expect(rejected.state).toMatchObject({
      name: 'held',
      holder: { vm: ANDROID },
      rejections: [{ vm: VAULT }],
    });
    const again = prepare({ epoch: epoch(3) }, {}, { epoch: 3 });
    expect(refusalTo(ANDROID, host([again], rejected.state).effects)).toEqual(['barred']);
    expect(host([{ on: 'lift' }, again], rejected.state).state.reservation).toBeDefined();
  });

  it('R63 the owner’s reject ends in quarantine (M14)', () => {
    const { state } = host(
      [
        command(ANDROID, 'reject', { epoch: 1, what: 'no' }),
        phase('fence', 2),
        phase('settle', 2),
        phase('clean', 2, { idle: true }),
      ],
      heldByOwner(),
    );
    expect(state.quarantine).toEqual({ cause: 'evidenceMismatch', isolated: true });
  });
});

describe('lives', () => {
  it('R64 the end of a VM is acknowledged only when the bundle is settled without it (M5)', () => {
    const exited = host([{ on: 'vmExited', vm: VAULT }], lentByHost());
    expect(exited.state.attempt).toMatchObject({ cause: 'exit', forced: true });
    const fenced = host([phase('fence', 3)], exited.state);
    const settled = host([phase('settle', 3)], fenced.state);
    const acknowledged = { do: 'acknowledgeExit', vm: VAULT, incarnation: 1 };
    expect(exited.effects).not.toContainEqual(acknowledged);
    expect(fenced.effects).not.toContainEqual(acknowledged);
    expect(settled.effects).toContainEqual(acknowledged);
  });

  it('R64 a VM whose isolation is unproved keeps its memory until it is proved', () => {
    const exited = host([{ on: 'vmExited', vm: VAULT }, phaseFailed('fence', 3)], lentByHost());
    expect(exited.state.exiting).toEqual([{ vm: VAULT, incarnation: 1 }]);
    const proved = host([{ on: 'timer:retry' }, phase('fence', 3), phase('settle', 3)], exited.state);
    expect(proved.effects).toContainEqual({ do: 'acknowledgeExit', vm: VAULT, incarnation: 1 });
  });

  it('R65 a VM’s next incarnation does not hold what the one before held', () => {
    const next = host(
      [
        { on: 'vmExited', vm: VAULT },
        { on: 'vmStarted', vm: VAULT, incarnation: 2 },
      ],
      lentByHost(),
    );
    expect(next.state.holder).toBeUndefined();
    const { row } = host(
      [...remap(3, VAULT).slice(0, 3), command(VAULT, 'confirm', { epoch: 2 })],
      next.state,
    );
    expect(row).toBe('confirm-late');
  });

  it('R66 a bundle whose supplies end with the owner’s VM is taken from the borrower (M11)', () => {
    const { state } = host([{ on: 'vmExited', vm: ANDROID }], lentByHost());
    expect(state.attempt).toMatchObject({ cause: 'supplyLost', forced: true });
  });

  it('R67 an owner that starts is given its parked bundle', () => {
    const gone = host(
      [
        { on: 'vmExited', vm: ANDROID },
        phase('fence', 2),
        phase('settle', 2),
        phase('clean', 2, { idle: true }),
      ],
      heldByOwner(),
    ).state;
    expect(gone.name).toBe('parked');
    const { state } = host([{ on: 'vmStarted', vm: ANDROID, incarnation: 2 }], gone);
    expect(state.attempt).toMatchObject({ cause: 'start', to: { vm: ANDROID, incarnation: 2 } });
  });

  const record = (state: HostState, rebooted = false) => ({
    on: 'start',
    recovered: { kind: 'record', state, rebooted },
    running: { [ANDROID]: 1, [VAULT]: 1 },
  });

  it('R68 a host that restarts reads the machine back before it decides anything', () => {
    const started = host([record(lentByHost())]);
    expect(phases(started.effects)).toEqual(['inspect']);
    expect(host([command(VAULT, 'release', { epoch: 2 })], started.state).row).toBe('release-starting');
    const agrees = host([phase('inspect', 2, { reach: VAULT })], started.state);
    expect(agrees.state).toMatchObject({ name: 'held', holder: { vm: VAULT, epoch: 2 } });
    const differs = host([phase('inspect', 2, { reach: 'mixed' })], started.state);
    expect(differs.state.attempt).toMatchObject({ cause: 'restart', phase: 'fence', forced: true });
    expect(host([phaseFailed('inspect', 2)], started.state).state.quarantine?.cause).toBe('inspectFailed');
  });

  it('R69 after a reboot of the machine nobody holds', () => {
    const { state } = host([{ ...record(lentByHost(), true), running: {} }]);
    expect(state).toMatchObject({ name: 'moving', attempt: { cause: 'boot', to: undefined } });
    expect(state.holder).toBeUndefined();
    const end = host([phase('fence', 3), phase('settle', 3), phase('clean', 3, { idle: true })], state).state;
    expect(end).toMatchObject({ name: 'parked', epoch: 3 });
  });

  it('R70 a lost table means quarantine, and isolation is proved at once; no agent allocates an epoch', () => {
    const epochs = { from: 1_024, to: 2_048 };
    const lost = host([{ on: 'start', recovered: { kind: 'lost' }, running: { [ANDROID]: 1 }, epochs }]);
    expect(lost.state.quarantine).toEqual({ cause: 'tableLost', isolated: false });
    expect(phases(lost.effects)).toEqual(['fence']);
    const query = (at: number) => command(ANDROID, 'queryState', { epoch: at, challenge: CHALLENGE });
    for (const at of [41, 1_500, 0xffff_fff0]) expect(host([query(at)], lost.state).state.epoch).toBe(1_024);
  });

  it('R70 an agent that knows a higher epoch than the record makes it stale: the bundle comes back', () => {
    const recovered = { kind: 'record', state: heldByOwner(), rebooted: false };
    const start = (from: number) => ({
      on: 'start',
      recovered,
      running: { [ANDROID]: 1, [VAULT]: 1 },
      epochs: { from, to: from + 1_024 },
    });
    const read = phase('inspect', 1_024, { reach: ANDROID });
    const on = host([start(1_024), read]).state;
    expect(on).toMatchObject({ name: 'held', holder: { vm: ANDROID, epoch: 1 } });
    const query = (from: VmId, at: number) =>
      command(from, 'queryState', { epoch: at, challenge: CHALLENGE });
    const stale = host([query(ANDROID, 3)], on).state;
    expect(stale.attempt).toMatchObject({ cause: 'restart', epoch: 1_025, to: { vm: ANDROID } });
    // Nobody else, no epoch that this table never had, and no host that has moved the bundle itself.
    for (const input of [query(VAULT, 3), query(ANDROID, 1), query(ANDROID, 1_025)])
      expect(host([input], on).state.name).toBe('held');
    const own = host([query(ANDROID, 3), ...remap(1_025, ANDROID), query(ANDROID, 1_025)], on).state;
    expect(own).toMatchObject({ name: 'held', holder: { epoch: 1_025 } });
  });
});

describe('quarantine', () => {
  const quarantined = host([phaseFailed('fence', 2)], moving()).state;

  test.each(HOST_INPUTS.filter((name) => name !== 'lift' && name !== 'start' && !name.startsWith('timer:')))(
    'R71 a quarantine is not left by %s',
    (name) => {
      const input = {
        on: name,
        from: ANDROID,
        vm: ANDROID,
        incarnation: 1,
        epoch: 2,
        phase: 'settle',
        result: { ok: true },
        message: message('claim', { epoch: 2, challenge: CHALLENGE }),
      };
      expect(host([input], quarantined).state.name).toBe('quarantined');
    },
  );

  it('R71 an operator lifts it to parked, by fence, settle and clean, and nobody is given it', () => {
    const lifted = host([{ on: 'lift' }], quarantined);
    expect(phases(lifted.effects)).toEqual(['fence']);
    const { state, effects } = host(
      [phase('fence', 3), phase('settle', 3), phase('clean', 3, { idle: true })],
      lifted.state,
    );
    expect(state.name).toBe('parked');
    expect(phases(effects)).toEqual([]);
  });

  it('R72 a bundle that only a driver can clean is not lent unless the host accepts that', () => {
    const strict = { ...HOST_CONFIG, resettable: false };
    expect(refusalTo(ANDROID, host([prepare()], heldByOwner(strict), strict).effects)).toEqual([
      'unresettable',
    ]);
    const accepting = { ...strict, acceptDriverResidualState: true };
    const taken = host(
      [{ on: 'timer:lease' }, { on: 'timer:notice' }, phase('fence', 3), phase('settle', 3)],
      lentByHost({}, accepting),
      accepting,
    );
    expect(taken.state.quarantine).toEqual({ cause: 'unresettable', isolated: true });
  });

  it('R73 when no epoch is left the bundle is quarantined', () => {
    const last: HostState = { ...lentByHost(), epoch: epoch(0xffff_ffff) };
    const { state } = host([command(VAULT, 'release', { epoch: 2 })], last);
    expect(state.quarantine).toEqual({ cause: 'epochsExhausted', isolated: false });
  });
});

describe('faults', () => {
  const fault = { by: 'dma', address: 0, write: true, event: 'C_BAD_STE', count: 1, lost: false } as const;

  it('R74 what is refused while the bundle moves is booked on its old holder, under the old epoch', () => {
    const { offender, epoch: at } = attribute(moving(), fault);
    expect({ offender, at }).toEqual({ offender: { vm: ANDROID, incarnation: 1 }, at: 1 });
  });

  it('R74 what is unsure is booked on nobody', () => {
    expect(attribute(lentByHost(), { ...fault, lost: true }).offender).toBeUndefined();
    expect(attribute(initialHost(), fault).offender).toBeUndefined();
  });

  it('R75 no fault ends a minimum hold time: the table of the host knows no such input', () => {
    expect(HOST_INPUTS.filter((name) => /fault/i.test(name))).toEqual([]);
  });
});
