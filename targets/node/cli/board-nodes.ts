/** Nodes of a board as a person names them, for commands that plan a bundle. */

import { UsageError } from '../../../src/cli/world.ts';
import { isId } from '../../../src/core/protocol/ids.ts';
import type { DtNode } from '../../../src/planner/blob.ts';
import type { Tree } from '../../../src/planner/tree.ts';

/** Most nodes that an error lists. */
const CANDIDATES_SHOWN = 5;

/** Returns the node of each name: a path, an alias, or a name of one node alone. Throws a UsageError. */
export function nodesOf(tree: Tree, names: readonly string[]): readonly DtNode[] {
  return names.map((name) => {
    const node = tree.find(name);
    if (!node) throw new UsageError(notOne(tree, name));
    return node;
  });
}

/** Returns why a name does not identify one node, with similar nodes: those with the same last name first. */
function notOne(tree: Tree, name: string): string {
  const last = name.split('/').at(-1)!;
  const word = last.split('@')[0]!;
  const nodes = [...tree.nodes()];
  const same = nodes.filter((node) => node.name === last);
  const alike = nodes.filter((node) => word !== '' && node.name !== last && node.name.includes(word));
  // A longer common prefix is likelier.
  const shared = (other: string) => [...other].findIndex((letter, index) => letter !== last[index]) >>> 0;
  const near = [...same, ...alike.sort((a, b) => shared(b.name) - shared(a.name))];
  const isAmbiguous = same.length > 1 && !name.includes('/');
  const what = isAmbiguous ? `more than one node is called ${name}` : `no node is called ${name}`;
  if (near.length === 0) return `${what}; --list shows the devices`;
  const paths = near.slice(0, CANDIDATES_SHOWN).map(({ path }) => path);
  const more = near.length > paths.length ? `, or ${near.length - paths.length} more` : '';
  return `${what}; did you mean ${paths.join(', ')}${more}?`;
}

/** Returns a node's name as a valid name of a bundle; `bundle` if it makes none. */
export function plainName(node: DtNode): string {
  const name = node.name
    .split('@')[0]!
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, '-')
    .slice(0, 32);
  return isId(name) ? name : 'bundle';
}
