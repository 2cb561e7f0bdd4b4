/**
 * Files of the simulated product: journals in the product's own format, with a page cache that a power cut loses, a
 * disk that fills up, and writes that end at any byte.
 */

import {
  encodeJournal,
  encodeRecord,
  JOURNAL_ID_BYTES,
  type JournalRead,
  readJournal,
} from '../../../src/drivers/journal/format.ts';
import type { Journal } from '../../../src/ports/world.ts';
import type { Random } from '../../../targets/lab/machine/random.ts';
import type { SimulatedProcess } from './process.ts';

const NOTHING = new Uint8Array(0);

/** One file: what processes see, and how much of it would be there after a power cut for certain. */
interface SimulatedFile {
  bytes: Uint8Array;
  durable: number;
}

/** The disk of one machine. */
export class SimulatedDisk {
  /** Nothing more can be written. */
  isFull = false;
  /** Syncs so far. */
  syncs = 0;
  readonly #random: Random;
  readonly #files = new Map<string, SimulatedFile>();

  constructor(random: Random) {
    this.#random = random;
  }

  exists(path: string): boolean {
    return this.#files.has(path);
  }

  /** What was not synced becomes any mix of what was written, zeros and old blocks, of any length. */
  losePower(): void {
    for (const file of this.#files.values()) {
      const length = file.durable + this.#random(file.bytes.length - file.durable + 1);
      const left = file.bytes.slice(0, length);
      for (let at = file.durable; at < length; at++) {
        const what = this.#random(8);
        if (what === 0) left[at] = 0;
        if (what === 1) left[at] = this.#random(256);
      }
      file.bytes = left;
      file.durable = left.length;
    }
  }

  /** Some byte of the durable part of a file rots. */
  damage(path: string): void {
    const file = this.#files.get(path);
    if (file !== undefined && file.durable > 0)
      file.bytes[this.#random(file.durable)]! ^= 1 + this.#random(255);
  }

  /** Opens the journal at `path` for a process, as targets/node/system/file-journal.ts does. Throws as it does. */
  openJournal(path: string, process: SimulatedProcess): Journal {
    const file = this.#files.get(path);
    const read = file && readJournal(file.bytes);
    if (read?.ok === false) throw new Error(`${path}: ${read.error}`);
    return this.#journal(path, read, process);
  }

  /** As openJournal; a damaged one is thrown away. */
  openSpareJournal(path: string, process: SimulatedProcess): Journal {
    try {
      return this.openJournal(path, process);
    } catch {
      this.#files.delete(path);
      return this.#journal(path, undefined, process);
    }
  }

  #journal(
    path: string,
    read: Extract<JournalRead, { ok: true }> | undefined,
    process: SimulatedProcess,
  ): Journal {
    const records = read?.bodies ?? [];
    let id = read?.id;
    let isOpen = read?.tornBytes === 0;
    let next = read?.nextSequence ?? 0;
    let end = read?.goodBytes ?? 0;
    let durable = isOpen ? end : 0;
    if (isOpen) this.#files.get(path)!.durable = end;
    const rewrite = (bodies: readonly Uint8Array[]) => {
      if (!process.mayAct()) return;
      if (this.isFull) throw new Error(`${path}.new: no space left on device`);
      id = Uint8Array.from({ length: JOURNAL_ID_BYTES }, () => this.#random(256));
      const bytes = encodeJournal(id, bodies);
      this.#files.set(path, { bytes, durable: bytes.length });
      this.syncs += 1;
      isOpen = true;
      next = bodies.length + 1;
      end = bytes.length;
      durable = end;
    };
    const append = (body: Uint8Array, sync: boolean) => {
      if (!isOpen || id === undefined) return rewrite([...records, body]);
      const record = encodeRecord(id, next, durable, body);
      const file = this.#files.get(path)!;
      const written = this.#write(process, record);
      file.bytes = joined(file.bytes.subarray(0, end), written);
      if (!process.isAlive) return;
      if (written.length < record.length) throw new Error(`${path}: no space left on device`);
      next += 1;
      end += record.length;
      if (!sync) return;
      this.syncs += 1;
      durable = end;
      file.durable = end;
    };
    return { records, append, rewrite, close: () => {} };
  }

  /** As much of a record as a full disk takes, or a process that is killed in the middle. */
  #write(process: SimulatedProcess, record: Uint8Array): Uint8Array {
    if (!process.isAlive) return NOTHING;
    const isWhole = process.mayAct() && !this.isFull;
    return isWhole ? record : record.subarray(0, this.#random(record.length));
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
