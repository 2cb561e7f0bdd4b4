/**
 * The part of an agent's configuration that maps nodes of the VM's own device tree to the devices of a bundle, and
 * the expected grants that follow. Pure: the tree is already read.
 */

import { type Static, Type } from '../common/schema.ts';
import type { BundleDefinition } from '../core/protocol/bundle.ts';
import { expectedByDefinition, findResourceMismatch, type GrantedForm } from '../core/protocol/evidence.ts';
import { type BundleId, ID_PATTERN, type VmId } from '../core/protocol/ids.ts';
import type { DtNode } from '../planner/blob.ts';
import { expectedByTree } from '../planner/expected.ts';
import { type Tree, TreeError } from '../planner/tree.ts';
import type { Path } from './faults.ts';

/** Name of the running machine's tree. */
export const LIVE = 'live';
const closed = { additionalProperties: false } as const;
const KEY = Type.String({ pattern: ID_PATTERN });

/** Schema of `tree`. */
export const TREE_SCHEMA = Type.Object(
  {
    file: Type.Optional(
      Type.String({
        default: LIVE,
        description:
          'a device tree blob, a copy of /proc/device-tree, or `live`: /proc/device-tree of this machine',
      }),
    ),
    nodes: Type.Record(
      KEY,
      Type.Record(
        KEY,
        Type.Array(Type.String({ description: 'path, alias or name of a node' }), { minItems: 1 }),
        {
          ...closed,
          description: 'device → the nodes that describe it; a device without an entry is not compared',
        },
      ),
      { ...closed, description: 'bundle → its devices in this VM’s tree' },
    ),
  },
  {
    ...closed,
    description:
      'this VM’s own device tree, against which it checks each grant; absent: against the bundle file',
  },
);
export type TreePart = Static<typeof TREE_SCHEMA>;

/** Results of an agent's own tree for its bundles. */
export interface OwnTree {
  readonly expected: ReadonlyMap<BundleId, readonly GrantedForm[]>;
  /** Faults that make the tree unusable, and their places below `tree`. */
  readonly faults: readonly { readonly path: Path; readonly message: string }[];
  /** Bundles to borrow whose grants will all be rejected, since the bundle file differs. */
  readonly differences: readonly { readonly path: Path; readonly message: string }[];
}

/** Returns the expected grants of `bundles` to `vm`, by its own tree. */
export function ownTree(part: TreePart, bundles: readonly BundleDefinition[], vm: VmId, tree: Tree): OwnTree {
  const expected = new Map<BundleId, readonly GrantedForm[]>();
  const faults: { path: Path; message: string }[] = [];
  const differences: { path: Path; message: string }[] = [];
  for (const [name, devices] of Object.entries(part.nodes)) {
    const path = ['nodes', name];
    const bundle = bundles.find(({ id }) => id === name);
    if (bundle === undefined) {
      faults.push({ path, message: `"${name}": no bundle of this name in the bundle file` });
      continue;
    }
    const nodes = new Map<string, readonly DtNode[]>();
    for (const [device, places] of Object.entries(devices)) {
      if (!bundle.devices.some(({ id }) => id === device))
        faults.push({ path: [...path, device], message: `"${device}": no device of ${name}` });
      const found = places.map((place) => tree.find(place));
      for (const [index, node] of found.entries())
        if (node === undefined)
          faults.push({
            path: [...path, device, index],
            message: `"${places[index]}": no such node, or several: expected a path of ${part.file ?? LIVE}`,
          });
      nodes.set(
        device,
        found.flatMap((node) => (node ? [node] : [])),
      );
    }
    if (faults.some((fault) => fault.path[1] === name)) continue;
    try {
      const forms = expectedByTree(bundle, vm, tree, nodes);
      expected.set(bundle.id, forms);
      const what = findResourceMismatch(forms, expectedByDefinition(bundle, vm));
      if (what === undefined) continue;
      const differs = `the bundle file is not what the tree says: ${what} by ${part.file ?? LIVE}`;
      // An owner that rejects its own bundle quarantines it.
      if (bundle.owner === vm) faults.push({ path, message: differs });
      else differences.push({ path, message: `each grant of ${bundle.id} will be rejected: ${differs}` });
    } catch (error) {
      if (!(error instanceof TreeError)) throw error;
      faults.push({ path, message: error.message });
    }
  }
  return { expected, faults, differences };
}
