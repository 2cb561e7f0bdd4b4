import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, test } from 'vitest';
import {
  crc32c,
  encodeRecord,
  HEADER_BYTES,
  JOURNAL_BYTES_MAX,
  JOURNAL_MAGIC,
  RECORD_BYTES_MAX,
  readJournal,
} from '../../src/journal/format.ts';
import { JournalError, openFileJournal } from '../../targets/node/file-journal.ts';

const BODIES = [[1, 2, 3], [], [0xff, 0, 7, 7, 7, 7]].map((body) => Uint8Array.from(body));
const FILE = Uint8Array.from([
  ...JOURNAL_MAGIC,
  ...BODIES.flatMap((body, sequence) => [...encodeRecord(sequence, body)]),
]);
/** Where each record starts, and the end. */
const STARTS = [JOURNAL_MAGIC.length];
for (const body of BODIES) STARTS.push(STARTS.at(-1)! + HEADER_BYTES + body.length);

/** Records of a file, or 'refused'. */
function bodiesOf(file: Uint8Array): number[][] | 'refused' {
  const read = readJournal(file);
  return read.ok ? read.bodies.map((body) => [...body]) : 'refused';
}
const first = (count: number) => BODIES.slice(0, count).map((body) => [...body]);

test('CRC-32C as in RFC 3720, appendix B.4', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a91_36aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8_ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd_794e);
});

describe('the bytes of a journal', () => {
  it('come back as they were written', () => {
    expect(readJournal(FILE)).toMatchObject({ ok: true, nextSequence: 3, goodBytes: FILE.length });
    expect(bodiesOf(FILE)).toEqual(first(3));
    expect(bodiesOf(new Uint8Array(0))).toEqual([]);
  });

  it('cut off anywhere, keep every whole record and say where the good part ends', () => {
    for (let end = 0; end < FILE.length; end++) {
      const read = readJournal(FILE.subarray(0, end));
      const whole = STARTS.slice(1).filter((recordEnd) => recordEnd <= end).length;
      expect(bodiesOf(FILE.subarray(0, end))).toEqual(first(whole));
      const good = end < JOURNAL_MAGIC.length ? 0 : STARTS[whole];
      expect(read.ok && read.goodBytes).toBe(good);
    }
  });

  it('with one bit flipped, are refused, unless only the body of the last record or its checksum is damaged', () => {
    for (let bit = 0; bit < FILE.length * 8; bit++) {
      const damaged = FILE.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const isLastBody = bit >> 3 >= STARTS[2]! + HEADER_BYTES - 4;
      expect([bit, bodiesOf(damaged)]).toEqual([bit, isLastBody ? first(2) : 'refused']);
    }
  });

  it('may end in zeros that a crash left, and in nothing else', () => {
    expect(bodiesOf(Uint8Array.from([...FILE, ...new Uint8Array(40)]))).toEqual(first(3));
    expect(bodiesOf(Uint8Array.from([...FILE, ...new Uint8Array(40), 1]))).toBe('refused');
  });

  it('are refused when a record is missing, swapped or too long, or the file is', () => {
    const record = (sequence: number) => [...encodeRecord(sequence, BODIES[0]!)];
    expect(bodiesOf(Uint8Array.from([...JOURNAL_MAGIC, ...record(1)]))).toBe('refused');
    expect(bodiesOf(Uint8Array.from([...JOURNAL_MAGIC, ...record(0), ...record(0)]))).toBe('refused');
    expect(() => encodeRecord(0, new Uint8Array(RECORD_BYTES_MAX + 1))).toThrow(RangeError);
    expect(bodiesOf(new Uint8Array(JOURNAL_BYTES_MAX + 1))).toBe('refused');
  });
});

describe('a journal in a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'baton-journal-'));
  const path = join(folder, 'state', 'j');
  afterEach(() => rmSync(join(folder, 'state'), { recursive: true, force: true }));
  afterAll(() => rmSync(folder, { recursive: true }));
  const records = () => {
    const journal = openFileJournal(path);
    const bodies = journal.records.map((body) => [...body]);
    journal.close();
    return bodies;
  };

  it('goes on after a torn tail', () => {
    const journal = openFileJournal(path);
    journal.append(BODIES[0]!, true);
    journal.append(BODIES[2]!, false);
    journal.close();
    writeFileSync(path, readFileSync(path).subarray(0, -2));
    const again = openFileJournal(path);
    expect(again.records.map((body) => [...body])).toEqual(first(1));
    again.append(BODIES[1]!, true);
    again.close();
    expect(records()).toEqual(first(2));
  });

  it('is replaced as a whole by a rewrite', () => {
    const journal = openFileJournal(path);
    for (const body of BODIES) journal.append(body, false);
    journal.rewrite([BODIES[2]!]);
    journal.append(BODIES[0]!, true);
    journal.close();
    expect(records()).toEqual([[...BODIES[2]!], [...BODIES[0]!]]);
  });

  it('is left alone when it is damaged, and the error says what to do', () => {
    const journal = openFileJournal(path);
    for (const body of BODIES) journal.append(body, false);
    journal.close();
    const damaged = readFileSync(path);
    damaged[STARTS[1]!]! ^= 0x80;
    writeFileSync(path, damaged);
    expect(() => openFileJournal(path)).toThrow(JournalError);
    expect(() => openFileJournal(path)).toThrow(/record 1 at byte 27: .*; move the file away/);
    expect(readFileSync(path)).toEqual(damaged);
  });
});
