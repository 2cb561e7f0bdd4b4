/**
 * The agent's journal: before a hook runs, its name and epoch are recorded.
 *
 * It records attempts, never holders: after a restart only the host's answer counts. It shows people what a crash
 * interrupted, so nothing is fsynced, and a full disk stops nothing.
 */

import { type BundleId, isId } from '../../core/protocol/ids.ts';
import { asciiBytes, asciiText } from '../../core/wire/bytes.ts';
import type { HookName, Journal, Log } from '../../ports/world.ts';

/** The last attempt of one bundle. */
export interface JournalNote {
  readonly attempt: HookName;
  readonly epoch: number;
}

const HOOKS: readonly HookName[] = ['prepare', 'suspend', 'quiesce', 'resume'];

/** Records after which the file is rewritten with one record per bundle: some 60 KiB. */
const COMPACT_AFTER = 1_000;

/** The journal of an agent. */
export class AgentJournal {
  readonly last = new Map<BundleId, JournalNote>();
  readonly #journal: Journal;
  readonly #log: Log;
  #records: number;

  /** Reads the records. An unreadable record, such as one of another version, is skipped with a warning. */
  constructor(journal: Journal, log: Log) {
    this.#journal = journal;
    this.#log = log;
    this.#records = journal.records.length;
    let unread = 0;
    for (const record of journal.records) {
      const entry = decode(record);
      if (entry) this.last.set(entry.bundle, entry.note);
      else unread += 1;
    }
    if (unread > 0) log('warn', `${unread} records of the journal are of another version and were skipped`);
  }

  /** Writes a record. A failure goes to the log. */
  write(bundle: BundleId, note: JournalNote): void {
    this.last.set(bundle, note);
    try {
      if (this.#records < COMPACT_AFTER) this.#journal.append(encode(bundle, note), false);
      else {
        const all = [...this.last].map(([id, entry]) => encode(id, entry));
        this.#journal.rewrite(all, false);
        this.#records = all.length;
      }
      this.#records += 1;
    } catch (error) {
      const text = `${(error as Error).message}; free space or repair the disk; this record is skipped`;
      this.#log('error', text, { bundle, ...note });
    }
  }
}

function decode(record: Uint8Array): { bundle: BundleId; note: JournalNote } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(asciiText(record));
  } catch {
    return undefined;
  }
  const { bundle, attempt, epoch } = (value ?? {}) as Partial<JournalNote> & { bundle?: unknown };
  if (!isId(bundle) || !HOOKS.includes(attempt as HookName) || !Number.isInteger(epoch)) return undefined;
  return {
    bundle: bundle as string as BundleId,
    note: { attempt: attempt as HookName, epoch: epoch as number },
  };
}

function encode(bundle: BundleId, note: JournalNote): Uint8Array {
  return asciiBytes(JSON.stringify({ bundle, ...note }));
}
