/**
 * What an agent writes down before it acts: which hook it was about to run, under which epoch.
 *
 * It says what was attempted, never who holds: after a restart only the host's answer counts. Kept so that a person, and
 * the log, can tell what a crash interrupted. So only what begins something new waits for its record; a disk that is
 * full keeps nobody from resuming or giving back.
 */

import type { HookName, Journal, Log } from '../ports.ts';
import type { BundleId } from '../protocol/ids.ts';
import { asciiBytes, asciiText } from '../wire/bytes.ts';

/** The last attempt of one bundle. */
export interface JournalNote {
  readonly attempt: HookName;
  readonly epoch: number;
}

/** Records after which the file is rewritten with one record per bundle: some 60 KiB. */
const COMPACT_AFTER = 1_000;

/** The journal of an agent. */
export class AgentJournal {
  readonly last = new Map<BundleId, JournalNote>();
  readonly #journal: Journal;
  readonly #log: Log;
  #records: number;

  /** Reads what is there. A record that is not ours is a programming error and throws. */
  constructor(journal: Journal, log: Log) {
    this.#journal = journal;
    this.#log = log;
    this.#records = journal.records.length;
    for (const record of journal.records) {
      const { bundle, ...note } = JSON.parse(asciiText(record)) as JournalNote & { bundle: BundleId };
      this.last.set(bundle, note);
    }
  }

  /** Writes a note. With `sync` it is durable before this returns, or this throws; without, a failure goes to the log. */
  write(bundle: BundleId, note: JournalNote, sync: boolean): void {
    this.last.set(bundle, note);
    // A rewrite is durable, so it waits for a record that has to be: nothing is synced while a bundle is dark.
    if (this.#records >= COMPACT_AFTER && sync) {
      this.#journal.rewrite([...this.last].map(([id, entry]) => encode(id, entry)));
      this.#records = this.last.size;
      return;
    }
    try {
      this.#journal.append(encode(bundle, note), sync);
      this.#records += 1;
    } catch (error) {
      if (sync) throw error;
      const text = `${(error as Error).message}; free space or mend the disk: it goes on without this record`;
      this.#log('error', text, { bundle, ...note });
    }
  }
}

function encode(bundle: BundleId, note: JournalNote): Uint8Array {
  return asciiBytes(JSON.stringify({ bundle, ...note }));
}
