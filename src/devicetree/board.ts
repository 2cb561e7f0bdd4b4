/** A device tree with what every enabled node of it has, read once: planning asks for it again and again. Pure. */

import { type Access, accessOf } from './access.ts';
import type { DtNode } from './blob.ts';
import { type Need, needsOf } from './links.ts';
import { isEnabled, type Tree } from './tree.ts';

/** What all enabled nodes of a tree have, read once. */
export class Board {
  readonly tree: Tree;
  readonly #access = new Map<DtNode, Access>();
  readonly #needs = new Map<DtNode, readonly Need[]>();
  /** Nodes that say something wrong, with what. */
  readonly unreadable = new Map<DtNode, string>();
  readonly enabled: readonly DtNode[];

  constructor(tree: Tree) {
    this.tree = tree;
    this.enabled = [...tree.nodes()].filter(isEnabled);
    for (const node of this.enabled) {
      try {
        this.#access.set(node, accessOf(tree, node));
        this.#needs.set(node, needsOf(tree, node));
      } catch (error) {
        this.unreadable.set(node, (error as Error).message);
      }
    }
  }

  access(node: DtNode): Access {
    return this.#access.get(node) ?? { pages: [], lines: [], streams: [] };
  }

  needs(node: DtNode): readonly Need[] {
    return this.#needs.get(node) ?? [];
  }
}
