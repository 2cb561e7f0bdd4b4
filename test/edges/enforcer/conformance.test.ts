/** The shipped conformance suite over every enforcer, and over broken ones as its negative control. */

import { describe, expect, it } from 'vitest';
import { resourcesOf, viewOf } from '../../../src/core/protocol/bundle.ts';
import {
  type AccessProbe,
  type CheckResult,
  type ConformanceOptions,
  conformanceChecks,
  runConformance,
} from '../../../src/edges/enforcer/conformance.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { Sabotage } from '../../../src/edges/enforcer/tables.ts';
import type { Enforcer } from '../../../src/ports/enforcer.ts';
import { ANDROID, KEYS_BUNDLE, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import type { SimulatedMachine } from '../../../targets/lab/machine/machine.ts';
import { machineOf } from '../../simulation/support.ts';
import { openFake } from './fake-command.ts';

function verdicts(options: ConformanceOptions): readonly CheckResult[] {
  let results: readonly CheckResult[] = [];
  runConformance(options, (given) => {
    results = given;
  });
  return results;
}

function of(verdict: CheckResult['verdict'], results: readonly CheckResult[]): readonly string[] {
  return results.filter((result) => result.verdict === verdict).map(({ name, text }) => `${name}: ${text}`);
}

/** Touches a register through the VM's context; all ones is nobody. */
function probeOf(machine: SimulatedMachine): AccessProbe {
  return {
    touch: (vm, resource) => {
      const view = viewOf(resourcesOf(PANEL).find(({ id }) => id === resource)!, vm);
      const result = machine.context(vm).mmioRead(view);
      return result.ok && result.value !== 0xffff_ffff;
    },
  };
}

function simulated(sabotages: readonly Sabotage[] = []): ConformanceOptions {
  const machine = machineOf(4, { sabotages });
  return {
    enforcer: machine.enforcer(),
    bundle: PANEL,
    vms: [ANDROID, VAULT],
    probe: probeOf(machine),
  };
}

const NONE = { bundles: [PANEL], vms: [ANDROID, VAULT], machineBoot: 'b1' };

describe('conformance', () => {
  it('simulated: everything passes, and the checker finds nothing', () => {
    const machine = machineOf(4);
    const options = { bundle: PANEL, vms: [ANDROID, VAULT] as const, probe: probeOf(machine) };
    const results = verdicts({ ...options, enforcer: machine.enforcer() });
    expect(of('fail', results)).toEqual([]);
    expect(of('not-claimed', results)).toEqual([]);
    expect(results.map(({ name }) => name)).toEqual(conformanceChecks());
    expect(machine.checker.violations).toEqual([]);
  });

  it('simulated, on a bundle without a reset line', () => {
    const machine = machineOf(4);
    const results = verdicts({ enforcer: machine.enforcer(), bundle: KEYS_BUNDLE, vms: [ANDROID, VAULT] });
    expect(of('fail', results)).toEqual([]);
  });

  it('none: passes what it claims, and does not claim isolation', () => {
    const results = verdicts({ enforcer: new NoneEnforcer(NONE), bundle: PANEL, vms: [ANDROID, VAULT] });
    expect(of('fail', results)).toEqual([]);
    expect(of('not-claimed', results)).toEqual([
      'a grant after fence without settle is refused: evidence none: nothing is isolated',
      'reset and drained are idempotent on a blocked device: does not reset devices',
      'the holder reaches the device, the other VM does not: nobody can touch the device from inside a VM here',
      'after fence and settle no VM reaches the device: nobody can touch the device from inside a VM here',
      'a refused access is reported with VM and resource: does not report faults',
    ]);
  });

  it('command: an executable that behaves passes', () => {
    const { enforcer } = openFake();
    const results = verdicts({ enforcer, bundle: PANEL, vms: [ANDROID, VAULT] });
    expect(of('fail', results)).toEqual([]);
  });

  it('skip-unmap fails by what is read back and by what the probe touches', () => {
    const failed = of('fail', verdicts(simulated(['skip-unmap'])));
    expect(failed).toContainEqual(
      'the bundle moves to the second VM and back: touch.mmio0 is unknown, should be vault',
    );
    expect(failed).toContainEqual(
      'after fence and settle no VM reaches the device: android reaches the blocked device',
    );
  });

  it.each([
    ['fence does nothing', 'fence', 'the bundle moves to the second VM and back'],
    ['grant does nothing', 'grant', 'a whole move makes every resource the new holder’s'],
  ])('an enforcer whose %s fails', (_, op, check) => {
    const inner = simulated().enforcer;
    const broken: Enforcer = Object.create(inner);
    broken.describe = () => inner.describe();
    broken.machineBoot = () => inner.machineBoot();
    broken.running = () => inner.running();
    broken.run = (bundle, calls, done) =>
      inner.run(
        bundle,
        calls.filter((call) => call.op !== op),
        (answers) =>
          done(calls.map((call) => (call.op === op ? { ok: true } : (answers[0] ?? { ok: true })))),
      );
    const failed = verdicts({ enforcer: broken, bundle: PANEL, vms: [ANDROID, VAULT] });
    expect(failed.find(({ name }) => name === check)?.verdict).toBe('fail');
  });
});
