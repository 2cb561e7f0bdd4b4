/**
 * `node:buffer`: bytes with conversions to text. Not a global, since libraries that find a global Buffer expect all of
 * it.
 */

import { NATIVE } from '../native.ts';

class Bytes extends Uint8Array {
  override toString(encoding: 'utf8' | 'hex' = 'utf8', start = 0, end = this.length): string {
    if (encoding === 'utf8') return NATIVE.textOf(this.buffer, this.byteOffset + start, end - start);
    return Array.from(this.subarray(start, end), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

function from(what: string | ArrayBuffer, encoding: 'utf8' | 'hex' = 'utf8'): Bytes {
  if (typeof what !== 'string') return new Bytes(what);
  if (encoding === 'utf8') return new Bytes(NATIVE.bytesOf(what));
  const pairs = what.match(/[0-9a-f]{2}/gi) ?? [];
  return bytesOf(pairs.map((pair) => Number.parseInt(pair, 16)));
}

function bytesOf(values: ArrayLike<number>): Bytes {
  const bytes = new Bytes(values.length);
  bytes.set(values);
  return bytes;
}

export const Buffer = {
  from,
  alloc: (size: number): Bytes => new Bytes(size),
  byteLength: (text: string): number => NATIVE.bytesOf(text).byteLength,
  concat: (parts: readonly Uint8Array[]): Bytes => {
    const whole = new Bytes(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  },
};
export type Buffer = Bytes;
