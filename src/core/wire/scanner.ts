/**
 * Strict scanner: checks that bytes are CBOR in our profile, before anything is decoded. Pure.
 *
 * The profile is the core deterministic encoding of RFC 8949 section 4.2.1, narrowed: unsigned integers below 2^32,
 * byte strings, well-formed text, arrays, maps with rising unsigned keys, true and false. Safety does not depend on
 * how the decoder handles anything else. The scanner allocates nothing and never throws; its time is bounded by the
 * length of its input.
 */

import { DEPTH_MAX, FRAME_BYTES_MAX, ITEMS_MAX } from './limits.ts';
import { isUtf8 } from './utf8.ts';

/** Why bytes are not in the profile. */
export type ScanFault =
  /** More bytes than allowed. */
  | 'oversize'
  /** An item is longer than the remaining bytes, or missing. */
  | 'truncated'
  /** Bytes after the item. */
  | 'trailing'
  /** Nested too deeply. */
  | 'depth'
  /** Too many items. */
  | 'items'
  /** An indefinite length, or the break that ends one. */
  | 'indefinite'
  /** A head longer than needed, or reserved. */
  | 'head'
  /** An integer or a length above 2^32 - 1. */
  | 'range'
  /** A map key that is not an unsigned integer, or not above the previous key. */
  | 'key'
  /** Ill-formed UTF-8, or a leading byte order mark. */
  | 'utf8'
  /** A kind of item outside the profile: negative integer, tag, float, null, undefined, other simple values. */
  | 'type';

export interface ScanOptions {
  /** Most bytes; default FRAME_BYTES_MAX. */
  readonly bytesMax?: number;
  /** The tag that must enclose the item; absent: none. */
  readonly outerTag?: 17;
}

/** Returns `ok` if `bytes` are exactly one item of the profile, or why not. */
export function scan(bytes: Uint8Array, options: ScanOptions = {}): 'ok' | ScanFault {
  if (bytes.length > (options.bytesMax ?? FRAME_BYTES_MAX)) return 'oversize';
  const cursor = new Cursor(bytes);
  if (options.outerTag !== undefined) {
    const fault = cursor.head();
    if (fault !== 'ok') return fault;
    if (cursor.major !== MAJOR_TAG || cursor.argument !== options.outerTag) return 'type';
  }
  const fault = cursor.item(0);
  if (fault !== 'ok') return fault;
  return cursor.at === bytes.length ? 'ok' : 'trailing';
}

/** A position in the bytes, and the last head. */
class Cursor {
  at = 0;
  major = 0;
  argument = 0;
  private items = 0;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Reads one item. `depth` is the number of enclosing containers; it bounds the recursion. */
  item(depth: number): 'ok' | ScanFault {
    if (++this.items > ITEMS_MAX) return 'items';
    const fault = this.head();
    if (fault !== 'ok') return fault;
    switch (this.major) {
      case MAJOR_UINT:
        return 'ok';
      case MAJOR_BYTES:
        return this.skip(this.argument);
      case MAJOR_TEXT: {
        const start = this.at;
        const skipped = this.skip(this.argument);
        if (skipped !== 'ok') return skipped;
        return isUtf8(this.bytes, start, this.at) ? 'ok' : 'utf8';
      }
      case MAJOR_ARRAY:
        return depth === DEPTH_MAX ? 'depth' : this.array(this.argument, depth + 1);
      case MAJOR_MAP:
        return depth === DEPTH_MAX ? 'depth' : this.map(this.argument, depth + 1);
      case MAJOR_SIMPLE:
        return this.argument === SIMPLE_FALSE || this.argument === SIMPLE_TRUE ? 'ok' : 'type';
      default:
        return 'type';
    }
  }

  /** Reads the head of an item (RFC 8949 section 3): its major type and its argument in shortest form. */
  head(): 'ok' | ScanFault {
    const { bytes } = this;
    if (this.at >= bytes.length) return 'truncated';
    const initial = bytes[this.at++]!;
    const info = initial & 0x1f;
    this.major = initial >> 5;
    this.argument = info;
    if (info < ARGUMENT_8) return 'ok';
    if (info === INDEFINITE) return 'indefinite';
    // Major 7 with a longer head is a float, or a simple value outside the profile.
    if (this.major === MAJOR_SIMPLE) return 'type';
    if (info > ARGUMENT_64) return 'head';
    const length = 1 << (info - ARGUMENT_8);
    if (this.at + length > bytes.length) return 'truncated';
    let argument = 0;
    for (let index = 0; index < length; index++) argument = argument * 256 + bytes[this.at + index]!;
    this.at += length;
    this.argument = argument;
    if (info === ARGUMENT_64) return argument > 0xffff_ffff ? 'range' : 'head';
    return argument < SHORTER[info - ARGUMENT_8]! ? 'head' : 'ok';
  }

  private skip(length: number): 'ok' | ScanFault {
    if (length > this.bytes.length - this.at) return 'truncated';
    this.at += length;
    return 'ok';
  }

  private array(length: number, depth: number): 'ok' | ScanFault {
    // Each item needs a byte: a short message that announces a huge array is refused at its head.
    if (length > this.bytes.length - this.at) return 'truncated';
    for (let index = 0; index < length; index++) {
      const fault = this.item(depth);
      if (fault !== 'ok') return fault;
    }
    return 'ok';
  }

  private map(length: number, depth: number): 'ok' | ScanFault {
    if (length * 2 > this.bytes.length - this.at) return 'truncated';
    let previous = -1;
    for (let index = 0; index < length; index++) {
      if (++this.items > ITEMS_MAX) return 'items';
      const keyFault = this.head();
      if (keyFault !== 'ok') return keyFault;
      if (this.major !== MAJOR_UINT || this.argument <= previous) return 'key';
      previous = this.argument;
      const fault = this.item(depth);
      if (fault !== 'ok') return fault;
    }
    return 'ok';
  }
}

/** Major types (RFC 8949 section 3.1). */
const MAJOR_UINT = 0;
const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_ARRAY = 4;
const MAJOR_MAP = 5;
const MAJOR_TAG = 6;
const MAJOR_SIMPLE = 7;
/** Additional information of an argument of 1 and of 8 bytes; between them 2 and 4. */
const ARGUMENT_8 = 24;
const ARGUMENT_64 = 27;
const INDEFINITE = 31;
/** Smallest argument that needs 1, 2 and 4 bytes. */
const SHORTER = [24, 0x100, 0x1_0000] as const;
const SIMPLE_FALSE = 20;
const SIMPLE_TRUE = 21;
