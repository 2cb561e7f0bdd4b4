/**
 * What a restart of the host service must not lose: who may still reach a bundle, that a return was forced, the guard
 * time, a running notice, a pending quarantine. The host's table is driven directly.
 */
import { describe, expect, it } from 'vitest';
import {
  type HostConfig,
  type HostEffect,
  type HostInput,
  type HostState,
  initialHost,
  type PhaseResult,
  type RemapPhase,
} from '../../../src/core/host/host-state.ts';
import { HOST_TABLE } from '../../../src/core/host/host-table.ts';
import { command, HOST_CONFIG, prepare } from './requirements-support.ts';

const OK: PhaseResult = { ok: true, idle: true };
const LIVES = { android: 1, vault: 1 };

/** A host whose every record survives, and whose process may be killed between any two inputs. */
class KilledHost {
  state: HostState = initialHost();
  effects: readonly HostEffect[] = [];
  nowMs = 0;
  readonly #config: HostConfig;
  #record: HostState = this.state;

  constructor(config: Partial<HostConfig> = {}) {
    this.#config = { ...HOST_CONFIG, keeper: 'hypervisor', ...config };
  }

  feed(input: object): this {
    const step = HOST_TABLE.run(this.state, { nowMs: this.nowMs, ...input } as HostInput, this.#config);
    this.state = step.state;
    this.effects = step.effects;
    if (step.effects.some((effect) => effect.do === 'record')) this.#record = step.state;
    return this;
  }

  phases(...names: RemapPhase[]): this {
    for (const phase of names) this.ended(phase, OK);
    return this;
  }

  ended(phase: RemapPhase, result: PhaseResult): this {
    return this.feed({
      on: 'phaseDone',
      epoch: this.state.attempt?.epoch ?? this.state.epoch,
      phase,
      result,
    });
  }

  boot(): this {
    return this.feed({ on: 'start', recovered: { kind: 'new' }, running: LIVES }).phases(
      'fence',
      'settle',
      'clean',
      'grant',
    );
  }

  /** Lends to the borrower, up to and without the grant unless told otherwise. */
  lend(claims: object = {}, ...more: RemapPhase[]): this {
    this.feed(prepare(claims)).feed(command('android' as never, 'lend', { epoch: 2 }));
    return this.phases('fence', 'settle', 'clean', ...more);
  }

  /** The lease ends, then the notice. */
  expire(): this {
    this.nowMs = 10_000_000;
    this.feed({ on: 'timer:lease' });
    this.nowMs += 10_000_000;
    return this.feed({ on: 'timer:notice' });
  }

  restart(reach: string): this {
    const running = this.state.running;
    this.state = initialHost();
    this.feed({ on: 'start', recovered: { kind: 'record', state: this.#record, rebooted: false }, running });
    return this.ended('inspect', { ok: true, reach } as PhaseResult);
  }

  /** VMs whose memory may be freed after this step. */
  freed(): unknown[] {
    return this.effects.flatMap((effect) => (effect.do === 'acknowledgeExit' ? [effect.vm] : []));
  }
}

const exitOfVault = { on: 'vmExited', vm: 'vault' };

describe('after a restart, no VM is let go before everything was settled once:', () => {
  it('with the table lost', () => {
    const host = new KilledHost().feed({ on: 'start', recovered: { kind: 'lost' }, running: LIVES });
    expect(host.effects).toContainEqual({ do: 'phase', phase: 'fence', epoch: 0 });
    expect(host.feed(exitOfVault).freed()).toEqual([]);
    host.ended('fence', OK).ended('settle', OK);
    expect(host.state.quarantine).toEqual({ cause: 'tableLost', isolated: true });
    expect(host.freed()).toEqual(['vault']);
  });

  it.each(['vault', 'mixed', 'unknown'])('with a lend under way, found %s', (reach) => {
    const host = new KilledHost().boot().lend().restart(reach);
    expect(host.feed(exitOfVault).freed()).toEqual([]);
    host.ended('fence', { ok: false, error: 'test' });
    expect(host.state.quarantine).toMatchObject({ cause: 'fenceFailed', isolated: false });
    expect(host.freed()).toEqual([]);
  });

  it('with an empty table', () => {
    const host = new KilledHost().feed({ on: 'start', recovered: { kind: 'new' }, running: { vault: 1 } });
    expect(host.state).toMatchObject({ name: 'moving', attempt: { cause: 'boot' } });
    expect(host.feed(exitOfVault).freed()).toEqual([]);
  });
});

describe('a forced return stays one across a restart:', () => {
  it('what only the borrower’s driver could clear still means quarantine', () => {
    const host = new KilledHost({ resettable: false, acceptDriverResidualState: true })
      .boot()
      .lend({}, 'grant')
      .expire();
    host.restart('vault').phases('fence', 'settle');
    expect(host.state).toMatchObject({ name: 'quarantined', quarantine: { cause: 'unresettable' } });
  });

  it('the bundle is dark and parked first', () => {
    const host = new KilledHost()
      .boot()
      .lend({}, 'grant')
      .expire()
      .restart('vault')
      .phases('fence', 'settle', 'clean');
    expect(host.state).toMatchObject({ name: 'parked', isGuardTime: true });
  });

  it('the guard time is kept', () => {
    const host = new KilledHost()
      .boot()
      .lend({}, 'grant')
      .expire()
      .phases('fence', 'settle', 'clean')
      .restart('blocked');
    expect(host.state).toMatchObject({ name: 'parked', isGuardTime: true });
    expect(host.effects).toContainEqual({ do: 'timer', timer: 'guard', ms: HOST_CONFIG.times.guardMs });
  });

  it('the guard time also runs when the owner was down', () => {
    const host = new KilledHost().boot().lend({}, 'grant').feed({ on: 'vmExited', vm: 'android' }).expire();
    host.phases('fence', 'settle', 'clean').feed({ on: 'vmStarted', vm: 'android', incarnation: 2 });
    expect(host.state).toMatchObject({ name: 'parked', isGuardTime: true });
  });

  it('a grant that a borrower may have had is taken back by force', () => {
    const host = new KilledHost().boot().lend().restart('vault');
    expect(host.state.attempt).toMatchObject({ cause: 'restart', forced: true, to: undefined });
  });
});

describe('a restart keeps', () => {
  it('the quarantine that an owner’s rejection leads to', () => {
    const host = new KilledHost()
      .boot()
      .feed(command('android' as never, 'reject', { epoch: 1, what: 'test' }));
    host.restart('android').phases('fence', 'settle', 'clean');
    expect(host.state).toMatchObject({ name: 'quarantined', quarantine: { cause: 'evidenceMismatch' } });
  });

  it('a running notice, with the time that is left of it', () => {
    const host = new KilledHost().boot().lend({ leaseMs: 1_000, noticeMs: 5_000 }, 'grant');
    host.nowMs = 1_000;
    host.feed({ on: 'timer:lease' });
    host.nowMs = 4_000;
    host.restart('vault');
    expect(host.effects).toContainEqual({ do: 'timer', timer: 'notice', ms: 2_000 });
    expect(host.effects).toContainEqual({ do: 'timer', timer: 'remind', ms: 1_000 });
    expect(host.effects.some((effect) => effect.do === 'timer' && effect.timer === 'lease')).toBe(false);
  });
});

describe('a consent beyond what the owner’s policy agreed to', () => {
  it.each(['leaseMs', 'minHoldMs', 'noticeMs'])('is refused: %s', (name) => {
    const host = new KilledHost().boot();
    const asked = prepare({ leaseMs: 1_000, minHoldMs: 500, noticeMs: 500 });
    const { message } = asked as unknown as { message: object };
    host.feed({ ...asked, message: { ...message, [name]: 499 } });
    expect(host.effects).toMatchObject([{ do: 'send', message: { kind: 'refused', code: 'consentTerms' } }]);
  });
});
