/** Flattened device trees: sound ones, and bytes that are none. */

import { describe, expect, it } from 'vitest';
import {
  BLOB_BYTES_MAX,
  DEPTH_MAX,
  DeviceTreeError,
  type DtNode,
  PATH_CHARS_MAX,
  readBlob,
} from '../../src/planner/blob.ts';
import { BOARD } from './board.ts';
import { blobOf, cells, type Description } from './builder.ts';

const paths = (node: DtNode): string[] => [node.path, ...node.children.flatMap(paths)];

describe('a blob', () => {
  it.each([16, 17] as const)('of version %i is read whole', (version) => {
    const { root, reservations, ...rest } = readBlob(blobOf(BOARD, version));
    expect(rest).toEqual({ version, bootCpu: 0 });
    expect(reservations).toEqual([{ address: 0x8000_0000n, bytes: 0x1000n }]);
    expect(paths(root)).toContain('/soc@0/i2c@1000/touch@20');
    expect(root.properties.get('#address-cells')).toEqual(cells(2));
    expect(root.children.find(({ name }) => name === 'soc@0')!.children.map(({ name }) => name)).toEqual(
      Object.keys(BOARD['soc@0'] as Description).filter((name) => name.includes('@')),
    );
  });

  it('may end before the bytes do, and may have nothing in it', () => {
    expect(readBlob(new Uint8Array([...blobOf({}), 1, 2, 3])).root.children).toEqual([]);
  });

  const at = (offset: number, ...words: number[]) => {
    const bytes = blobOf(BOARD);
    bytes.set(cells(...words), offset);
    return bytes;
  };
  const deep = (depth: number): Description => (depth === 0 ? {} : { n: deep(depth - 1) });
  const whole = blobOf(BOARD);
  const structAt = new DataView(whole.buffer).getUint32(8);
  it.each([
    ['no bytes', new Uint8Array(0), 'byte 0x0: 0 bytes are no header'],
    ['other bytes', new Uint8Array(64), 'does not begin with d00dfeed'],
    ['a cut blob', whole.subarray(0, 200), /says it has \d+ bytes, and ends after 200/],
    ['an old version', at(20, 3), 'version 3, readable from 16; this reads 16 and 17'],
    ['a later version', at(20, 18, 18), 'version 18, readable from 18'],
    ['a structure outside', at(8, 0x7fff_fffc), 'structure from 0x7ffffffc'],
    ['a structure between words', at(8, 0x42), 'structure at 0x42, not a multiple of 4'],
    ['strings outside', at(12, 0xffff_ffff), 'strings from 0xffffffff'],
    ['reservations outside', at(16, 0xffff_fff8), 'reservations from'],
    ['reservations without an end', at(16, (whole.length - 24) & ~7), 'memory reservations without an end'],
    ['a structure too short', at(36, 8), 'the structure ends where a token should stand'],
    ['another token first', at(structAt, 7), 'unknown token 0x7'],
    ['an end first', at(structAt, 9), 'unknown token 0x9|it ends within'],
    ['a property of no node', at(structAt, 3), 'a property outside of any node'],
    ['nodes too deep', blobOf(deep(DEPTH_MAX)), `more than ${DEPTH_MAX} nodes within each other`],
    ['too many bytes', new Uint8Array(BLOB_BYTES_MAX + 1), `at most ${BLOB_BYTES_MAX}`],
  ])('%s: an error that names the place', (_, bytes, words) => {
    let error: unknown;
    try {
      readBlob(bytes);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(DeviceTreeError);
    expect((error as Error).message).toMatch(typeof words === 'string' ? new RegExp(words) : words);
  });

  it('damaged in any way ends in a tree or in such an error, and quickly', () => {
    const rounds = 100_000;
    let seed = Number(process.env['BATON_SEED'] ?? 1);
    console.log(`damaged blobs: seed ${seed}`);
    const random = (below: number) => {
      // Numerical Recipes' linear congruential generator: repeatable, and good enough to pick bytes.
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed % below;
    };
    const blobs = [blobOf(BOARD), blobOf(BOARD, 16)];
    let read = 0;
    for (let round = 0; round < rounds; round++) {
      const bytes = blobs[round % 2]!.slice(0, random(8) === 0 ? random(blobs[0]!.length) : undefined);
      for (let change = random(4); change >= 0 && bytes.length > 0; change--) {
        const place = random(bytes.length);
        bytes[place] = [0, 0xff, 0x80, random(256)][random(4)]!;
      }
      try {
        read += paths(readBlob(bytes).root).length > 0 ? 1 : 0;
      } catch (error) {
        if (!(error instanceof DeviceTreeError)) throw error;
      }
    }
    console.log(`${read} of ${rounds} were still trees`);
    expect(read).toBeGreaterThan(rounds / 10);
    expect(read).toBeLessThan(rounds);
  }, 60_000);
});

it('a path has a limit, which a few long names within each other reach', () => {
  const name = 'n'.repeat(255);
  const nested = (depth: number): Description => (depth === 0 ? {} : { [name]: nested(depth - 1) });
  expect(PATH_CHARS_MAX).toBe(4 * 256);
  expect(paths(readBlob(blobOf(nested(4))).root).at(-1)).toHaveLength(PATH_CHARS_MAX);
  expect(() => readBlob(blobOf(nested(5)))).toThrow('a path of 1280 characters; at most 1024');
});
