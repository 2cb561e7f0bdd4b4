/** The views of a bundle definition, read from another VM's own device tree. Pure. */

import { type BundleDefinition, type Device, type Resource, viewOf } from '../core/protocol/bundle.ts';
import type { VmId } from '../core/protocol/ids.ts';
import { accessOf } from './access.ts';
import type { NodesOfDevices } from './expected.ts';
import { eachOnce, type Things, thingsOf } from './once.ts';
import type { Tree } from './tree.ts';

/**
 * The resources of one kind that a VM sees, in the order of its tree: the number, and the properties that must equal
 * the bundle's.
 */
interface Sight {
  readonly number: number;
  readonly nature: string;
}

/**
 * Returns the definition with the views of `vm`: each device's registers, lines and streams are matched with those of
 * its nodes, in order; shared ones belong to the first device. A device without nodes here has no views, and neither
 * have streams if the tree has none. Throws an Error when the tree has more or fewer, or other lengths or triggers, and
 * a TreeError.
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
  const all = bundle.devices.map(({ id }) =>
    thingsOf((nodes.get(id) ?? []).map((node) => accessOf(tree, node))),
  );
  const things = eachOnce(all);
  return {
    ...bundle,
    devices: bundle.devices.map((device, index) =>
      nodes.has(device.id) ? seen(device, vm, things[index]!, all[index]!.streams.length > 0) : device,
    ),
  };
}

function seen(device: Device, vm: VmId, things: Things, hasStreams: boolean): Device {
  const sights: Record<Resource['kind'], readonly Sight[]> = {
    mmio: things.pages.map(({ address, bytes }) => ({
      number: Number(address),
      nature: `0x${bytes.toString(16)} bytes`,
    })),
    interrupt: things.lines.map(({ number, trigger }) => ({ number, nature: trigger })),
    stream: things.streams.map(({ id, mask }) => ({ number: id, nature: maskText(mask) })),
  };
  for (const kind of ['mmio', 'interrupt', 'stream'] as const) {
    const [here, there] = [device.resources.filter((each) => each.kind === kind).length, sights[kind].length];
    if (here !== there && !(kind === 'stream' && !hasStreams))
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

function natureOf(resource: Resource): string {
  if (resource.kind === 'mmio') return `0x${resource.bytes.toString(16)} bytes`;
  return resource.kind === 'interrupt' ? resource.trigger : maskText(resource.mask ?? 0);
}

function maskText(mask: number): string {
  return mask === 0 ? 'one ID' : `mask 0x${mask.toString(16)}`;
}
