/**
 * The grant that a VM must get, by its own device tree: the holder checks a grant against what its own drivers will
 * use, not only against the bundle file. Pure.
 *
 * A VM's tree has its view of a device (IPA, virtual interrupts, virtual streams); physical numbers are only in the
 * bundle file.
 */

import type { BundleDefinition, Device, Resource } from '../core/protocol/bundle.ts';
import { type GrantedForm, grantedForm, PAGE_BYTES } from '../core/protocol/evidence.ts';
import type { ResourceId, VmId } from '../core/protocol/ids.ts';
import { accessOf, GRANULE } from './access.ts';
import type { DtNode } from './blob.ts';
import { eachOnce, type Things, thingsOf } from './once.ts';
import { merged, type Range, without } from './ranges.ts';
import type { Tree } from './tree.ts';

/**
 * Device of a bundle → the nodes that describe it in a VM's own tree. A device without an entry is not checked
 * against the tree.
 */
export type NodesOfDevices = ReadonlyMap<string, readonly DtNode[]>;

/** The expected properties of one resource, as far as the tree has them. */
type Thing = Pick<GrantedForm, 'view' | 'pages' | 'trigger' | 'mask'>;

/**
 * Returns the expected grant of `vm`, entry by entry. A resource of the tree that is not in the bundle is expected too,
 * under a name that shows this, so that a grant without it is rejected. Throws a TreeError.
 */
export function expectedByTree(
  definition: BundleDefinition,
  vm: VmId,
  tree: Tree,
  nodes: NodesOfDevices,
): readonly GrantedForm[] {
  const forms = new Map(
    definition.devices.map((device) => [
      device.id,
      device.resources.map((resource) => grantedForm(resource, vm)),
    ]),
  );
  const inTree = definition.devices.flatMap((device) => {
    const own = nodes.get(device.id);
    const things = own && thingsOf(own.map((node) => accessOf(tree, node)));
    return things ? [{ id: device.id, things, forms: forms.get(device.id)! }] : [];
  });
  const seen = new Map(sharedOut(inTree).map((each, index) => [inTree[index]!.id as string, each]));
  return definition.devices.flatMap((device) => {
    const all = forms.get(device.id)!;
    const things = seen.get(device.id);
    return things ? ofDevice(device, all, things) : all;
  });
}

/** The resources of a device by its nodes, and whether these have any stream. */
interface Seen extends Things {
  readonly hasStreams: boolean;
}

/**
 * Assigns resources that several devices of the tree share: to the device that has them in the bundle, else to the
 * first. A bundle has a shared resource once.
 */
function sharedOut(
  devices: readonly { readonly things: Things; readonly forms: readonly GrantedForm[] }[],
): readonly Seen[] {
  const asSaid = devices.map(({ things, forms }) => saidOf(things, forms));
  const once = eachOnce([...asSaid, ...devices.map(({ things }) => things)]);
  return devices.map(({ things }, index) => {
    const [said, rest] = [once[index]!, once[devices.length + index]!];
    return {
      pages: [...said.pages, ...rest.pages],
      lines: [...said.lines, ...rest.lines],
      streams: [...said.streams, ...rest.streams],
      hasStreams: things.streams.length > 0,
    };
  });
}

/** The resources of a device in the tree that the bundle has under the same numbers. */
function saidOf({ pages, lines, streams }: Things, forms: readonly GrantedForm[]): Things {
  const has = (kind: Resource['kind'], number: number) =>
    forms.some((form) => form.kind === kind && form.view === number);
  const ranges = forms
    .filter(({ kind }) => kind === 'mmio')
    .map(({ view, pages: count }) => ({ address: BigInt(view) * GRANULE, bytes: BigInt(count) * GRANULE }));
  return {
    pages: pages.flatMap((page) => without(page, without(page, ranges))),
    lines: lines.filter(({ number }) => has('interrupt', number)),
    streams: streams.filter(({ id }) => has('stream', id)),
  };
}

function ofDevice(device: Device, all: readonly GrantedForm[], things: Seen): readonly GrantedForm[] {
  const forms = (kind: Resource['kind']) => all.filter((form) => form.kind === kind);
  const registers = forms('mmio');
  const lines = things.lines.map(({ number, trigger }) => ({ view: number, pages: 0, trigger }));
  const streams = things.streams.map(({ id, mask }) => ({
    view: id,
    pages: 0,
    trigger: 'none' as const,
    ...(mask === 0 ? {} : { mask }),
  }));
  return [
    ...paired(device, 'mmio', registers, runs(things.pages, registers)),
    ...paired(device, 'interrupt', forms('interrupt'), lines),
    // A VM without an SMMU has no streams in its tree: then they are not compared.
    ...(things.hasStreams ? paired(device, 'stream', forms('stream'), streams) : forms('stream')),
  ];
}

/**
 * Matches resources of the tree with those of the bundle: first by equal numbers, then the rest in rising order. The
 * rest of the tree has no name in the bundle; the rest of the bundle is not expected.
 */
function paired(
  device: Device,
  kind: Resource['kind'],
  forms: readonly GrantedForm[],
  things: readonly Thing[],
): readonly GrantedForm[] {
  const rest = [...things].sort((a, b) => a.view - b.view);
  const take = (isIt: (thing: Thing) => boolean): Thing | undefined => {
    const index = rest.findIndex(isIt);
    return index < 0 ? undefined : rest.splice(index, 1)[0];
  };
  const same = new Map(forms.map((form) => [form, take(({ view }) => view === form.view)]));
  const found = forms.flatMap((form) => {
    const thing = same.get(form) ?? take(() => true);
    if (thing === undefined) return [];
    // Without a mask in the tree, the mask of the bundle is not expected.
    const { mask: _theirs, ...rest } = form;
    return [{ ...rest, ...thing }];
  });
  const more = rest.map((thing): GrantedForm => {
    const at = kind === 'mmio' ? `0x${(thing.view * PAGE_BYTES).toString(16)}` : String(thing.view);
    return { ...thing, resource: `${device.id} ${kind} ${at} of our tree` as ResourceId, kind, physical: 0 };
  });
  return [...found, ...more];
}

/**
 * Pages as ranges, split where a range of the bundle begins or ends: adjacent registers may be one range here and two
 * there.
 */
function runs(pages: readonly Range[], registers: readonly GrantedForm[]): readonly Thing[] {
  const cuts = registers.flatMap(({ view, pages: count }) => [view, view + count]);
  const ranges = merged(
    pages,
    cuts.map((page) => BigInt(page) * GRANULE),
  );
  return ranges.map(({ address, bytes }) => ({
    view: Number(address / GRANULE),
    pages: Number(bytes / GRANULE),
    trigger: 'none',
  }));
}
