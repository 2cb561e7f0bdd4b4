/** What the host shows of its agents and of itself. */

import { expect, it } from 'vitest';
import { encodeLine, type Json } from '../../../src/common/lines.ts';
import { Pulse } from '../../../src/core/host/pulse.ts';
import type { Epoch, Incarnation, ResourceId } from '../../../src/core/protocol/ids.ts';
import { HostControl } from '../../../src/drivers/control/host-control.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { ByteStreamListener } from '../../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { UnisolatedWorld } from '../../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];

function rig() {
  const enforcer = new NoneEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: '1' });
  const world = new UnisolatedWorld(VMS, [PANEL], () => enforcer);
  world.startHost();
  for (const vm of VMS) world.startAgent(vm, vm === ANDROID ? 'active' : 'suspended');
  world.clock.advance(1_500);
  const heard: Json[] = [];
  let listener!: ByteStreamListener;
  new HostControl(world.host, world.clock).accept({
    open: (given) => {
      listener = given;
    },
    write: (bytes) => heard.push(JSON.parse(new TextDecoder().decode(bytes)) as Json) > 0,
    close: () => {},
  });
  const status = (limitMs = 600) => {
    heard.length = 0;
    listener.onData(encodeLine({ id: 1, do: 'status' }));
    world.clock.advance(limitMs);
    return heard[0] as Json & { peers: Json[] };
  };
  const ask = (request: Json) => listener.onData(encodeLine(request));
  return { world, status, heard, ask };
}

it('an agent that was killed is not shown as alive', () => {
  const { world, status } = rig();
  expect(status(10).peers).toMatchObject([{ up: true }, { up: true }]);
  world.agents.get(VAULT)!.stop();
  world.clock.advance(9_000);
  const [android, vault] = status().peers;
  expect(android).toMatchObject({ peer: ANDROID, up: true });
  expect(vault).toMatchObject({ peer: VAULT, up: false, hint: expect.stringContaining('no answer') });
  expect(vault!['heardMs']).toBeGreaterThan(9_000);
});

it('a status is answered within its bound, however many are asked for', () => {
  const { world, status } = rig();
  for (const vm of VMS) world.agents.get(vm)!.stop();
  world.clock.advance(2_000);
  expect(status(399)).toBeUndefined();
  world.clock.advance(10);
  for (let i = 0; i < 20; i++) expect(status(1)).toMatchObject({ ok: true });
});

it('a way that is gone is the reason that status gives', () => {
  const { world, status } = rig();
  world.network.setCut('host' as never, true);
  world.clock.advance(9_000);
  expect(status(1)).toMatchObject({
    obstacle: 'cut off by the simulation',
    peers: [{ up: false, forMs: 9_000, hint: 'cut off by the simulation' }, { up: false }],
  });
});

it('a watcher is told of a refused access: who, where, how, and null for what is not known', () => {
  const { world, heard, ask } = rig();
  ask({ id: 1, do: 'watch' });
  heard.length = 0;
  const fault = { by: 'dma', address: 16, write: true, event: 'C_BAD_STE', count: 1, lost: false } as const;
  const offender = { vm: VAULT, incarnation: 3 as Incarnation };
  const epoch = 5 as Epoch;
  const resource = 'touch.stream0' as ResourceId;
  world.host.emit('fault', PANEL.id, { fault: { ...fault, resource, stream: 7 }, epoch, offender }, 4);
  world.host.emit('fault', PANEL.id, { fault, epoch }, 1);
  const told = {
    event: 'fault',
    bundle: 'panel',
    by: 'dma',
    write: true,
    name: 'C_BAD_STE',
    address: 16,
    epoch: 5,
  };
  expect(heard).toEqual([
    expect.objectContaining({ ...told, vm: 'vault', incarnation: 3, resource, stream: 7, count: 4 }),
    expect.objectContaining({ ...told, vm: null, incarnation: null, resource: null, stream: null, count: 1 }),
  ]);
});

it('serves 32 connections at a time, and tells the next one', () => {
  const { world } = rig();
  const control = new HostControl(world.host, world.clock);
  const ends: (() => void)[] = [];
  const accept = () => {
    const said: string[] = [];
    control.accept({
      open: (given) => void ends.push(() => given.onClose('gone')),
      write: (bytes) => said.push(new TextDecoder().decode(bytes)) > 0,
      close: () => said.push('closed'),
    });
    return said;
  };
  expect(Array.from({ length: 32 }, accept).flat()).toEqual([]);
  expect(accept()).toEqual([expect.stringContaining('tooManyConnections'), 'closed']);
  ends[32]!();
  ends[0]!();
  expect(accept()).toEqual([]);
});

it('a host that was stopped finds out by the first timer that is late, once', () => {
  const pulse = new Pulse();
  expect(pulse.late(300, 1_300)).toBeUndefined();
  expect(pulse.stopped(1_300)).toBeNull();
  expect(pulse.late(20_000, 22_300)).toBe(20_000);
  expect(pulse.late(19_000, 22_301)).toBeUndefined();
  expect(pulse.stopped(25_300)).toEqual({ forMs: 20_000, agoMs: 3_000 });
  expect(pulse.late(3_000, 30_000)).toBe(3_000);
});
