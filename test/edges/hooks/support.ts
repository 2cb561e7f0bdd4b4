/** Makes hooks of the simulated board's bundle over a fake machine, and calls them as an agent does. */

import type { Epoch, VmId } from '../../../src/core/protocol/ids.ts';
import { createHooks } from '../../../src/edges/hooks/hooks.ts';
import type { DeviceHooksConfig } from '../../../src/edges/hooks/hooks-config.ts';
import type { DriverHooks, DriverStatus, HookName, HookResult } from '../../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { FakeWorld } from './fake-world.ts';

export const EPOCH = 7 as Epoch;

/** Hooks under test, with promises in place of callbacks. */
export class Rig {
  readonly world: FakeWorld;
  readonly logs: string[] = [];
  readonly hooks: DriverHooks;

  /** Where the last run failed. */
  where: string | undefined;

  /** `world`: of an agent before this one, which was killed. */
  constructor(
    config: Record<string, DeviceHooksConfig>,
    self: VmId = ANDROID,
    world: FakeWorld = new FakeWorld(),
  ) {
    this.world = world;
    this.hooks = createHooks({
      self,
      bundles: [PANEL],
      config: Object.keys(config).length > 0 ? { panel: config } : {},
      world: this.world,
      log: (level, message, fields) => this.logs.push(`${level} ${message} ${JSON.stringify(fields)}`),
    });
  }

  start(hook: HookName): Promise<HookResult> {
    return new Promise((done) =>
      this.hooks.run(PANEL.id, hook, EPOCH, (result) => {
        if (!result.ok) this.where = result.where;
        done(withoutWhere(result));
      }),
    );
  }

  /** Runs a hook to its end in virtual time. */
  run(hook: HookName): Promise<HookResult> {
    return this.world.settle(this.start(hook));
  }

  /** Suspends for a loan, and forgets what was done for it. */
  async lend(): Promise<void> {
    const result = await this.run('suspend');
    if (!result.ok) throw new Error(result.error);
    this.world.events.length = 0;
  }

  inspect(): Promise<DriverStatus> {
    return this.world.settle(new Promise((done) => this.hooks.inspect(PANEL.id, done)));
  }
}

export { ANDROID, VAULT };

/** A command step with an undo, by names that say what they are. */
export function step(name: string) {
  return { kind: 'command', name, command: [name], undo: ['undo', name] } as const;
}

/** Of a result what most tests are about. */
export function withoutWhere(result: HookResult): HookResult {
  return result.ok ? result : { ok: false, outcome: result.outcome, error: result.error };
}
