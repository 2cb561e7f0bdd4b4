/**
 * Makes the wire vectors of test/vectors on the engine of an agent, and what the vectors of HMAC and HKDF come to by
 * its hashes. Prints one JSON object. Argument: the folder of the vectors.
 */

import '../../targets/quickjs/globals.ts';
import { beginMac, hkdfExpand, hkdfExtract, sha256 } from '../../src/core/wire/hash.ts';
import { readFileSync } from '../../targets/quickjs/node/fs.ts';
import { PROCESS } from '../../targets/quickjs/node/process.ts';
import { hex, unhex } from '../core/wire/samples.ts';
import { renderVectors } from '../core/wire/vectors.ts';

const folder = PROCESS.argv[2] ?? '';
const cases = (name: string): Record<string, string>[] =>
  JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')).cases;

function hmac(key: Uint8Array, text: Uint8Array, split: number): string {
  const tag = new Uint8Array(32);
  beginMac(key, text.subarray(0, split)).finish(text.subarray(split), tag);
  return hex(tag);
}

PROCESS.stdout.write(
  JSON.stringify({
    vectors: renderVectors(),
    hmac: cases('rfc4231.json').map(({ key, data }) =>
      [0, 1, unhex(data!).length].map((split) => hmac(unhex(key!), unhex(data!), split)),
    ),
    hkdf: cases('rfc5869.json').map(({ ikm, salt, info, bytes }) => {
      const key = hkdfExtract(unhex(salt!), unhex(ikm!));
      return [hex(key), hex(hkdfExpand(key, unhex(info!), Number(bytes)))];
    }),
    // Every length around the ends of a block, of one, two and three blocks.
    sha256: Array.from({ length: 200 }, (_, size) => hex(sha256(new Uint8Array(size).fill(size)))),
  }),
);
PROCESS.exit(0);
