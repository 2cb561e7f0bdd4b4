/**
 * SHA-256, HMAC-SHA-256 and HKDF through the native core. Replaces src/core/wire/hash.ts, which takes 60 times as long
 * in this engine.
 */

import type { BegunMac } from '../../src/core/wire/hash.ts';
import { NATIVE } from './native.ts';

/** Bytes of a hash, a tag, and a block of HKDF output. */
const HASH_BYTES = 32;
const NOTHING = new Uint8Array(0);

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(NATIVE.sha256(bytes.buffer, bytes.byteOffset, bytes.length));
}

export function beginMac(key: Uint8Array, head: Uint8Array): BegunMac {
  const state = NATIVE.hmacBegin(key.buffer, key.byteOffset, key.length);
  NATIVE.hmacAdd(state, head.buffer, head.byteOffset, head.length);
  return {
    finish: (rest, tag) =>
      NATIVE.hmacEnd(
        state,
        rest.buffer,
        rest.byteOffset,
        rest.length,
        tag.buffer,
        tag.byteOffset,
        tag.length,
      ),
  };
}

export function hkdfExtract(salt: Uint8Array, keyMaterial: Uint8Array): Uint8Array {
  const key = new Uint8Array(HASH_BYTES);
  beginMac(salt, keyMaterial).finish(NOTHING, key);
  return key;
}

export function hkdfExpand(key: Uint8Array, info: Uint8Array, bytes: number): Uint8Array {
  const yielded = new Uint8Array(Math.ceil(bytes / HASH_BYTES) * HASH_BYTES);
  const counted = new Uint8Array(info.length + 1);
  counted.set(info);
  for (let part = 0; part * HASH_BYTES < bytes; part++) {
    counted[info.length] = part + 1;
    const last = part === 0 ? NOTHING : yielded.subarray((part - 1) * HASH_BYTES, part * HASH_BYTES);
    beginMac(key, last).finish(counted, yielded.subarray(part * HASH_BYTES, (part + 1) * HASH_BYTES));
  }
  return yielded.slice(0, bytes);
}
