/**
 * What a VM must be granted, by its own device tree: the holder's check of a grant rests on what its own drivers will use, not only on
 * what the bundle file says. Pure.
 *
 * A VM's tree tells how it sees a device (IPA, virtual interrupts, virtual streams); what is physical stands in the bundle file alone.
 */

import type { BundleDefinition, Device, Resource } from '../protocol/bundle.ts';
import { type GrantedForm, grantedForm, PAGE_BYTES } from '../protocol/evidence.ts';
import type { ResourceId, VmId } from '../protocol/ids.ts';
import { accessOf, GRANULE } from './access.ts';
import type { DtNode } from './blob.ts';
import { idsOf } from './definition.ts';
import { merged, type Range } from './ranges.ts';
import type { Tree } from './tree.ts';

/** Device of a bundle → the nodes that describe it in a VM's own tree. A device that is not named is not checked against the tree. */
export type NodesOfDevices = ReadonlyMap<string, readonly DtNode[]>;

/** What is expected of one thing: all that the tree tells. */
type Seen = Pick<GrantedForm, 'view' | 'pages' | 'trigger'>;

/**
 * Returns what `vm` must be granted, entry by entry. A thing of the tree that is nothing of the bundle is expected all the same, under
 * a name that says so, so that a grant without it is refused. Throws a TreeError.
 */
export function expectedByTree(
  definition: BundleDefinition,
  vm: VmId,
  tree: Tree,
  nodes: NodesOfDevices,
): readonly GrantedForm[] {
  return definition.devices.flatMap((device) => {
    const own = nodes.get(device.id);
    return own === undefined
      ? device.resources.map((resource) => grantedForm(resource, vm))
      : ofDevice(device, vm, tree, own);
  });
}

function ofDevice(device: Device, vm: VmId, tree: Tree, nodes: readonly DtNode[]): readonly GrantedForm[] {
  const access = nodes.map((node) => accessOf(tree, node));
  const forms = (kind: Resource['kind']) =>
    device.resources
      .filter((resource) => resource.kind === kind)
      .map((resource) => grantedForm(resource, vm));
  const registers = forms('mmio');
  const pages = access.flatMap((each) => each.pages);
  const lines = access
    .flatMap((each) => each.lines)
    .flatMap(({ gic }) =>
      gic?.kind === 'spi' ? [{ view: gic.number, pages: 0, trigger: gic.trigger }] : [],
    );
  const streams = access.flatMap((each) => each.streams).flatMap(({ id, mask }) => idsOf(id, mask));
  return [
    ...paired(device, 'mmio', registers, runs(pages, registers)),
    ...paired(device, 'interrupt', forms('interrupt'), lines),
    // A VM without an SMMU of its own has no streams in its tree: then it cannot tell.
    ...(streams.length === 0
      ? forms('stream')
      : paired(
          device,
          'stream',
          forms('stream'),
          [...new Set(streams)].map((view) => ({ view, pages: 0, trigger: 'none' as const })),
        )),
  ];
}

/**
 * Things of the tree beside those of the bundle: what is seen under the same number first, then the rest in rising order. What is left
 * of the tree has no name in the bundle; what is left of the bundle is not expected.
 */
function paired(
  device: Device,
  kind: Resource['kind'],
  forms: readonly GrantedForm[],
  things: readonly Seen[],
): readonly GrantedForm[] {
  const rest = [...things].sort((a, b) => a.view - b.view);
  const take = (isIt: (thing: Seen) => boolean): Seen | undefined => {
    const index = rest.findIndex(isIt);
    return index < 0 ? undefined : rest.splice(index, 1)[0];
  };
  const same = new Map(forms.map((form) => [form, take(({ view }) => view === form.view)]));
  const found = forms.flatMap((form) => {
    const thing = same.get(form) ?? take(() => true);
    return thing === undefined ? [] : [{ ...form, ...thing }];
  });
  const more = rest.map((thing): GrantedForm => {
    const at = kind === 'mmio' ? `0x${(thing.view * PAGE_BYTES).toString(16)}` : String(thing.view);
    return { ...thing, resource: `${device.id} ${kind} ${at} of our tree` as ResourceId, kind, physical: 0 };
  });
  return [...found, ...more];
}

/**
 * Pages as ranges, cut where a range of the bundle begins or ends: registers that lie side by side are one range here and two there.
 */
function runs(pages: readonly Range[], registers: readonly GrantedForm[]): readonly Seen[] {
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
