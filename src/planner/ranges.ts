/** Set operations on ranges of addresses: overlap, difference, and union. Pure. */

/** A range of addresses, in bytes. */
export interface Range {
  readonly address: bigint;
  readonly bytes: bigint;
}

export function overlap(a: Range, b: Range): boolean {
  return a.address < b.address + b.bytes && b.address < a.address + a.bytes;
}

/** Whether `b` is within `a`. */
export function covers(a: Range, b: Range): boolean {
  return a.address <= b.address && b.address + b.bytes <= a.address + a.bytes;
}

/** Returns a range without others, in rising order. */
export function without(range: Range, others: readonly Range[]): readonly Range[] {
  return others.reduce<readonly Range[]>(
    (left, other) => left.flatMap((each) => (overlap(each, other) ? outsideOf(each, other) : [each])),
    [range],
  );
}

function outsideOf(range: Range, other: Range): readonly Range[] {
  const end = range.address + range.bytes;
  const otherEnd = other.address + other.bytes;
  const below = { address: range.address, bytes: other.address - range.address };
  const above = { address: otherEnd, bytes: end - otherEnd };
  return [below, above].filter(({ bytes }) => bytes > 0n);
}

/**
 * Returns the same addresses as ranges in rising order that neither overlap nor touch, except where split at `cuts`.
 */
export function merged(ranges: readonly Range[], cuts: readonly bigint[] = []): readonly Range[] {
  const found: Range[] = [];
  for (const range of [...ranges].sort((a, b) => (a.address < b.address ? -1 : 1))) {
    const last = found.at(-1);
    if (last === undefined || last.address + last.bytes < range.address) found.push(range);
    else {
      const end = range.address + range.bytes - last.address;
      found[found.length - 1] = { address: last.address, bytes: end > last.bytes ? end : last.bytes };
    }
  }
  return cuts.reduce<readonly Range[]>((pieces, cut) => pieces.flatMap((each) => cutAt(each, cut)), found);
}

function cutAt(range: Range, cut: bigint): readonly Range[] {
  const below = cut - range.address;
  if (below <= 0n || below >= range.bytes) return [range];
  return [
    { address: range.address, bytes: below },
    { address: cut, bytes: range.bytes - below },
  ];
}
