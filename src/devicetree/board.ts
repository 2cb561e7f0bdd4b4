/** A device tree with what every enabled node of it has, read once: planning asks for it again and again. Pure. */

import { type Access, accessOf } from './access.ts';
import type { DtNode } from './blob.ts';
import { type Need, needsOf } from './links.ts';
import { isEnabled, type Tree, TreeError } from './tree.ts';

const NO_ACCESS: Access = { pages: [], lines: [], streams: [] };
const NO_NEEDS: readonly Need[] = [];

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
      this.#read(node, () => this.#access.set(node, accessOf(tree, node)));
      this.#read(node, () => this.#needs.set(node, needsOf(tree, node)));
    }
  }

  /** One part of what a node says; that it cannot be read is no reason not to read another. */
  #read(node: DtNode, part: () => void): void {
    try {
      part();
    } catch (error) {
      if (!(error instanceof TreeError)) throw error;
      if (!this.unreadable.has(node)) this.unreadable.set(node, error.message);
    }
  }

  access(node: DtNode): Access {
    return this.#access.get(node) ?? NO_ACCESS;
  }

  needs(node: DtNode): readonly Need[] {
    return this.#needs.get(node) ?? NO_NEEDS;
  }
}
