/** The step `trusted-touch` on both sides of a fake of Qualcomm's driver, with that driver's defects. */

import { beforeEach, describe, expect, it } from 'vitest';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { createHooks } from '../../../src/edges/hooks/hooks.ts';
import { hookComplaints } from '../../../src/edges/hooks/hooks-config.ts';
import type { DriverHooks, DriverStatus, HookName, HookResult } from '../../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { FakeBorrowerDriver, FakeManager, FakeOwnerDriver } from './fake-trusted-touch.ts';
import { FakeWorld } from './fake-world.ts';
import { EPOCH, withoutWhere } from './support.ts';

const FOLDER = '/sys/devices/touch';
const LIMIT_MS = 200;
const STEP = { kind: 'trusted-touch', device: FOLDER, limitMs: LIMIT_MS } as const;

let world: FakeWorld;
let manager: FakeManager;
let owner: FakeOwnerDriver;
let borrower: FakeBorrowerDriver;
let android: DriverHooks;
let vault: DriverHooks;

beforeEach(() => {
  world = new FakeWorld();
  manager = new FakeManager(world.clock);
  owner = new FakeOwnerDriver(manager);
  borrower = new FakeBorrowerDriver(manager);
  android = hooksOf(ANDROID, owner);
  vault = hooksOf(VAULT, borrower);
});

function hooksOf(
  self: VmId,
  driver: FakeOwnerDriver | FakeBorrowerDriver,
  steps: object = { suspend: [STEP] },
): DriverHooks {
  const { locks, notes } = new FakeWorld();
  const { clock, sys, streams } = world;
  return createHooks({
    self,
    bundles: [PANEL],
    config: { panel: { touch: steps } },
    world: { clock, sys, streams, locks, notes, attributes: driver.attributes(FOLDER) },
    log: () => {},
  });
}

function run(hooks: DriverHooks, hook: HookName): Promise<HookResult> {
  return world.settle(
    new Promise<HookResult>((done) =>
      hooks.run(PANEL.id, hook, EPOCH, (result) => done(withoutWhere(result))),
    ),
  );
}

function inspect(hooks: DriverHooks): Promise<DriverStatus> {
  return world.settle(new Promise<DriverStatus>((done) => hooks.inspect(PANEL.id, done)));
}

const failure = (error: string, outcome = 'failed') => ({ ok: false, outcome, error });

