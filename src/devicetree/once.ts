/**
 * What several devices of one bundle have, each once: a page, a line or a stream that two of them share is the first
 * one's. A bundle is made so, and a VM's own tree has to be read in the same way. Pure.
 */

import type { Access } from './access.ts';
import type { DtNode } from './blob.ts';
import type { GicLine } from './interrupts.ts';
import { type Range, without } from './ranges.ts';

/** Most stream IDs that one masked entry may stand for in a bundle. */
export const IDS_PER_MASK_MAX = 16;

/** A stream with one ID. */
export interface SingleStream {
  readonly iommu: DtNode;
  readonly id: number;
}

/** What gives access, as a bundle has it. */
export interface Things {
  readonly pages: readonly Range[];
  /** SPIs; other lines cannot move. */
  readonly lines: readonly GicLine[];
  readonly streams: readonly SingleStream[];
}

/** What one device has, whose nodes have `access`. */
export function thingsOf(access: readonly Access[]): Things {
  return {
    pages: access.flatMap(({ pages }) => pages),
    lines: access.flatMap(({ lines }) => lines).flatMap(({ gic }) => (gic?.kind === 'spi' ? [gic] : [])),
    streams: access
      .flatMap(({ streams }) => streams)
      .flatMap(({ iommu, id, mask }) => idsOf(id, mask).map((each) => ({ iommu, id: each }))),
  };
}

/** Returns for each device, in order, what none before it has. */
export function eachOnce(devices: readonly Things[]): readonly Things[] {
  const taken: Range[] = [];
  const numbers = new Set<number>();
  const ids = new Set<string>();
  const isNew = <T>(known: Set<T>, key: T) => !known.has(key) && known.add(key) !== undefined;
  return devices.map(({ pages, lines, streams }) => ({
    pages: pages.flatMap((page) => {
      const left = without(page, taken);
      taken.push(...left);
      return left;
    }),
    lines: lines.filter(({ number }) => isNew(numbers, number)),
    streams: streams.filter(({ iommu, id }) => isNew(ids, `${iommu.path} ${id}`)),
  }));
}

/**
 * The IDs that agree with `id` where `mask` has 0, rising; of more than 16 only that they are more is to be relied
 * on.
 */
export function idsOf(id: number, mask: number): readonly number[] {
  let ids = [(id & ~mask) >>> 0];
  for (let bit = 1; bit !== 0; bit = (bit << 1) >>> 0) {
    if ((mask & bit) === 0) continue;
    ids = ids.flatMap((each) => [each, (each | bit) >>> 0]);
    if (ids.length > IDS_PER_MASK_MAX) break;
  }
  return ids.sort((a, b) => a - b);
}
