/**
 * Keeps the handover records that wait to be written, and appends them to their file when the host writes its audit
 * log (host-writer.ts): in idle time, without an fsync. Makes no decisions but how many may wait.
 */

import { type HandoverRecord, recordLine } from '../../core/host/handover-record.ts';
import { omitted, RecordShares } from '../../core/host/record-share.ts';
import type { VmId } from '../../core/protocol/ids.ts';

/** Records that wait while they cannot be written: some 500 KB. The oldest are dropped first. */
const WAITING_MAX = 500;

/** The file of the handover records. */
export interface RecordFile {
  /** Appends whole lines. Throws an Error on failure; then none of them is in the file. */
  readonly append: (lines: string) => void;
  /** Wall-clock time, in ms since 1970. */
  readonly wallMs: () => number;
  /** The same as text, in ISO 8601. */
  readonly isoTime: (wallMs: number) => string;
}

/** Writes handover records. */
export class RecordWriter {
  readonly #file: RecordFile;
  readonly #nowMs: () => number;
  readonly #shares = new RecordShares();
  #lines: string[] = [];
  #dropped = 0;
  /** Boot of the machine, of the last record. */
  #boot = '';

  constructor(file: RecordFile, nowMs: () => number) {
    this.#file = file;
    this.#nowMs = nowMs;
  }

  /** Takes a record. Returns false when the VM that caused it has used up its share. */
  add(record: HandoverRecord, boot: string, cause: VmId | undefined): boolean {
    this.#boot = boot;
    if (!this.#shares.take(cause, record, this.#nowMs())) return false;
    this.#push(record);
    return true;
  }

  /** Takes the records that stand for those beyond the shares. */
  addLeftOut(): void {
    for (const record of this.#shares.leftOut(this.#nowMs())) this.#push(record);
  }

  /** Writes what waits. Throws an Error when that fails; then it waits on, as far as there is room. */
  write(): void {
    if (this.#lines.length === 0) return;
    const detail = `${this.#dropped} records could not be written`;
    const note = this.#dropped > 0 ? this.#lineOf(omitted(null, 'unwritten', detail, this.#nowMs())) : '';
    try {
      this.#file.append(note + this.#lines.join(''));
    } catch (error) {
      const excess = Math.max(0, this.#lines.length - WAITING_MAX);
      this.#lines.splice(0, excess);
      this.#dropped += excess;
      throw error;
    }
    this.#lines = [];
    this.#dropped = 0;
  }

  #push(record: HandoverRecord): void {
    this.#lines.push(this.#lineOf(record));
  }

  /** The wall clock is read when a record is made: a clock that is set later does not move it. */
  #lineOf(record: HandoverRecord): string {
    const { wallMs, isoTime } = this.#file;
    const time = isoTime(wallMs() - (this.#nowMs() - record.startedMs));
    return recordLine(record, { time, boot: this.#boot });
  }
}
