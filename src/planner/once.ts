/**
 * The resources of several devices of one bundle, each once: a page, line or stream that two of them share is assigned
 * to the first. Used both to make a bundle and to read a VM's own tree. Pure.
 */

import { streamIdsOf } from '../core/protocol/bundle.ts';
import { type Access, sameStream } from './access.ts';
import type { GicLine } from './interrupts.ts';
import { type Range, without } from './ranges.ts';
import type { Stream } from './streams.ts';

/** Access in the form of a bundle. */
export interface Things {
  readonly pages: readonly Range[];
  /** SPIs; other lines cannot move. */
  readonly lines: readonly GicLine[];
  readonly streams: readonly Stream[];
}

/** Returns the resources of one device, whose nodes have `access`. */
export function thingsOf(access: readonly Access[]): Things {
  return {
    pages: access.flatMap(({ pages }) => pages),
    lines: access.flatMap(({ lines }) => lines).flatMap(({ gic }) => (gic?.kind === 'spi' ? [gic] : [])),
    streams: access
      .flatMap(({ streams }) => streams)
      .map(({ iommu, id, mask }) => ({ iommu, id: (id & ~mask) >>> 0, mask })),
  };
}

/** Returns for each device, in order, the resources that no earlier one has. */
export function eachOnce(devices: readonly Things[]): readonly Things[] {
  const taken: Range[] = [];
  const numbers = new Set<number>();
  const had: Stream[] = [];
  const isNew = <T>(known: Set<T>, key: T) => !known.has(key) && known.add(key) !== undefined;
  return devices.map(({ pages, lines, streams }) => ({
    pages: pages.flatMap((page) => {
      const left = without(page, taken);
      taken.push(...left);
      return left;
    }),
    lines: lines.filter(({ number }) => isNew(numbers, number)),
    streams: streams.flatMap((stream) => {
      const left = withoutStreams(stream, had);
      had.push(...left);
      return left;
    }),
  }));
}

/** Returns the rest of a stream without others: itself, or its IDs that none of them has. */
function withoutStreams(stream: Stream, others: readonly Stream[]): readonly Stream[] {
  const met = others.filter((other) => sameStream(stream, other));
  if (met.length === 0) return [stream];
  return streamIdsOf({ physical: stream.id, mask: stream.mask })
    .map((id) => ({ iommu: stream.iommu, id, mask: 0 }))
    .filter((single) => !met.some((other) => sameStream(single, other)));
}
