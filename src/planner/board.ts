/**
 * A device tree with the access and the needs of every node in use, and who shares them. Read once, since planning asks
 * often. Pure.
 */

import { type Access, accessAsRead, type DeviceStream, GRANULE, hasRegisters } from './access.ts';
import type { DtNode } from './blob.ts';
import { isGic } from './interrupts.ts';
import { type Need, needsOf, type Role } from './links.ts';
import { consoleOf } from './machine.ts';
import { covers, overlap, type Range } from './ranges.ts';
import { isIommu, masterComplaint } from './streams.ts';
import { isEnabled, isInUse, isWithin, type Tree, type TreeError } from './tree.ts';

const NO_ACCESS: Access = { pages: [], lines: [], streams: [] };
const NO_NEEDS: readonly Need[] = [];
const NOBODY: readonly DtNode[] = [];

/** An unreadable part of a node: which part, and the fault. */
export interface Wrong {
  readonly part: 'registers' | 'interrupts' | 'streams' | Role;
  readonly message: string;
}

/** A device with its access and its needs. */
export interface Mover {
  readonly node: DtNode;
  readonly access: Access;
  readonly needs: readonly Need[];
}

/** A node that needs something, and the role. */
export interface Consumer {
  readonly node: DtNode;
  readonly role: Role | 'interrupt';
}

/** The access and needs of all nodes in use, read once. */
export class Board {
  readonly tree: Tree;
  /** Nodes with unreadable parts. */
  readonly unreadable = new Map<DtNode, readonly Wrong[]>();
  readonly enabled: readonly DtNode[];
  /** The same, and the nodes that are reserved for others. */
  readonly inUse: readonly DtNode[];
  /** Whether it has a GIC that Baton supports. */
  readonly hasGic: boolean;
  /** The console of the machine (stdout-path). */
  readonly console: DtNode | undefined;
  readonly #access = new Map<DtNode, Access>();
  readonly #needs = new Map<DtNode, readonly Need[]>();
  readonly #byLine = new Map<number, DtNode[]>();
  readonly #byController = new Map<DtNode, DtNode[]>();
  readonly #byIommu = new Map<DtNode, DtNode[]>();
  readonly #byNeed = new Map<string, DtNode[]>();
  readonly #consumers = new Map<DtNode, Consumer[]>();
  readonly #pages: { readonly page: Range; readonly node: DtNode; readonly end: bigint }[] = [];
  #idle: Board['idle'] | undefined;
  #unused: Map<bigint, Mover[]> | undefined;
  readonly #remembered = new Map<string, Map<DtNode, unknown>>();

  constructor(tree: Tree) {
    this.tree = tree;
    this.enabled = tree.nodes().filter(isEnabled);
    this.inUse = tree.nodes().filter(isInUse);
    this.hasGic = this.enabled.some(isGic);
    this.console = consoleOf(tree);
    for (const node of this.inUse) {
      // An unreadable part does not prevent the reading of another.
      const wrong = ({ message }: TreeError, part: Wrong['part']) => {
        const known = this.unreadable.get(node) ?? [];
        // A property that is read both for its streams and as a reference is reported once.
        if (!known.some((each) => each.message === message))
          this.unreadable.set(node, [...known, { part, message }]);
      };
      this.#access.set(node, accessAsRead(tree, node, wrong));
      this.#needs.set(node, needsOf(tree, node, wrong));
      const complaint = isIommu(node) ? masterComplaint(tree, node) : undefined;
      if (complaint) wrong(complaint, 'streams');
      this.#note(node);
    }
    this.#sortPages();
  }

  access(node: DtNode): Access {
    return this.#access.get(node) ?? NO_ACCESS;
  }

  needs(node: DtNode): readonly Need[] {
    return this.#needs.get(node) ?? NO_NEEDS;
  }

