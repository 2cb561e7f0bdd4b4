import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  crc32c,
  encodeJournal,
  encodeRecord,
  HEADER_BYTES,
  JOURNAL_BYTES_MAX,
  JOURNAL_MAGIC,
  RECORD_BYTES_MAX,
  readJournal,
} from '../../../src/drivers/journal/format.ts';

const ID = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const OTHER_ID = Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1);
const BODIES = [[1, 2, 3], [], [0xff, 0, 7, 7, 7, 7], [9]].map((body) => Uint8Array.from(body));

/**
 * A file of one record; a durable one, then two that are not, of which the first says that all before it was durable.
 */
const BORN = encodeJournal(ID, BODIES.slice(0, 1));
const SECOND = encodeRecord(ID, 2, BORN.length, BODIES[1]!);
const DURABLE_BYTES = BORN.length + SECOND.length;
const THIRD = encodeRecord(ID, 3, DURABLE_BYTES, BODIES[2]!);
const FOURTH = encodeRecord(ID, 4, DURABLE_BYTES, BODIES[3]!);
const FILE = Uint8Array.from([...BORN, ...SECOND, ...THIRD, ...FOURTH]);
const FOURTH_AT = FILE.length - FOURTH.length;

/** Records of a file, or 'refused'. */
function bodiesOf(file: Uint8Array): number[][] | 'refused' {
  const read = readJournal(file);
  return read.ok ? read.bodies.map((body) => [...body]) : 'refused';
}
const first = (count: number) => BODIES.slice(0, count).map((body) => [...body]);
const joined = (...parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

test('CRC-32C as in RFC 3720, appendix B.4, and in two steps', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a91_36aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8_ab43);
  const rising = Uint8Array.from({ length: 32 }, (_, i) => i);
  expect(crc32c(rising)).toBe(0x46dd_794e);
  expect(crc32c(rising.subarray(9), crc32c(rising.subarray(0, 9)))).toBe(0x46dd_794e);
});

describe('the bytes of a journal', () => {
  it('come back as they were written', () => {
    const read = readJournal(FILE);
    expect(read).toMatchObject({ ok: true, id: ID, nextSequence: 5, goodBytes: FILE.length, tornBytes: 0 });
    expect(bodiesOf(FILE)).toEqual(first(4));
    expect(bodiesOf(encodeJournal(ID, []))).toEqual([]);
  });

  it('cut off behind what was durable, keep every whole record; cut off before, they are refused', () => {
    for (let end = 0; end < FILE.length; end++) {
      const cut = FILE.subarray(0, end);
      const whole = end < DURABLE_BYTES ? 1 : end < DURABLE_BYTES + THIRD.length ? 2 : 3;
      // Without the third record nothing says that the second was durable.
      expect([end, bodiesOf(cut)]).toEqual([end, end < BORN.length ? 'refused' : first(whole)]);
    }
  });

  it('with one bit flipped, end before that record, unless a later one says that it was durable', () => {
    for (let bit = 0; bit < FILE.length * 8; bit++) {
      const damaged = FILE.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const at = bit >> 3;
      const right = at < DURABLE_BYTES ? 'refused' : first(at < FOURTH_AT ? 2 : 3);
      expect([bit, bodiesOf(damaged)]).toEqual([bit, right]);
    }
  });

  it('are refused when a record is too long, or the file is', () => {
    expect(() => encodeRecord(ID, 1, 0, new Uint8Array(RECORD_BYTES_MAX + 1))).toThrow(RangeError);
    expect(bodiesOf(encodeJournal(ID, [new Uint8Array(RECORD_BYTES_MAX)]))).toHaveLength(1);
    expect(bodiesOf(new Uint8Array(JOURNAL_BYTES_MAX + 1))).toBe('refused');
  });

  it('are refused when they are empty or begin like another file', () => {
    expect(bodiesOf(new Uint8Array(0))).toBe('refused');
    expect(bodiesOf(JOURNAL_MAGIC)).toBe('refused');
    expect(bodiesOf(new Uint8Array(FILE.length))).toBe('refused');
  });
});

describe('a tail that a power cut left', () => {
  /** A file whose first `durable` records are known to be so, with more behind them. */
  function written(bodies: readonly Uint8Array[], durable: number) {
    let file = encodeJournal(ID, []);
    let durableBytes = file.length;
    const ends = [file.length];
    for (const [index, body] of bodies.entries()) {
      file = joined(file, encodeRecord(ID, index + 1, durableBytes, body));
      ends.push(file.length);
      if (index < durable) durableBytes = file.length;
    }
    return { file, durableBytes, ends };
  }
  const BODY = fc.uint8Array({ maxLength: 40 });

  it.each([4, 16, 512])(
    'in blocks of %i bytes, of good bytes, zeros, and old blocks, is dropped',
    (blockBytes) => {
      fc.assert(
        fc.property(
          fc.array(BODY, { minLength: 2, maxLength: 12 }),
          fc.nat(),
          fc.array(fc.constantFrom('good', 'zeros', 'old', 'older'), { minLength: 1, maxLength: 40 }),
          fc.nat({ max: 700 }),
          (bodies, some, blocks, more) => {
            const durable = some % bodies.length;
            const { file, durableBytes, ends } = written(bodies, durable);
            // Old blocks: of an earlier file with the same layout, and of this one at other places.
            const earlier = encodeJournal(OTHER_ID, bodies);
            const torn = new Uint8Array(file.length + more);
            torn.set(file.subarray(0, durableBytes));
            for (let at = durableBytes, i = 0; at < torn.length; at += blockBytes, i++) {
              const kind = blocks[i % blocks.length];
              const end = Math.min(at + blockBytes, torn.length);
              const from =
                kind === 'good' ? file : kind === 'old' ? earlier : file.subarray(ends[durable]! >> 1);
              if (kind !== 'zeros') torn.set(from.subarray(at, end).subarray(0, end - at), at);
            }
            const found = bodiesOf(torn);
            expect(found).not.toBe('refused');
            expect(found.length).toBeGreaterThanOrEqual(durable);
            expect(found).toEqual(bodies.slice(0, found.length).map((body) => [...body]));
          },
        ),
        { numRuns: 500 },
      );
    },
  );

  it('does not hide damage to a record that was durable', () => {
    fc.assert(
      fc.property(
        fc.array(BODY, { minLength: 3, maxLength: 12 }),
        fc.nat(),
        fc.nat(),
        (bodies, some, bit) => {
          // At least one record stands behind the last durable one, and says so.
          const durable = 1 + (some % (bodies.length - 1));
          const { file, ends } = written(bodies, durable);
          const damaged = file.slice();
          const at = ends[0]! + (bit % (ends[durable]! - ends[0]!));
          damaged[at]! ^= 0x10;
          expect(bodiesOf(damaged)).toBe('refused');
        },
      ),
      { numRuns: 500 },
    );
  });

  it('of sixteen MiB is looked through in a moment, whatever is in it', () => {
    const file = new Uint8Array(JOURNAL_BYTES_MAX);
    // Each place looks like a head: a short length, and a high sequence.
    for (let at = 0; at < file.length; at++) file[at] = at & 1 ? 0xff : 0;
    file.set(FILE);
    expect(bodiesOf(file)).toEqual(first(4));
    expect(HEADER_BYTES).toBe(16);
  });
});
