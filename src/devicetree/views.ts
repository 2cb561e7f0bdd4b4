/** How another VM sees a bundle, read from that VM's own device tree: the views of a bundle definition. Pure. */

import { type BundleDefinition, type Device, type Resource, viewOf } from '../protocol/bundle.ts';
import type { VmId } from '../protocol/ids.ts';
import { accessOf, type DeviceLine } from './access.ts';
import { idsOf } from './definition.ts';
import type { NodesOfDevices } from './expected.ts';
import type { Tree } from './tree.ts';

/** What a VM sees of a kind, in the order of its tree: a number, and what has to be as in the bundle. */
interface Sight {
  readonly number: number;
  readonly nature: string;
}

/**
 * Returns the definition with the views of `vm`: each device's registers, lines and streams are those of its nodes, in order. A device
 * that has no nodes here is seen as it is; so are streams of which the tree has none. Throws an Error when the tree has more or
 * fewer, of other lengths or triggers, and a TreeError.
 */
export function withViews(
  bundle: BundleDefinition,
  vm: VmId,
  tree: Tree,
  nodes: NodesOfDevices,
): BundleDefinition {
  for (const id of nodes.keys())
    if (!bundle.devices.some((device) => device.id === id))
      throw new Error(
        `the bundle has no device ${id}: ${bundle.devices.map((device) => device.id).join(', ')}`,
      );
  return { ...bundle, devices: bundle.devices.map((device) => seen(device, vm, tree, nodes)) };
}

function seen(device: Device, vm: VmId, tree: Tree, nodes: NodesOfDevices): Device {
  const own = nodes.get(device.id);
  if (own === undefined) return device;
  const access = own.map((node) => accessOf(tree, node));
  const sights: Record<Resource['kind'], readonly Sight[]> = {
    mmio: access
      .flatMap(({ pages }) => pages)
      .map(({ address, bytes }) => ({ number: Number(address), nature: `0x${bytes.toString(16)} bytes` })),
    interrupt: access.flatMap(({ lines }) => lines).flatMap(lineOf),
    stream: [
      ...new Set(access.flatMap(({ streams }) => streams).flatMap(({ id, mask }) => idsOf(id, mask))),
    ].map((number) => ({ number, nature: '' })),
  };
  for (const kind of ['mmio', 'interrupt', 'stream'] as const) {
    const [here, there] = [device.resources.filter((each) => each.kind === kind).length, sights[kind].length];
    if (here !== there && !(kind === 'stream' && there === 0))
      throw new Error(`${device.id}: ${vm}’s tree has ${there} of kind ${kind}; the bundle has ${here}`);
  }
  const taken = { mmio: 0, interrupt: 0, stream: 0 };
  return { ...device, resources: device.resources.map((resource) => viewed(resource)) };

  function viewed(resource: Resource): Resource {
    const sight = sights[resource.kind][taken[resource.kind]++];
    if (sight === undefined) return resource;
    if (sight.nature !== natureOf(resource))
      throw new Error(
        `${resource.id}: ${vm}’s tree has ${sight.nature}; the bundle has ${natureOf(resource)}`,
      );
    if (sight.number === viewOf(resource, vm)) return resource;
    return { ...resource, views: { ...resource.views, [vm]: sight.number } };
  }
}

function lineOf({ gic }: DeviceLine): readonly Sight[] {
  return gic?.kind === 'spi' ? [{ number: gic.number, nature: gic.trigger }] : [];
}

function natureOf(resource: Resource): string {
  if (resource.kind === 'mmio') return `0x${resource.bytes.toString(16)} bytes`;
  return resource.kind === 'interrupt' ? resource.trigger : '';
}
