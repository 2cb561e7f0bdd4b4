/**
 * The handover records: each attempt leaves one, whatever becomes of it, with its cause and with times that add up.
 * Host and agents are those of the product, on a virtual clock.
 */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Policy } from '../../../src/core/agent/policy.ts';
import type { BundleId, VmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { OWNER_TIMERS } from '../../../src/core/protocol/timers.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { EnforcerDescription, EnforcerEvent } from '../../../src/ports/enforcer.ts';
import type { HookStepTime } from '../../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import type { StoredRecord } from '../../../targets/node/cli/history-lines.ts';
import { TERMS, UnisolatedWorld, WALL_MS } from '../../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];
/** Time of each phase, in ms. */
const PHASE_MS = { fence: 3, settle: 5, reset: 11, grant: 4 } as Record<string, number>;
const POLICY_MS = 7;

/** An enforcer that takes its time, and fails or hangs as a test has it. */
class Rig extends NoneEnforcer {
  readonly failing = new Map<string, number>();
  readonly hung = new Set<string>();
  tell: (event: EnforcerEvent) => void = () => {};

  override describe(): EnforcerDescription {
    const { capabilities, ...rest } = super.describe();
    return { ...rest, capabilities: { ...capabilities, forceRevoke: true, reset: true } };
  }

  override run(...[bundle, calls, done]: Parameters<NoneEnforcer['run']>): void {
    const { op } = calls[0]!;
    if (this.hung.has(op)) return;
    const left = this.failing.get(op) ?? 0;
    this.failing.set(op, left - 1);
    world.clock.after(PHASE_MS[op] ?? 0, () => {
      if (left > 0) done([{ ok: false, error: `${op} is broken` }]);
      else super.run(bundle, calls, done);
    });
  }

  override onEvent(listener?: (event: EnforcerEvent) => void): void {
    if (listener) this.tell = listener;
  }
}

let rig: Rig;
let world: UnisolatedWorld;
const slowPolicy: Policy = (question, done) =>
  void world.clock.after(POLICY_MS, () => world.everybody()(question, done));

beforeEach(() => {
  world = new UnisolatedWorld(VMS, [PANEL], () => rig);
  rig = new Rig({ bundles: [PANEL], vms: VMS, machineBoot: 'boot-1' });
  world.startHost();
  world.clock.advance(100);
  world.startAgent(ANDROID, 'active', slowPolicy);
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(3_000);
});

/** The attempt that gave the bundle to its owner at the start. */
const FIRST = 1;

/** Whatever a test did: an epoch has at most one record, and each begun move has one, but for the last. */
afterEach(() => {
  world.host.facts();
  const epochs = records().flatMap(({ epoch }) => epoch ?? []);
  expect(new Set(epochs).size).toBe(epochs.length);
  const moves = world.audit
    .map((line) => JSON.parse(line) as { event: string; epoch: number })
    .filter(
      ({ event, epoch }) => event === 'moving' && epoch > FIRST && epoch < world.host.views()[0]!.epoch,
    );
  expect(moves.filter(({ epoch }) => !epochs.includes(epoch))).toEqual([]);
});

const records = () => {
  world.host.facts();
  return world.records
    .map((line) => JSON.parse(line) as StoredRecord & { boot: string; atMs: number })
    .filter(({ epoch }) => epoch !== FIRST);
};
/** What came of each attempt. */
const ends = () =>
  records().map(({ cause, outcome, why }) => `${cause}: ${outcome}${why === undefined ? '' : `, ${why}`}`);
const borrow = (ms = 100, terms: Partial<typeof TERMS> = {}) => {
  world.agents.get(VAULT)!.borrow(PANEL.id, { ...TERMS, ...terms });
  world.clock.advance(ms);
};
const giveBack = (ms = 100) => {
  world.agents.get(VAULT)!.giveBack(PANEL.id);
  world.clock.advance(ms);
};
const driver = (vm: VmId) => world.drivers.get(vm)!;
/** Own parts of the total: the policy, and the stages of the host. */
const partsOf = ({ steps }: StoredRecord) =>
  steps.filter(({ by, step }) => by === 'host' || step === 'policy').reduce((sum, { ms }) => sum + ms, 0);

describe('a lease and its return', () => {
  it('leave a record each, with every step on every side, and times that add up', () => {
    const askedMs = world.clock.nowMs();
    borrow();
    giveBack();
    const [lend, back] = records();
    expect(lend).toMatchObject({
      boot: 'boot-1',
      bundle: 'panel',
      from: 'android',
      to: 'vault',
      purpose: 'pin',
      cause: 'lend',
      outcome: 'confirmed',
    });
    const { fence, settle, reset: clean, grant } = PHASE_MS;
    const steps = Object.fromEntries(lend!.steps.map(({ by, step, ms }) => [`${by} ${step}`, ms]));
    expect(steps).toMatchObject({
      'android policy': POLICY_MS,
      'android suspend': 2,
      'host fence': fence,
      'host settle': settle,
      'host clean': clean,
      'host grant': grant,
      'vault prepare': 2,
      'vault resume': 2,
    });
    expect(steps['host lend']).toBeGreaterThanOrEqual(2);
    expect(steps['host confirm']).toBeGreaterThanOrEqual(2);
    expect(partsOf(lend!)).toBeCloseTo(lend!.ms!, 6);
    // The host hears of it when the policy has decided.
    const startMs = Date.parse(lend!.time) - WALL_MS;
    expect(startMs).toBeGreaterThanOrEqual(Math.floor(askedMs + POLICY_MS));
    expect(startMs).toBeLessThan(askedMs + POLICY_MS + 20);
    expect(lend!.atMs).toBe(Math.round(lend!.atMs));
    expect(back).toMatchObject({
      epoch: lend!.epoch! + 1,
      from: 'vault',
      to: 'android',
      purpose: null,
      cause: 'release',
      outcome: 'returned',
    });
    const hooks = back!.steps.filter(({ by }) => by !== 'host').map(({ by, step, ms }) => [by, step, ms]);
    expect(hooks).toEqual([
      ['vault', 'suspend', 2],
      ['android', 'resume', 2],
    ]);
    expect(partsOf(back!)).toBeCloseTo(back!.ms!, 6);
    expect(records()).toHaveLength(2);
  });

  it('name the slowest steps of hooks, clipped and harmless', () => {
    const slow = (name: string, ms: number): HookStepTime => ({ device: 'panel' as never, name, ms });
    const many = Array.from({ length: 30 }, (_, i) => slow(`step ${i}`, i));
    const run = driver(VAULT).run.bind(driver(VAULT));
    driver(VAULT).run = (bundle: BundleId, hook, epoch, done) =>
      run(bundle, hook, epoch, (result) => {
        const evil = slow(`\u001b[2J\u202e"\n${'ä'.repeat(99)}`, 99);
        (done as (...args: unknown[]) => void)(result, [...many, evil]);
      });
    borrow(100, { purpose: '\u001b]0;x\u0007\u202eevil" \u00e9' });
    const [lend] = records();
    const own = lend!.steps.filter(({ step }) => step === 'hook');
    expect(own.map(({ ms }) => ms)).toEqual([24, 25, 26, 27, 28, 29, 99, 24, 25, 26, 27, 28, 29, 99]);
    expect(own.every(({ name }) => Buffer.byteLength(name!) <= 32)).toBe(true);
    expect(world.records.at(-1)).toMatch(/^[\x20-\x7e]+$/);
    expect(lend!.purpose).toBe('\u001b]0;x\u0007\u202eevil" \u00e9');
  });

  it('believe a VM what it may say of itself, and nothing of the time', () => {
    const lies = (['policy', 'policy', 'resume'] as const).map((step) => ({ step, ms: 4_000_000_000 }));
    const hear = world.host.onMessage.bind(world.host);
    world.host.onMessage = (from, message) => hear(from, { ...message, steps: lies } as Message);
    borrow();
    const [lend] = records();
    const policy = lend!.steps.filter(({ step }) => step === 'policy');
    expect(policy).toEqual([{ by: 'android', step: 'policy', ms: OWNER_TIMERS.policy }]);
    expect(lend!.steps.filter(({ step }) => step === 'resume').every(({ by }) => by === 'vault')).toBe(true);
    expect(partsOf(lend!)).toBeCloseTo(lend!.ms!, 6);
    expect(Date.parse(lend!.time)).toBeGreaterThan(WALL_MS);
  });

  it('are written only after the driver has resumed', () => {
    const statuses: string[] = [];
    const push = world.records.push.bind(world.records);
    world.records.push = (...lines) => {
      statuses.push(driver(VAULT).status);
      return push(...lines);
    };
    borrow();
    expect(statuses).toEqual(['active']);
    giveBack();
    expect(statuses).toEqual(['active', 'suspended']);
    expect(driver(ANDROID).status).toBe('active');
  });
});

describe('an attempt that fails leaves one record', () => {
  it('of a reset: rolled back', () => {
    rig.failing.set('reset', 1);
    borrow();
    const [record] = records();
    expect(ends()).toEqual(['lend: rolledBack, resetFailed']);
    expect(record).toMatchObject({ to: 'vault', detail: 'clean failed: reset is broken' });
    expect(partsOf(record!)).toBeCloseTo(record!.ms!, 6);
  });

  it('of a grant to the borrower: rolled back, and the way back has its own', () => {
    rig.failing.set('grant', 1);
    borrow();
    expect(ends()).toEqual(['lend: rolledBack, grantFailed', 'forwardBack: returned']);
  });

  it('of a grant to anybody: quarantined', () => {
    rig.failing.set('grant', 9);
    borrow();
    expect(ends().at(-1)).toBe('forwardBack: quarantined, grantFailed');
    expect(ends()).toHaveLength(3);
  });

  it('of a fence: quarantined, with what the enforcer said', () => {
    rig.failing.set('fence', 1);
    borrow();
    expect(ends()).toEqual(['lend: quarantined, fenceFailed']);
    expect(records()[0]!.detail).toBe('fence failed: fence is broken');
  });

  it('of a settle without an answer: quarantined', () => {
    rig.hung.add('settle');
    borrow(20_000);
    expect(ends()).toEqual(['lend: quarantined, settleFailed']);
    expect(records()[0]).toMatchObject({ detail: 'settle failed: no answer in time' });
  });

  it('that is withdrawn while it moves: rolled back', () => {
    borrow(22);
    expect(world.host.views()[0]!.state).toBe('moving');
    giveBack();
    expect(ends()).toEqual(['lend: rolledBack, cancelled']);
  });

  it('whose borrower ends while it moves: rolled back', () => {
    borrow(22);
    expect(world.host.views()[0]!.state).toBe('moving');
    rig.tell({ kind: 'vmExited', vm: VAULT });
    world.clock.advance(100);
    expect(ends()).toEqual(['lend: rolledBack, borrowerAbsent']);
  });

  it('whose borrower does not resume: unconfirmed, and taken back', () => {
    driver(VAULT).next.resume = 'hang';
    borrow(30_000);
    expect(ends()).toEqual(['lend: unconfirmed, noConfirm', 'noConfirm: parked', 'guard: returned']);
  });

  it('whose borrower ends before it confirms: unconfirmed', () => {
    driver(VAULT).next.resume = 'hang';
    borrow(60);
    rig.tell({ kind: 'vmExited', vm: VAULT });
    world.clock.advance(10_000);
    expect(ends()).toEqual(['lend: unconfirmed, exit', 'exit: parked', 'guard: returned']);
  });

  it('that the host refuses: refused, with the code, and without an epoch', () => {
    borrow(200, { evidence: 'attested' });
    expect(ends()).toEqual(['lend: refused, evidenceTooWeak']);
    expect(records()[0]).toMatchObject({ epoch: null, to: 'vault', purpose: 'pin', ms: POLICY_MS });
  });

  it('that cannot be recorded: refused', () => {
    world.journal.broken = 'ENOSPC: no space left on device';
    borrow();
    expect(ends()).toEqual(['lend: refused, busy']);
    expect(records()[0]!.detail).toContain('ENOSPC');
  });

  it('whose owner does not suspend in time, or not at all: lapsed', () => {
    driver(ANDROID).next.suspend = { ok: false, outcome: 'failed', error: 'stuck' };
    borrow();
    expect(ends()).toEqual(['lend: lapsed, cancelled']);
    driver(ANDROID).next.suspend = 'hang';
    borrow(30_000);
    expect(ends()).toEqual(['lend: lapsed, cancelled', 'lend: lapsed, reservationLapsed']);
    expect(partsOf(records()[1]!)).toBeCloseTo(records()[1]!.ms!, 6);
  });

  it('whose owner ends while it is reserved: lapsed, by what moves the bundle', () => {
    driver(ANDROID).next.suspend = 'hang';
    borrow(50);
    rig.tell({ kind: 'vmExited', vm: ANDROID });
    world.clock.advance(100);
    expect(ends()).toEqual(['lend: lapsed, exit', 'exit: parked']);
  });
});

describe('a return by force', () => {
  it('is parked first, and the way to the owner has its own record', () => {
    borrow(100, { leaseMs: 1_000 });
    driver(VAULT).next.suspend = 'hang';
    world.clock.advance(20_000);
    expect(ends()).toEqual(['lend: confirmed', 'expiry: parked', 'guard: returned']);
    expect(records()[1]).toMatchObject({ from: 'vault', to: null });
    expect(records()[2]).toMatchObject({ from: null, to: 'android' });
  });

  it('whose owner does not confirm: unconfirmed, once', () => {
    borrow();
    driver(ANDROID).next.resume = 'hang';
    giveBack(60_000);
    expect(ends()).toEqual(['lend: confirmed', 'release: unconfirmed, noConfirm']);
  });
});

describe('a host that is killed', () => {
  const restart = () => {
    world.host.stop();
    world.startHost();
    world.clock.advance(5_000);
  };

  it.each([
    ['reserved', 12, 'lend: interrupted'],
    ['moving', 22, 'lend: interrupted'],
  ])('while the bundle is %s leaves a record at its next start, once', (_, ms, end) => {
    driver(ANDROID).next.suspend = ms === 12 ? 'hang' : undefined!;
    borrow(ms);
    expect(records()).toEqual([]);
    restart();
    expect(ends()[0]).toBe(end);
    expect(records()[0]).toMatchObject({ from: 'android', to: 'vault', ms: null, boot: 'boot-1' });
    const interrupted = () => ends().filter((each) => each.includes('interrupted'));
    expect(interrupted()).toHaveLength(1);
    restart();
    expect(interrupted()).toHaveLength(1);
  });

  it('before the confirmation: the same; the confirmation that comes later adds none', () => {
    driver(VAULT).next.resume = 'hang';
    borrow(60);
    expect(world.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: false });
    restart();
    restart();
    expect(ends().filter((end) => end.startsWith('lend'))).toEqual(['lend: interrupted']);
  });

  it('after the confirmation, and before the record is written, leaves it at its next start', () => {
    borrow();
    giveBack();
    expect(ends()).toEqual(['lend: confirmed', 'release: returned']);
    world.records.pop();
    restart();
    restart();
    expect(ends()).toEqual(['lend: confirmed', 'release: returned']);
    expect(records()[1]).toMatchObject({ to: 'android', ms: null });
  });

  it('at rest leaves none', () => {
    borrow();
    restart();
    expect(ends()).toEqual(['lend: confirmed']);
  });
});

describe('a file of records that cannot be written', () => {
  it('stops nothing, is said once, and is caught up with', () => {
    world.recordsBroken = 'ENOSPC: no space left on device';
    borrow();
    giveBack();
    expect(world.host.views()[0]).toMatchObject({ holder: ANDROID, confirmed: true });
    expect(world.host.facts().writeFault).toContain('ENOSPC');
    expect(world.logs.filter((line) => line.includes('host error'))).toEqual([
      expect.stringContaining('lending continues'),
    ]);
    borrow();
    expect(world.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: true });
    expect(world.audit.at(-1)).toContain('"event":"confirmed"');
    world.recordsBroken = undefined;
    world.clock.advance(1_000);
    expect(ends()).toEqual(['lend: confirmed', 'release: returned', 'lend: confirmed']);
    expect(world.host.facts().writeFault).toBeNull();
  });
});
