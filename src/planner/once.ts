/**
 * What several devices of one bundle have, each once: a page, a line or a stream that two of them share is the first
 * one's. A bundle is made so, and a VM's own tree has to be read in the same way. Pure.
 */

import { streamIdsOf } from '../core/protocol/bundle.ts';
import { type Access, sameStream } from './access.ts';
import type { GicLine } from './interrupts.ts';
import { type Range, without } from './ranges.ts';
import type { Stream } from './streams.ts';

/** What gives access, as a bundle has it. */
export interface Things {
  readonly pages: readonly Range[];
  /** SPIs; other lines cannot move. */
  readonly lines: readonly GicLine[];
  readonly streams: readonly Stream[];
}

/** What one device has, whose nodes have `access`. */
export function thingsOf(access: readonly Access[]): Things {
  return {
    pages: access.flatMap(({ pages }) => pages),
    lines: access.flatMap(({ lines }) => lines).flatMap(({ gic }) => (gic?.kind === 'spi' ? [gic] : [])),
    streams: access
      .flatMap(({ streams }) => streams)
      .map(({ iommu, id, mask }) => ({ iommu, id: (id & ~mask) >>> 0, mask })),
  };
}

/** Returns for each device, in order, what none before it has. */
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

/** What is left of a stream without others: itself, or those of its IDs that none of them has. */
function withoutStreams(stream: Stream, others: readonly Stream[]): readonly Stream[] {
  const met = others.filter((other) => sameStream(stream, other));
  if (met.length === 0) return [stream];
  return streamIdsOf({ physical: stream.id, mask: stream.mask })
    .map((id) => ({ iommu: stream.iommu, id, mask: 0 }))
    .filter((single) => !met.some((other) => sameStream(single, other)));
}
