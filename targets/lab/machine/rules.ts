/**
 * What a stage-2 descriptor must say about the page that it maps, decoded here and not by the emitter's own code.
 *
 * Pure. Layout: Arm VMSAv8-64 stage 2 (DDI 0487, D8.3): MemAttr 5:2, S2AP 7:6, AF 10, XN 54:53.
 */

/** What may lie behind a descriptor: a device's registers, or RAM. */
export type PageUse = 'device' | 'memory';

/** A descriptor is two 32-bit halves. Bits 1:0: 3 is a table (levels 1 and 2) or a page (level 3), 1 a block. */
export type LeafKind = 'none' | 'next' | 'block';

/** Returns what bits 1:0 of a descriptor of `level` make of it. */
export function leafKind(low: number, level: number): LeafKind {
  if ((low & 3) === 3) return 'next';
  return (low & 3) === 1 && level < 3 ? 'block' : 'none';
}

/**
 * Returns what is wrong with the attributes of a page descriptor, or undefined. Registers are device memory that
 * nobody executes from: as normal memory their accesses would be merged, repeated, reordered and cached.
 */
export function attributeFault(low: number, high: number, use: PageUse): string | undefined {
  const memory = (low >>> 2) & 0xf;
  const isDevice = (memory & 0xc) === 0;
  const execute = (high >>> 21) & 3;
  if (use === 'device' && !isDevice) return `registers as normal memory (MemAttr ${memory})`;
  if (use === 'device' && execute !== 2) return `registers executable (XN ${execute})`;
  if (use === 'memory' && isDevice) return `RAM as device memory (MemAttr ${memory})`;
  if (use === 'memory' && memory !== 0xf) return `RAM not write-back (MemAttr ${memory})`;
  if (use === 'memory' && ((low >>> 8) & 3) !== 3) return 'RAM not inner shareable';
  if (((low >>> 6) & 3) !== 3) return `not for reading and writing (S2AP ${(low >>> 6) & 3})`;
  if ((low & (1 << 10)) === 0) return 'access flag clear: every access faults';
  return undefined;
}
