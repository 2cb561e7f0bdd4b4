/**
 * M5: an owner's VM that starts while the host still fences at boot is granted its bundle before its first
 * instruction, as it is a few milliseconds later.
 */
import { describe, expect, it } from 'vitest';
import type { VmId } from '../../src/core/protocol/ids.ts';
import { NoneEnforcer } from '../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { EnforcerDescription, EnforcerEvent } from '../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { UnisolatedWorld } from '../support/unisolated-world.ts';

class Rig extends NoneEnforcer {
  world!: UnisolatedWorld;
  tell: (event: EnforcerEvent) => void = () => {};
  readonly story: string[] = [];
  live: VmId[] = [];
  boot = '1';
  override machineBoot() {
    return this.boot;
  }
  override describe(): EnforcerDescription {
    const { capabilities, ...rest } = super.describe();
    return { ...rest, capabilities: { ...capabilities, forceRevoke: true } };
  }
  override running() {
    return this.live;
  }
  override run(...args: Parameters<NoneEnforcer['run']>): void {
    const [bundle, calls, done] = args;
    // 20 ms a phase: a command enforcer of a few processes, or a settle on hardware.
    this.world.clock.after(20, () => {
      this.story.push(calls[0]!.op);
      super.run(bundle, calls, done);
    });
  }
  override onEvent(listener?: (event: EnforcerEvent) => void): void {
    if (listener) this.tell = listener;
  }
  override acknowledgeStart(vm?: VmId): void {
    this.story.push(`${vm} runs`);
    this.live = [...this.live, vm!];
  }
}

describe('the machine boots: host first, then the owner’s VM', () => {
  it.each([[5], [30], [50], [200]])(
    '%i ms later: it is granted its bundle before its first instruction',
    (ms) => {
      const rig = new Rig({ bundles: [PANEL], vms: [ANDROID, VAULT], machineBoot: '1' });
      const world = new UnisolatedWorld([ANDROID, VAULT], [PANEL], () => rig);
      rig.world = world;
      world.startHost();
      world.clock.advance(ms);
      rig.tell({ kind: 'vmStarting', vm: ANDROID });
      world.clock.advance(10_000);
      expect(world.host.views()[0]).toMatchObject({ state: 'held', holder: ANDROID });
      expect(rig.story.indexOf('android runs')).toBeGreaterThan(rig.story.indexOf('grant'));
      expect(rig.story).toContain('grant');
    },
  );
});