  /** Nodes in use that have some of these pages. */
  onPage(page: Range): readonly DtNode[] {
    const end = page.address + page.bytes;
    // Index of the first range that begins behind it.
    let [low, high] = [0, this.#pages.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pages[middle]!.page.address < end) low = middle + 1;
      else high = middle;
    }
    const found = new Set<DtNode>();
    for (let at = low - 1; at >= 0 && this.#pages[at]!.end > page.address; at--)
      if (overlap(page, this.#pages[at]!.page)) found.add(this.#pages[at]!.node);
    return [...found].reverse();
  }

  /** Nodes in use that have a line of this INTID. */
  onLine(number: number): readonly DtNode[] {
    return this.#byLine.get(number) ?? NOBODY;
  }

  /** Nodes in use with a line that ends at a controller, or passes through it. */
  onController(controller: DtNode): readonly DtNode[] {
    return this.#byController.get(controller) ?? NOBODY;
  }

  /** Nodes in use with a stream at an IOMMU. */
  onIommu(iommu: DtNode): readonly DtNode[] {
    return this.#byIommu.get(iommu) ?? NOBODY;
  }

  /** Nodes in use with the same need: the same target and arguments in the same role. */
  onNeed(need: Need): readonly DtNode[] {
    return this.#byNeed.get(keyOf(need)) ?? NOBODY;
  }

  /** Nodes that refer to a node. */
  consumersOf(node: DtNode): readonly Consumer[] {
    return this.#consumers.get(node) ?? [];
  }

  /** Cached results of functions of this board and a node, by name of the function; kept as long as the board. */
  remembered<T>(name: string, node: DtNode, get: () => T): T {
    const known = this.#remembered.get(name) ?? new Map<DtNode, unknown>();
    this.#remembered.set(name, known);
    if (!known.has(node)) known.set(node, get());
    return known.get(node) as T;
  }

  /** Unused devices with registers on a page, with the access that they would have. Read on demand. */
  unusedOn(page: Range): readonly Mover[] {
    this.#unused ??= this.#readUnused();
    const found = new Set<Mover>();
    for (const number of pageNumbers(page))
      for (const each of this.#unused.get(number) ?? []) found.add(each);
    return [...found];
  }

  #readUnused(): Map<bigint, Mover[]> {
    const byPage = new Map<bigint, Mover[]>();
    for (const node of this.tree.nodes()) {
      if (isInUse(node) || !hasRegisters(node)) continue;
      const mover = { node, access: accessAsRead(this.tree, node, () => undefined), needs: NO_NEEDS };
      for (const page of mover.access.pages)
        for (const number of pageNumbers(page)) append(byPage, number, mover);
    }
    return byPage;
  }

  /** Unused devices, and the streams that they would have by themselves. Read on demand. */
  get idle(): readonly { readonly node: DtNode; readonly streams: readonly DeviceStream[] }[] {
    this.#idle ??= this.tree
      .nodes()
      .filter((node) => !isInUse(node) && hasRegisters(node))
      .map((node) => {
        const { streams } = accessAsRead(this.tree, node, () => undefined);
        return { node, streams: streams.filter(({ declaredBy }) => isWithin(node, declaredBy)) };
      })
      .filter(({ streams }) => streams.length > 0);
    return this.#idle;
  }

  /** Builds the indices of who has what. */
  #note(node: DtNode): void {
    const { pages, lines, streams } = this.access(node);
    for (const page of pages) this.#pages.push({ page, node, end: 0n });
    for (const { gic, interrupt } of lines) {
      if (gic) append(this.#byLine, gic.number, node);
      for (const at of [interrupt.controller, ...interrupt.through]) append(this.#byController, at, node);
      append(this.#consumers, interrupt.controller, { node, role: 'interrupt' });
    }
    for (const { iommu } of streams) append(this.#byIommu, iommu, node);
    for (const need of this.needs(node)) {
      append(this.#byNeed, keyOf(need), node);
      if (need.target) append(this.#consumers, need.target, { node, role: need.role });
    }
  }

  /** In rising order, each with the highest end of all ranges up to it, which tells a search where to stop. */
  #sortPages(): void {
    this.#pages.sort((a, b) =>
      a.page.address < b.page.address
        ? -1
        : a.page.address > b.page.address
          ? 1
          : covers(a.page, b.page)
            ? -1
            : 1,
    );
    let end = 0n;
    this.#pages.forEach((entry, index) => {
      const own = entry.page.address + entry.page.bytes;
      if (own > end) end = own;
      this.#pages[index] = { ...entry, end };
    });
  }
}

/** Numbers of the pages of a range; of a long one only the first: a device in the middle of a window is its part. */
function pageNumbers({ address, bytes }: Range): readonly bigint[] {
  const count = Number(bytes / GRANULE);
  return Array.from({ length: Math.min(count, PAGES_LOOKED_AT) }, (_, i) => address / GRANULE + BigInt(i));
}

/** Most pages of one range that are checked for unused devices: a device has up to about sixteen. */
const PAGES_LOOKED_AT = 64;

function keyOf({ role, target, phandle, cells }: Need): string {
  return `${role} ${target?.path ?? phandle} ${cells.join()}`;
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else if (known.at(-1) !== value) known.push(value);
}
