/**
 * The wire on every engine but Node (test/core/wire/vectors.test.ts): byte for byte what Node makes, and hashes that
 * fit the published vectors.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROTOCOL_VERSION } from '../../src/core/wire/limits.ts';
import { run } from '../../targets/quickjs/build/engine.ts';
import { type BuiltProgram, buildProgram } from './programs.ts';

const VECTORS = join(import.meta.dirname, '../vectors');
const read = (name: string) => readFileSync(join(VECTORS, name), 'utf8');
const cases = (name: string): Record<string, string>[] => JSON.parse(read(name)).cases;

let program: BuiltProgram;
beforeAll(() => {
  program = buildProgram('vectors-program');
}, 200_000);
afterAll(() => program.remove());

describe.each(['x86_64', 'aarch64', 'script'] as const)('on %s', (engine) => {
  let made: { vectors: string; hmac: string[][]; hkdf: string[][]; sha256: string[] };
  beforeAll(() => {
    const [name = '', ...args] = program.words[engine];
    made = JSON.parse(run(name, [...args, VECTORS]).stdout);
  }, 60_000);

  it('every vector of the wire is made byte for byte', () => {
    expect(made.vectors).toBe(read(`v${PROTOCOL_VERSION}/messages.json`));
  });

  it('HMAC fits RFC 4231, wherever the text is split', () => {
    expect(made.hmac).toEqual(cases('rfc4231.json').map(({ tag }) => [tag, tag, tag]));
  });

  it('HKDF fits RFC 5869', () => {
    expect(made.hkdf).toEqual(cases('rfc5869.json').map(({ prk, okm }) => [prk, okm]));
  });

  it('SHA-256 is that of OpenSSL for every length around a block', () => {
    const expected = Array.from({ length: 200 }, (_, size) =>
      createHash('sha256').update(new Uint8Array(size).fill(size)).digest('hex'),
    );
    expect(made.sha256).toEqual(expected);
  });
});