describe('a loan', () => {
  it('goes to the borrower and back, in the order of the drivers', async () => {
    expect(await inspect(android)).toBe('active');
    expect(await inspect(vault)).toBe('suspended');
    expect(await run(android, 'suspend')).toEqual({ ok: true });
    expect(await inspect(android)).toBe('suspended');
    expect(await run(vault, 'resume')).toEqual({ ok: true });
    expect(await inspect(vault)).toBe('active');
    expect(manager.standing).toEqual({ iomem: 'accepted', irq: 'accepted' });
    expect(borrower.interruptOn && !owner.interruptOn).toBe(true);
    expect(await run(vault, 'suspend')).toEqual({ ok: true });
    expect(await run(android, 'resume')).toEqual({ ok: true });
    expect(manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
    expect(await inspect(android)).toBe('active');
    expect(manager.calls).toEqual([
      ...['lend iomem', 'lend irq', 'accept iomem', 'accept irq'],
      ...['release irq', 'release iomem', 'reclaim iomem', 'reclaim irq'],
    ]);
    expect([owner.votes, borrower.votes]).toEqual([0, 0]);
  });

  it('may be asked for twice at each point', async () => {
    for (const [hooks, hook] of [
      [android, 'suspend'],
      [vault, 'resume'],
      [vault, 'suspend'],
      [android, 'resume'],
    ] as const) {
      expect(await run(hooks, hook)).toEqual({ ok: true });
      expect(await run(hooks, hook)).toEqual({ ok: true });
    }
    expect(manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
  });

  it('that nobody accepted is taken back', async () => {
    await run(android, 'suspend');
    expect(await run(android, 'resume')).toEqual({ ok: true });
    expect(owner).toMatchObject({ state: 'INIT', enabled: 0, votes: 0, interruptOn: true });
  });
});

it('a loan that was cut off before the lend is not reclaimed by the next agent', async () => {
  const machine = new FakeWorld();
  machine.scripts.set('idle', 'unkillable');
  const hooksOn = () =>
    createHooks({
      self: ANDROID,
      bundles: [PANEL],
      config: { panel: { touch: { suspend: [{ kind: 'command', command: ['idle'] }, STEP] } } },
      world: {
        ...{ clock: world.clock, sys: world.sys, streams: world.streams },
        ...{ locks: machine.locks, notes: machine.notes, attributes: owner.attributes(FOLDER) },
      },
      log: () => {},
    });
  hooksOn().run(PANEL.id, 'suspend', EPOCH, () => {});
  for (let turns = 0; turns < 50; turns++) await new Promise((done) => setImmediate(done));
  machine.isLocked = false;
  expect(await run(hooksOn(), 'resume')).toEqual({ ok: true });
  expect(owner.writes).toEqual([]);
});

describe('notices', () => {
  it('that come late are waited for, by writing again', async () => {
    manager.noticeMs = 100;
    await run(android, 'suspend');
    expect(await run(vault, 'resume')).toEqual({ ok: true });
    expect(borrower.writes.length).toBeGreaterThan(3);
    // Not as often as it goes: pauses grow.
    expect(borrower.writes.length).toBeLessThan(12);
  });

  it.each(['lent irq', 'lent iomem'])(
    'of which %s is lost end in the deadline, and the loan goes home',
    async (lost) => {
      manager.faults.lost.push(lost);
      await run(android, 'suspend');
      expect(await run(vault, 'resume')).toEqual(
        failure(
          'touch/trusted-touch: not accepted within 200 ms: trusted_touch_enable reads "0", event 5 ' +
            'NOTIFICATIONS_PENDING',
          'unknown',
        ),
      );
      expect(await run(vault, 'suspend')).toEqual({ ok: true });
      expect(await run(android, 'resume')).toEqual({ ok: true });
      expect(manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
    },
  );

  it('of a lost memory notice leave the borrower’s driver out of step: later loans fail, and go home', async () => {
    manager.faults.lost.push('lent iomem');
    await run(android, 'suspend');
    await run(vault, 'resume');
    await run(vault, 'suspend');
    await run(android, 'resume');
    manager.faults.lost.length = 0;
    await run(android, 'suspend');
    expect((await run(vault, 'resume')).ok).toBe(false);
    expect(borrower.state).toBe('IRQ_LENT_NOTIFIED');
    expect(await run(android, 'resume')).toEqual({ ok: true });
  });

  it.each(['released irq', 'released iomem'])(
    'of a release of which %s is lost are not waited for',
    async (lost) => {
      await run(android, 'suspend');
      await run(vault, 'resume');
      manager.faults.lost.push(lost);
      await run(vault, 'suspend');
      expect(await run(android, 'resume')).toEqual({ ok: true });
    },
  );

  it('of a borrower that ended come for the memory alone, and everything is reclaimed', async () => {
    await run(android, 'suspend');
    await run(vault, 'resume');
    manager.borrowerEnded();
    expect(await run(android, 'resume')).toEqual({ ok: true });
    expect(manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
  });
});

describe('a write that succeeds and does nothing', () => {
  it.each([
    ['the owner’s', 'suspend', 'lent', 'failed'],
    ['the borrower’s', 'resume', 'accepted', 'unknown'],
  ] as const)('of %s driver is no success', async (side, hook, done, outcome) => {
    manager.faults.unsupported = true;
    const hooks = side === 'the owner’s' ? android : vault;
    expect(await run(hooks, hook)).toEqual(
      failure(
        `touch/trusted-touch: not ${done} within 200 ms: trusted_touch_enable reads "0", no event`,
        outcome,
      ),
    );
  });
});

describe('a lend that fails half-way', () => {
  it.each(['lend iomem', 'lend irq', 'notify irq'])(
    'at %s is unwound by the next 0, and named',
    async (call) => {
      manager.faults.failing.push(call);
      const result = await run(android, 'suspend');
      expect(result).toEqual(
        failure(
          'touch/trusted-touch: the lend failed: trusted_touch_enable reads "0", event -1 LEND_FAILURE, ' +
            `writing "1" to ${FOLDER}/trusted_touch_enable: EINVAL`,
        ),
      );
      expect(owner.writes).toEqual(['1', '0']);
      expect(manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
      expect(owner).toMatchObject({ state: 'INIT', votes: 0, interruptOn: true });
    },
  );

  it('while the system is suspended changes nothing', async () => {
    manager.faults.suspended = true;
    expect(await run(android, 'suspend')).toMatchObject({ ok: false, outcome: 'failed' });
    expect(manager.calls).toEqual([]);
  });

  it('at the notice of the memory is stuck in the driver, which shows nothing of it', async () => {
    // Its handle was not kept. Nothing in the attributes tells; docs/PLATFORMS.md says so.
    manager.faults.failing.push('notify iomem');
    expect(await run(android, 'suspend')).toMatchObject({ ok: false, outcome: 'failed' });
    expect(manager.standing.iomem).toBe('offered');
    expect(owner).toMatchObject({ enabled: 0, event: 0 });
    manager.faults.failing.length = 0;
    expect((await run(android, 'suspend')).ok).toBe(false);
  });
});

describe('an accept that fails half-way', () => {
  it.each([
    ['accept iomem', 'offered'],
    ['accept irq', 'offered'],
  ])('at %s is named at once, and unwound by the release', async (call, standing) => {
    manager.faults.failing.push(call);
    await run(android, 'suspend');
    world.clock.advance(10);
    const startMs = world.clock.nowMs();
    expect(await run(vault, 'resume')).toEqual(
      failure(
        'touch/trusted-touch: accepting failed: trusted_touch_enable reads "0", event -3 ACCEPT_FAILURE',
        'unknown',
      ),
    );
    expect(world.clock.nowMs() - startMs).toBeLessThan(20);
    expect(await run(vault, 'suspend')).toEqual({ ok: true });
    expect(manager.standing).toEqual({ iomem: standing, irq: standing });
    expect(borrower).toMatchObject({ state: 'INIT', votes: 0 });
    expect(await run(android, 'resume')).toEqual({ ok: true });
  });
});

describe('a borrower whose bus fails', () => {
  it('has not accepted, although its driver reads so, and releases everything', async () => {
    manager.faults.failing.push('i2c');
    await run(android, 'suspend');
    world.clock.advance(10);
    expect(await run(vault, 'resume')).toEqual(
      failure(
        'touch/trusted-touch: not accepted: trusted_touch_enable reads "1", event -7 I2C_FAILURE',
        'unknown',
      ),
    );
    expect(await run(vault, 'suspend')).toEqual({ ok: true });
    expect(manager.standing).toEqual({ iomem: 'offered', irq: 'offered' });
    expect(await run(android, 'resume')).toEqual({ ok: true });
  });
});

it('a lend that somebody else takes back before the owner is done is none', async () => {
  const { clock, sys, streams, locks, notes } = world;
  const inner = owner.attributes(FOLDER);
  let looks = 0;
  const read = async (path: string) => {
    const text = await inner.read(path);
    // Before it writes, and after: then somebody writes 0.
    if (path.endsWith('enable') && ++looks === 2) await inner.write(path, '0');
    return text;
  };
  const hooks = createHooks({
    self: ANDROID,
    bundles: [PANEL],
    config: { panel: { touch: { suspend: [STEP] } } },
    world: { clock, sys, streams, locks, notes, attributes: { ...inner, read } },
    log: () => {},
  });
  expect(await run(hooks, 'suspend')).toMatchObject({
    ok: false,
    error: expect.stringContaining('reads "0", not "1"'),
  });
  expect(manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
});

describe('a release that fails', () => {
  it('is unwound, and no success: what became of the resources nobody says', async () => {
    await run(android, 'suspend');
    await run(vault, 'resume');
    manager.faults.failing.push('release irq');
    expect(await run(vault, 'suspend')).toEqual(
      failure(
        'touch/trusted-touch: the release failed: trusted_touch_enable reads "1", event -5 RELEASE_FAILURE',
        'unknown',
      ),
    );
    expect(borrower).toMatchObject({ enabled: 0, interruptOn: false });
    // The memory was released by the unwinding, the interrupt was not. The owner's driver forgets it while it unwinds
    // in its turn, and reads as if all were well (docs/PLATFORMS.md). The next loan finds out.
    expect(await run(android, 'resume')).toEqual({ ok: true });
    expect(manager.standing).toEqual({ iomem: 'owner', irq: 'accepted' });
    manager.faults.failing.length = 0;
    expect(await run(android, 'suspend')).toMatchObject({
      ok: false,
      error: expect.stringContaining('event -1 LEND_FAILURE'),
    });
  });
});

describe('a release that failed', () => {
  // The list `resume` has steps of its own, which must not know less.
  it.each([
    ['undone', { suspend: [STEP] }],
    ['with a list of its own', { suspend: [STEP], resume: [STEP] }],
  ])('is not forgotten: nothing is known until an accept succeeds (resume %s)', async (_, steps) => {
    vault = hooksOf(VAULT, borrower, steps);
    await run(android, 'suspend');
    await run(vault, 'resume');
    manager.faults.failing.push('release irq', 'release iomem');
    expect((await run(vault, 'suspend')).ok).toBe(false);
    // It reads as if all were released, and the guest still has both.
    expect(borrower.enabled).toBe(0);
    expect(manager.standing).toEqual({ iomem: 'accepted', irq: 'accepted' });
    expect(await inspect(vault)).toBe('unknown');
    expect(await run(vault, 'suspend')).toEqual(
      failure(
        'touch/trusted-touch: what is still lent is unknown, since earlier the release failed: ' +
          'trusted_touch_enable reads "1", event -5 RELEASE_FAILURE',
        'unknown',
      ),
    );
    // The hypervisor takes back what it finds with the guest, and the owner lends anew.
    manager.faults.failing.length = 0;
    manager.borrowerEnded();
    world.clock.advance(10);
    expect(await run(android, 'resume')).toEqual({ ok: true });
    expect(await run(android, 'suspend')).toEqual({ ok: true });
    expect(await inspect(vault)).toBe('unknown');
    expect(await run(vault, 'resume')).toEqual({ ok: true });
    expect(await inspect(vault)).toBe('active');
    expect(await run(vault, 'suspend')).toEqual({ ok: true });
    expect(await inspect(vault)).toBe('suspended');
  });
});

describe('a reclaim that failed', () => {
  it('leaves nothing that counts as lent until it succeeds', async () => {
    await run(android, 'suspend');
    await run(vault, 'resume');
    expect((await run(android, 'resume')).ok).toBe(false);
    expect(owner.enabled).toBe(1);
    expect(await inspect(android)).toBe('unknown');
    expect(await run(android, 'suspend')).toMatchObject({
      ok: false,
      outcome: 'unknown',
      error: expect.stringContaining('what is still lent is unknown, since earlier not reclaimed'),
    });
    await run(vault, 'suspend');
    expect(await run(android, 'resume')).toEqual({ ok: true });
    expect(await inspect(android)).toBe('active');
    expect(await run(android, 'suspend')).toEqual({ ok: true });
    expect(await inspect(android)).toBe('suspended');
  });
});

describe('a reclaim from a live borrower', () => {
  it('is refused for as long as the borrower has it', async () => {
    await run(android, 'suspend');
    await run(vault, 'resume');
    expect(await run(android, 'resume')).toEqual(
      failure(
        'touch/trusted-touch: not reclaimed within 200 ms: trusted_touch_enable reads "1", event -6 RECLAIM_FAILURE',
        'unknown',
      ),
    );
    expect(manager.standing).toEqual({ iomem: 'accepted', irq: 'accepted' });
    expect(borrower.interruptOn).toBe(true);
  });

  it('succeeds when it releases within the deadline, by the driver’s unwinding', async () => {
    await run(android, 'suspend');
    await run(vault, 'resume');
    world.clock.after(60, () => vault.run(PANEL.id, 'suspend', EPOCH, () => {}));
    expect(await run(android, 'resume')).toEqual({ ok: true });
    expect(manager.standing).toEqual({ iomem: 'owner', irq: 'owner' });
    expect(owner).toMatchObject({ state: 'INIT', enabled: 0, votes: 0, interruptOn: true });
  });
});

it('ignores an event that an earlier failure left', async () => {
  owner.event = -1;
  borrower.event = -3;
  expect(await run(android, 'suspend')).toEqual({ ok: true });
  expect(await run(vault, 'resume')).toEqual({ ok: true });
});

it('fails on attributes that are not there, with nothing to undo', async () => {
  const { clock, sys, streams, locks, notes } = world;
  const attributes = owner.attributes('/sys/elsewhere');
  const hooks = createHooks({
    self: ANDROID,
    bundles: [PANEL],
    config: { panel: { touch: { suspend: [STEP] } } },
    world: { clock, sys, streams, locks, notes, attributes },
    log: () => {},
  });
  expect(await run(hooks, 'suspend')).toMatchObject({ ok: false, outcome: 'failed' });
  expect(owner.writes).toEqual([]);
});

it('stands last in suspend and first in resume, or is complained of', () => {
  const other = { kind: 'input-inhibit', input: 'input3' } as const;
  const complaints = (suspend: object[], resume?: object[]) =>
    hookComplaints(
      { panel: { touch: { suspend, ...(resume ? { resume } : {}) } as never } },
      [PANEL],
      ANDROID,
    ).map(({ path, message }) => `${path.join('.')}: ${message}`);
  expect(complaints([other, STEP], [STEP, other])).toEqual([]);
  expect(complaints([STEP, other], [other, STEP])).toEqual([
    'panel.touch.suspend.0.kind: while it is lent nothing else reaches the device: expected the last step of suspend',
    'panel.touch.resume.1.kind: while it is lent nothing else reaches the device: expected the first step of resume',
  ]);
});
