/** Who may say what to an agent: the host who holds, the owner what it declines, and only the last question counts. */

import { beforeEach, describe, expect, it } from 'vitest';
import { HOST, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';

const OTHER = vmId('other');
const VMS = [ANDROID, VAULT, OTHER];

let world: UnisolatedWorld;
beforeEach(() => {
  world = new UnisolatedWorld(
    VMS,
    [PANEL],
    () => new NoneEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: '1' }),
  );
  world.startHost();
  for (const vm of VMS) world.startAgent(vm, vm === ANDROID ? 'active' : 'suspended');
  world.clock.advance(1_500);
});

const vault = () => world.agents.get(VAULT)!;
const view = () => vault().view(PANEL.id);
/** Hands a message to vault's agent, as its link does. Returns what its log says of it. */
function tell(from: VmId, fields: object): string[] {
  const before = world.logs.length;
  vault().onMessage(from, { bundle: PANEL.id, ...fields } as unknown as Message, undefined);
  return world.logs.slice(before).filter((line) => line.includes('dropped'));
}

describe('what the host says', () => {
  const HELD = {
    kind: 'remapped',
    epoch: 99,
    digest: new Uint8Array(32),
    holder: VAULT,
    incarnation: 1,
    leaseMs: 1,
  };

  it.each([ANDROID, OTHER])('counts from nobody else: %s', (from) => {
    const { state, epoch } = view();
    const said = tell(from, HELD);
    expect(said).toEqual([expect.stringContaining('not from the right sender')]);
    expect(view()).toMatchObject({ state, epoch });
    expect(world.drivers.get(VAULT)!.calls).toEqual([]);
  });

  it('of a question counts for that question alone', () => {
    const { state, epoch } = view();
    const reported = { ...HELD, kind: 'stateReported', phase: 'held', yourIncarnation: 7, pending: false };
    const said = tell(HOST, { ...reported, challenge: new Uint8Array(8).fill(9) });
    expect(said).toEqual([expect.stringContaining('answer to an older query')]);
    expect(view()).toMatchObject({ state, epoch });
  });
});

describe('what the owner says', () => {
  const DECLINED = { kind: 'borrowDeclined', reason: 'busy', retryAfterMs: 0, requestId: 0 };

  it('counts from nobody else, nor what agents say from the host', () => {
    world.network.setCut(ANDROID, true);
    vault().borrow(PANEL.id, TERMS);
    world.clock.advance(10);
    expect(view().state).toBe('requesting');
    expect(tell(OTHER, DECLINED)).toEqual([expect.stringContaining('not the owner')]);
    expect(tell(HOST, DECLINED)).toEqual([expect.stringContaining('not from the right sender')]);
    expect(view().state).toBe('requesting');
    expect(world.told(VAULT)).toEqual([]);
  });
});
