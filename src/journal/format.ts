/**
 * The journal's bytes: records of length, sequence, checksums and body, as agents and the host service keep them.
 *
 * Pure. A record cut off at the end of the file (a crash while writing) is tolerated and dropped; anything else
 * that does not check out is refused, because a journal that lies is worse than none. The head has a checksum of its
 * own: a damaged length would else look like a last record that was cut off, and hide all records behind it.
 *
 * Layout of a record, big endian: body length (4), sequence (4), CRC32C over those two (4), CRC32C over the body (4),
 * body. The file starts with 8 bytes: `BATONJ2\n`.
 */

/** First bytes of every journal file. */
export const JOURNAL_MAGIC: Uint8Array = Uint8Array.of(0x42, 0x41, 0x54, 0x4f, 0x4e, 0x4a, 0x32, 0x0a);
/** Longest body: a bundle's state at the host is about 1 KiB as JSON. */
export const RECORD_BYTES_MAX = 65_536;
/** Longest file that is read: the owner of the journal compacts it long before. */
export const JOURNAL_BYTES_MAX = 16 * 1024 * 1024;

/** Bytes of a record before its body. */
export const HEADER_BYTES = 16;
/** Where the checksums stand. */
const HEADER_CRC_AT = 8;
const BODY_CRC_AT = 12;

/** What reading a journal came to. */
export type JournalRead =
  | {
      readonly ok: true;
      readonly bodies: readonly Uint8Array[];
      /** Sequence of the next record. */
      readonly nextSequence: number;
      /** Bytes of the file that are good; a torn tail starts here. */
      readonly goodBytes: number;
    }
  | { readonly ok: false; readonly error: string };

/** Returns one record. `body` is at most RECORD_BYTES_MAX bytes, else a RangeError is thrown. */
export function encodeRecord(sequence: number, body: Uint8Array): Uint8Array {
  if (body.length > RECORD_BYTES_MAX) {
    throw new RangeError(`journal record of ${body.length} bytes: at most ${RECORD_BYTES_MAX}`);
  }
  const record = new Uint8Array(HEADER_BYTES + body.length);
  const view = new DataView(record.buffer);
  view.setUint32(0, body.length);
  view.setUint32(4, sequence);
  view.setUint32(HEADER_CRC_AT, crc32c(record.subarray(0, HEADER_CRC_AT)));
  view.setUint32(BODY_CRC_AT, crc32c(body));
  record.set(body, HEADER_BYTES);
  return record;
}

/** Reads a whole journal file. An empty file is an empty journal. */
export function readJournal(file: Uint8Array): JournalRead {
  if (file.length > JOURNAL_BYTES_MAX) {
    return { ok: false, error: `file of ${file.length} bytes: at most ${JOURNAL_BYTES_MAX} are read` };
  }
  const magic = file.subarray(0, JOURNAL_MAGIC.length);
  if (!magic.every((byte, i) => byte === JOURNAL_MAGIC[i])) {
    return { ok: false, error: 'the file does not start like a journal (BATONJ2)' };
  }
  const bodies: Uint8Array[] = [];
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  let at = JOURNAL_MAGIC.length;
  if (file.length < at) return { ok: true, bodies, nextSequence: 0, goodBytes: 0 };
  while (file.length - at >= HEADER_BYTES) {
    if (view.getUint32(at + HEADER_CRC_AT) !== crc32c(file.subarray(at, at + HEADER_CRC_AT))) {
      // A crash may leave the file longer than what reached the disk.
      if (file.subarray(at).every((byte) => byte === 0)) break;
      return refused(bodies, at, 'checksum of its head does not fit');
    }
    const length = view.getUint32(at);
    const sequence = view.getUint32(at + 4);
    const end = at + HEADER_BYTES + length;
    if (length > RECORD_BYTES_MAX) return refused(bodies, at, `length ${length} is over ${RECORD_BYTES_MAX}`);
    if (sequence !== bodies.length)
      return refused(bodies, at, `sequence ${sequence}, expected ${bodies.length}`);
    if (end > file.length) break;
    if (view.getUint32(at + BODY_CRC_AT) !== crc32c(file.subarray(at + HEADER_BYTES, end))) {
      // A crash may leave the last record half-written at full length; it was never acted upon.
      if (end === file.length) break;
      return refused(bodies, at, 'checksum does not fit');
    }
    bodies.push(file.slice(at + HEADER_BYTES, end));
    at = end;
  }
  return { ok: true, bodies, nextSequence: bodies.length, goodBytes: at };
}

function refused(bodies: readonly Uint8Array[], at: number, why: string): JournalRead {
  return { ok: false, error: `record ${bodies.length} at byte ${at}: ${why}` };
}

/** CRC-32C (Castagnoli), reflected polynomial 0x82f63b78 (RFC 3720, appendix B.4). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return (crc ^ 0xffff_ffff) >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let crc = n;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  return crc >>> 0;
});
