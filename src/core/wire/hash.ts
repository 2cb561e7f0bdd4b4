/**
 * SHA-256, HMAC-SHA-256 and HKDF, by @noble/hashes. Pure.
 *
 * Only this file uses the library. A target whose engine is slow at it replaces the file by one with the same
 * functions in native code (targets/quickjs/hash.ts). Both are tested with the same vectors.
 */

import { expand, extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as digest } from '@noble/hashes/sha2.js';

/** HMAC-SHA-256 after its key and a common beginning of many texts. */
export interface BegunMac {
  /** Writes the tag of the text that continues with `rest` into `tag`, 32 bytes. */
  finish(rest: Uint8Array, tag: Uint8Array): void;
}

/** Returns the 32 bytes of SHA-256 over `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return digest(bytes);
}

/** Begins HMAC-SHA-256 under `key` over a text that starts with `head`. */
export function beginMac(key: Uint8Array, head: Uint8Array): BegunMac {
  const absorbed = hmac.create(digest, key) as unknown as HmacState;
  absorbed.update(head);
  // Reused for every text: cloning into an existing object is faster than constructing one.
  const scratch = absorbed.clone();
  return {
    finish: (rest, tag) => {
      absorbed._cloneInto(scratch);
      scratch.update(rest);
      scratch.digestInto(tag);
    },
  };
}

/** HKDF-Extract of RFC 5869 with SHA-256. */
export function hkdfExtract(salt: Uint8Array, keyMaterial: Uint8Array): Uint8Array {
  return extract(digest, keyMaterial, salt);
}

/** HKDF-Expand of RFC 5869 with SHA-256, to at most 255 times 32 bytes. */
export function hkdfExpand(key: Uint8Array, info: Uint8Array, bytes: number): Uint8Array {
  return expand(digest, key, info, bytes);
}

/** The used part of the library's HMAC object. */
interface HmacState {
  update(bytes: Uint8Array): unknown;
  digestInto(tag: Uint8Array): void;
  clone(): HmacState;
  _cloneInto(to: HmacState): unknown;
}
