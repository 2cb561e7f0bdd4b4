/** `node:crypto`: SHA-256 of a text, and random bytes from a seeded generator. */

import { checked } from '../errors.ts';
import { NATIVE } from '../native.ts';
import { Buffer } from './buffer.ts';

export function randomBytes(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  checked(NATIVE.random(bytes.buffer, 0, size), 'getrandom');
  return bytes;
}

export function createHash(_algorithm: 'sha256') {
  return {
    update: (text: string) => {
      const bytes = NATIVE.bytesOf(text);
      return {
        digest: (encoding: 'hex') =>
          Buffer.from(NATIVE.sha256(bytes, 0, bytes.byteLength)).toString(encoding),
      };
    },
  };
}
