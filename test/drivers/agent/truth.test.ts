/**
 * What an agent shows of a bundle: what the host says now, how old it is, and a silence of the host in log and view.
 */

import { describe, expect, it } from 'vitest';
import { heard, looked, UNWATCHED, type WatchStep, watched } from '../../../src/core/agent/host-watch.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { HOST, vmId } from '../../../src/core/protocol/ids.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';

const LIDAR = vmId('lidar');
const VMS: readonly VmId[] = [ANDROID, VAULT, LIDAR];
/** Those of a lent bundle: others do not watch the host. */
const PARTIES = [ANDROID, VAULT];

function world(bundles: readonly BundleDefinition[] = [PANEL]) {
  const made = new UnisolatedWorld(
    VMS,
    bundles,
    () => new NoneEnforcer({ bundles, vms: VMS, machineBoot: 'one' }),
  );
  made.startHost();
  for (const vm of VMS) made.startAgent(vm, vm === ANDROID ? 'active' : 'suspended');
  made.clock.advance(1_500);
  const look = (vm: VmId) => {
    made.agents.get(vm)!.look(() => {});
    made.clock.advance(600);
    return made.agents.get(vm)!.view(PANEL.id);
  };
  return { ...made, made, look };
}

describe('a view after a look', () => {
  it('names the holder also to a VM that has no part in the loan', () => {
    const { made, look } = world();
    made.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    made.clock.advance(200);
    expect(look(LIDAR)).toMatchObject({ state: 'idle', phase: 'held', holder: VAULT });
    expect(look(LIDAR).toldMs).toBeLessThan(600);
    made.agents.get(VAULT)!.giveBack(PANEL.id);
    made.clock.advance(200);
    expect(look(LIDAR)).toMatchObject({ phase: 'held', holder: ANDROID });
  });

  it('says how old it is while the host is away, and that it cannot force', () => {
    const { made, look } = world();
    expect(look(VAULT)).toMatchObject({ phase: 'held', holder: ANDROID, forceRevoke: false });
    made.host.stop();
    made.clock.advance(9_000);
    expect(look(VAULT).toldMs).toBeGreaterThan(9_000);
    expect(
      made.agents
        .get(VAULT)!
        .peers()
        .find(({ peer }) => peer === HOST),
    ).toMatchObject({ up: false });
  });

  it('has the evidence that the enforcer declares, also after a restart of the host or of the agent', () => {
    const { made, look } = world();
    for (const vm of VMS) expect(look(vm).evidence, vm).toBe('none');
    made.host.stop();
    made.startHost();
    made.clock.advance(3_000);
    for (const vm of VMS) expect(look(vm).evidence, vm).toBe('none');
    made.agents.get(LIDAR)!.stop();
    made.startAgent(LIDAR, 'suspended');
    made.clock.advance(1_500);
    expect(look(LIDAR).evidence).toBe('none');
  });

  it('knows a quarantine, which nobody has told a borrower', () => {
    const { made, look } = world();
    made.host.stop();
    made.startHost('lost');
    made.clock.advance(3_000);
    expect(look(VAULT)).toMatchObject({ phase: 'quarantined', holder: null });
    expect(look(ANDROID)).toMatchObject({ phase: 'quarantined', holder: null });
  });

  it('changes nothing: no state, no driver, no record', () => {
    const { made, look } = world();
    const before = made.journal.records.length;
    const calls = [...made.drivers.get(VAULT)!.calls];
    for (let i = 0; i < 5; i++) look(VAULT);
    expect(made.journal.records.length).toBe(before);
    expect(made.drivers.get(VAULT)!.calls).toEqual(calls);
    expect(made.agents.get(VAULT)!.view(PANEL.id)).toMatchObject({
      state: 'idle',
      epoch: expect.any(Number),
    });
  });
});

it('an agent that nobody has told anything says so', () => {
  const made = new UnisolatedWorld(
    VMS,
    [PANEL],
    () => new NoneEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: '1' }),
  );
  for (const vm of [ANDROID, VAULT]) {
    made.startAgent(vm, 'suspended');
    made.clock.advance(1_000);
    expect(made.agents.get(vm)!.view(PANEL.id)).toMatchObject({
      phase: 'unknown',
      holder: null,
      toldMs: null,
    });
  }
});

it('a silence of the host is in the log within a few heartbeats while something is lent, and its end as well', () => {
  const { made } = world();
  made.agents.get(VAULT)!.borrow(PANEL.id, { ...TERMS, leaseMs: 600_000 });
  made.clock.advance(1_000);
  made.network.setCut(HOST, true);
  made.clock.advance(5_500);
  const told = () => made.logs.filter((line) => line.includes('the host is'));
  expect(told().filter((line) => line.includes('silent: last heard'))).toHaveLength(PARTIES.length);
  made.clock.advance(20_000);
  expect(told()).toHaveLength(PARTIES.length);
  made.network.setCut(HOST, false);
  made.clock.advance(3_000);
  expect(told().filter((line) => /heard again, after 2\d s/.test(line))).toHaveLength(PARTIES.length);
});

describe('the watch over the host, when the agent itself was stopped', () => {
  /** A clock that can stand still for its process: timers come late. */
  function stopped(ms: number, hearsAfterwards: boolean) {
    const clock = new VirtualClock();
    let lagMs = 0;
    const lagging = {
      nowMs: () => clock.nowMs() + lagMs,
      after: (wait: number, fire: () => void) => clock.after(wait, fire),
      soon: (fire: () => void) => clock.soon(fire),
    };
    const told: string[] = [];
    let watch = watched(UNWATCHED, true, 0).watch;
    const take = ({ watch: next, timerMs, ...news }: WatchStep) => {
      watch = next;
      told.push(...Object.entries(news).map(([what, value]) => `${what} ${value}`));
      if (timerMs === undefined) return;
      const dueMs = lagging.nowMs() + timerMs;
      lagging.after(timerMs, () => take(looked(watch, lagging.nowMs(), lagging.nowMs() - dueMs)));
    };
    take(heard(watch, 0, undefined));
    take({ watch, timerMs: 4_000 });
    clock.advance(3_999);
    lagMs = ms;
    clock.advance(2);
    if (hearsAfterwards) take(heard(watch, lagging.nowMs(), undefined));
    clock.advance(2_000);
    return told;
  }

  it('tells that, and not that the host was silent', () => {
    expect(stopped(20_000, true)).toEqual(['stoppedMs 20000']);
  });
  it('tells both when the host is silent as well', () => {
    expect(stopped(20_000, false)).toEqual(['stoppedMs 20000', 'silentMs 25500']);
  });
});
