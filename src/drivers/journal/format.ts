/**
 * The byte format of journals: records as agents and the host store them. Pure.
 *
 * After a power cut a file contains, after the last fsync, any mix of good bytes, zeros and old blocks. So each
 * record states how many bytes were durable when it was written. Damage beyond all of those is a torn tail: reading
 * ends there, since no action followed from later records. Damage before is an error, because a journal with gaps is
 * worse than none.
 *
 * Layout, big endian. The file starts with 8 bytes: `BATONJ3\n`. A record is: body length (4), sequence (4), CRC32C
 * over those two (4), CRC32C over the body (4), body. The body of record 0 is the file's id (8) and the number of
 * bytes that were durable when the file got its name (4). The body of every other record starts with the number of
 * bytes that were durable when it was written (4). Checksums of all but record 0 start with the file's id, so that a
 * block of an earlier file is not mistaken for a record of this one.
 */

/** First bytes of every journal file. */
export const JOURNAL_MAGIC: Uint8Array = Uint8Array.of(0x42, 0x41, 0x54, 0x4f, 0x4e, 0x4a, 0x33, 0x0a);
/** Longest body that a caller may write. A bundle's state at the host is about 1 KiB as JSON. */
export const RECORD_BYTES_MAX = 65_536;
/** Longest file that is read. The owner of the journal compacts it long before. */
export const JOURNAL_BYTES_MAX = 16 * 1024 * 1024;
/** Length of a file's id, drawn at random for each file. */
export const JOURNAL_ID_BYTES = 8;

/** Length of a record before its body. */
export const HEADER_BYTES = 16;
/** Length of the number of durable bytes at the start of a body. */
export const MARK_BYTES = 4;
/** Offsets of the checksums. */
const HEADER_CRC_AT = 8;
const BODY_CRC_AT = 12;
/** Length of record 0, and offset of the caller's records. */
const FILE_RECORD_BYTES = HEADER_BYTES + JOURNAL_ID_BYTES + MARK_BYTES;
const FIRST_AT = JOURNAL_MAGIC.length + FILE_RECORD_BYTES;

/** Result of reading a journal. */
export type JournalRead =
  | {
      readonly ok: true;
      readonly id: Uint8Array;
      /** Bodies of the caller's records. */
      readonly bodies: readonly Uint8Array[];
      /** Sequence number of the next record. */
      readonly nextSequence: number;
      /** Number of valid bytes. */
      readonly goodBytes: number;
      /** Number of bytes in the torn tail behind them. */
      readonly tornBytes: number;
    }
  | { readonly ok: false; readonly error: string };

/**
 * Returns a whole file with these records, which become durable together. `id`: JOURNAL_ID_BYTES random bytes. Throws
 * as encodeRecord.
 */
export function encodeJournal(id: Uint8Array, bodies: readonly Uint8Array[]): Uint8Array {
  const records = bodies.map((body, index) => encodeRecord(id, index + 1, 0, body));
  const bytes = records.reduce((sum, record) => sum + record.length, FIRST_AT);
  const first = new Uint8Array(JOURNAL_ID_BYTES + MARK_BYTES);
  first.set(id);
  new DataView(first.buffer).setUint32(JOURNAL_ID_BYTES, bytes);
  const file = new Uint8Array(bytes);
  file.set(JOURNAL_MAGIC);
  file.set(frame(new Uint8Array(0), 0, first), JOURNAL_MAGIC.length);
  let at = FIRST_AT;
  for (const record of records) {
    file.set(record, at);
    at += record.length;
  }
  return file;
}

/**
 * Returns one record of the file `id`. `durableBytes`: bytes of the file that are durable already. Throws a
 * RangeError if `body` has more than RECORD_BYTES_MAX bytes.
 */
export function encodeRecord(
  id: Uint8Array,
  sequence: number,
  durableBytes: number,
  body: Uint8Array,
): Uint8Array {
  if (body.length > RECORD_BYTES_MAX) {
    throw new RangeError(`journal record of ${body.length} bytes: at most ${RECORD_BYTES_MAX}`);
  }
  const marked = new Uint8Array(MARK_BYTES + body.length);
  new DataView(marked.buffer).setUint32(0, durableBytes);
  marked.set(body, MARK_BYTES);
  return frame(id, sequence, marked);
}

