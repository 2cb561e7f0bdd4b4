/** M5, M14: a record that says "quarantined, isolated" frees no VM that the machine says still reaches the bundle. */
import { describe, expect, it } from 'vitest';
import type { VmId } from '../../src/core/protocol/ids.ts';
import { NoneEnforcer } from '../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type {
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
} from '../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { UnisolatedWorld } from '../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];
class Rig extends NoneEnforcer {
  failReset = false;
  readonly acknowledged: string[] = [];
  readonly ran: string[] = [];
  tell: (event: EnforcerEvent) => void = () => {};
  override describe(): EnforcerDescription {
    const { capabilities, ...rest } = super.describe();
    return { ...rest, capabilities: { ...capabilities, forceRevoke: true } };
  }
  override run(...args: Parameters<NoneEnforcer['run']>): void {
    const [bundle, calls, done] = args;
    this.ran.push(calls.map(({ op }: EnforcerCall) => op).join(' '));
    if (this.failReset && calls.some(({ op }: EnforcerCall) => op === 'reset')) {
      const answers: EnforcerAnswer[] = [{ ok: false, error: 'test: reset failed' }];
      return done(answers);
    }
    super.run(bundle, calls, done);
  }
  override onEvent(listener?: (event: EnforcerEvent) => void): void {
    if (listener) this.tell = listener;
  }
  override acknowledgeExit(vm?: VmId): void {
    this.acknowledged.push(`exit ${vm}`);
  }
}

describe('quarantine recorded as isolated; lifted while the disk is full; host killed', () => {
  it('frees no VM that the machine says still reaches the bundle', () => {
    const rig = new Rig({ bundles: [PANEL], vms: VMS, machineBoot: '1' });
    const world = new UnisolatedWorld(VMS, [PANEL], () => rig);
    const view = () => world.host.views()[0]!;
    world.startHost();
    world.startAgent(ANDROID, 'active');
    world.clock.advance(1_500);
    // The owner's VM restarts; a reset fails: quarantined, isolation proved, and that is on disk.
    rig.failReset = true;
    rig.tell({ kind: 'vmExited', vm: ANDROID });
    rig.tell({ kind: 'vmStarting', vm: ANDROID });
    world.clock.advance(1_000);
    expect(view().state).toBe('quarantined');
    rig.failReset = false;
    // The disk is full; the operator lifts; the owner claims and holds again. All of it goes on unwritten, by design.
    world.journal.broken = 'ENOSPC';
    world.host.lift(PANEL.id);
    world.agents.get(ANDROID)!.stop();
    world.startAgent(ANDROID, 'suspended');
    world.clock.advance(10_000);
    expect(view()).toMatchObject({ state: 'held', holder: ANDROID });
    world.host.stop(); // killed
    world.journal.broken = undefined; // space was freed
    const calls = rig.ran.length;
    world.startHost();
    world.clock.advance(50);
    rig.tell({ kind: 'vmExited', vm: ANDROID });
    world.clock.advance(3_000);
    const fenced = rig.ran.slice(calls).some((ops) => ops.startsWith('fence'));
    // The machine said: android reaches the bundle. Its memory may be freed only after fence and settle.
    expect(rig.acknowledged.includes('exit android') && !fenced).toBe(false);
  });
});
