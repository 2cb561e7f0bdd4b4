/** A device tree with what every node that is in use has, read once: planning asks for it again and again. Pure. */

import { type Access, accessAsRead, type DeviceStream, hasRegisters } from './access.ts';
import type { DtNode } from './blob.ts';
import { type Need, needsOf } from './links.ts';
import { isEnabled, isInUse, isWithin, type Tree, TreeError } from './tree.ts';

const NO_ACCESS: Access = { pages: [], lines: [], streams: [] };
const NO_NEEDS: readonly Need[] = [];

/** What all nodes of a tree that are in use have, read once. */
export class Board {
  readonly tree: Tree;
  readonly #access = new Map<DtNode, Access>();
  #idle: Board['idle'] | undefined;
  readonly #needs = new Map<DtNode, readonly Need[]>();
  /** Nodes that say something wrong, with what. */
  readonly unreadable = new Map<DtNode, string>();
  readonly enabled: readonly DtNode[];
  /** The same, and those that are reserved for others. */
  readonly inUse: readonly DtNode[];

  constructor(tree: Tree) {
    this.tree = tree;
    this.enabled = [...tree.nodes()].filter(isEnabled);
    this.inUse = [...tree.nodes()].filter(isInUse);
    for (const node of this.inUse) {
      // That one part cannot be read is no reason not to read another.
      const wrong = ({ message }: TreeError) => {
        if (!this.unreadable.has(node)) this.unreadable.set(node, message);
      };
      this.#access.set(node, accessAsRead(tree, node, wrong));
      this.#readNeeds(node, wrong);
    }
  }

  #readNeeds(node: DtNode, wrong: (error: TreeError) => void): void {
    try {
      this.#needs.set(node, needsOf(this.tree, node));
    } catch (error) {
      if (!(error instanceof TreeError)) throw error;
      wrong(error);
    }
  }

  /** Devices that are not in use, and the streams that they would have by themselves. Read when somebody asks. */
  get idle(): readonly { readonly node: DtNode; readonly streams: readonly DeviceStream[] }[] {
    this.#idle ??= [...this.tree.nodes()]
      .filter((node) => !isInUse(node) && hasRegisters(node))
      .map((node) => {
        const { streams } = accessAsRead(this.tree, node, () => undefined);
        return { node, streams: streams.filter(({ declaredBy }) => isWithin(node, declaredBy)) };
      })
      .filter(({ streams }) => streams.length > 0);
    return this.#idle;
  }

  access(node: DtNode): Access {
    return this.#access.get(node) ?? NO_ACCESS;
  }

  needs(node: DtNode): readonly Need[] {
    return this.#needs.get(node) ?? NO_NEEDS;
  }
}