function frame(id: Uint8Array, sequence: number, body: Uint8Array): Uint8Array {
  const record = new Uint8Array(HEADER_BYTES + body.length);
  const view = new DataView(record.buffer);
  view.setUint32(0, body.length);
  view.setUint32(4, sequence);
  view.setUint32(HEADER_CRC_AT, crc32c(record.subarray(0, HEADER_CRC_AT), crc32c(id)));
  view.setUint32(BODY_CRC_AT, crc32c(body, crc32c(id)));
  record.set(body, HEADER_BYTES);
  return record;
}

/** Reads a whole journal file. */
export function readJournal(file: Uint8Array): JournalRead {
  if (file.length > JOURNAL_BYTES_MAX) {
    return { ok: false, error: `file of ${file.length} bytes: at most ${JOURNAL_BYTES_MAX} are read` };
  }
  if (!JOURNAL_MAGIC.every((byte, i) => byte === file[i])) {
    return { ok: false, error: 'the file does not start like a journal (BATONJ3)' };
  }
  const reader = new Reader(file);
  const head = reader.recordAt(JOURNAL_MAGIC.length);
  if (head?.sequence !== 0 || head.body.length !== JOURNAL_ID_BYTES + MARK_BYTES) {
    return { ok: false, error: `record 0 at byte ${JOURNAL_MAGIC.length} is damaged` };
  }
  const id = head.body.slice(0, JOURNAL_ID_BYTES);
  reader.seed = crc32c(id);
  let durableBytes = uint32At(head.body, JOURNAL_ID_BYTES);
  const bodies: Uint8Array[] = [];
  let at = FIRST_AT;
  for (;;) {
    const record = reader.recordAt(at);
    if (record?.sequence !== bodies.length + 1 || record.body.length < MARK_BYTES) break;
    durableBytes = Math.max(durableBytes, uint32At(record.body, 0));
    bodies.push(record.body.slice(MARK_BYTES));
    at = record.end;
  }
  const nextSequence = bodies.length + 1;
  if (at < durableBytes || (at < file.length && reader.laterMark(at, nextSequence) > at)) {
    return { ok: false, error: `record ${nextSequence} at byte ${at} is damaged, and was durable` };
  }
  return { ok: true, id, bodies, nextSequence, goodBytes: at, tornBytes: file.length - at };
}

/** Finds records in the bytes of a file. */
class Reader {
  /** Checksum of the file's id, with which the checksums of records start. */
  seed = 0;
  readonly #file: Uint8Array;
  readonly #view: DataView;

  constructor(file: Uint8Array) {
    this.#file = file;
    this.#view = new DataView(file.buffer, file.byteOffset, file.length);
  }

  /** Returns the record that starts at `at`; undefined when there is none. */
  recordAt(at: number): { sequence: number; body: Uint8Array; end: number } | undefined {
    if (at + HEADER_BYTES > this.#file.length) return undefined;
    const length = this.#view.getUint32(at);
    const end = at + HEADER_BYTES + length;
    if (length > RECORD_BYTES_MAX + MARK_BYTES || end > this.#file.length) return undefined;
    const head = this.#file.subarray(at, at + HEADER_CRC_AT);
    if (this.#view.getUint32(at + HEADER_CRC_AT) !== crc32c(head, this.seed)) return undefined;
    const body = this.#file.subarray(at + HEADER_BYTES, end);
    if (this.#view.getUint32(at + BODY_CRC_AT) !== crc32c(body, this.seed)) return undefined;
    return { sequence: this.#view.getUint32(at + 4), body, end };
  }

  /**
   * Returns the largest durable length that a record behind `at` states. Few offsets look like a head, so this costs
   * one check per byte.
   */
  laterMark(at: number, nextSequence: number): number {
    let most = 0;
    for (let place = at + 1; place + HEADER_BYTES + MARK_BYTES <= this.#file.length; place++) {
      if (this.#view.getUint32(place) > RECORD_BYTES_MAX + MARK_BYTES) continue;
      if (this.#view.getUint32(place + 4) < nextSequence) continue;
      const record = this.recordAt(place);
      if (record && record.body.length >= MARK_BYTES) most = Math.max(most, uint32At(record.body, 0));
    }
    return most;
  }
}

function uint32At(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at);
}

/**
 * CRC-32C (Castagnoli), reflected polynomial 0x82f63b78 (RFC 3720, appendix B.4). `before`: checksum of the preceding
 * bytes.
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = (before ^ 0xffff_ffff) >>> 0;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return (crc ^ 0xffff_ffff) >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let crc = n;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  return crc >>> 0;
});
