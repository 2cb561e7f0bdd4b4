/**
 * Stores the changes of hooks in the agent's state folder, one file per bundle, for the agent's next run on the same
 * boot of the machine.
 */

import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HookNotes } from '../../../src/edges/hooks/world.ts';
import { bootOfMachine } from '../system/run-note.ts';

/** Longest note that is read, in bytes: some hundred devices with all their steps. */
const NOTE_BYTES_MAX = 1024 * 1024;

/** `folder`: the agent's state folder, which exists. Nobody else may write to it. */
export function hookNotes(folder: string): HookNotes {
  const fileOf = (bundle: string) => join(folder, `hooks-${bundle}.note`);
  return {
    boot: bootOfMachine(),
    load: (bundle) => {
      const file = fileOf(bundle);
      const stat = statSync(file, { throwIfNoEntry: false });
      if (stat === undefined) return undefined;
      if (!stat.isFile()) throw new Error(`${file}: no file`);
      if (stat.size > NOTE_BYTES_MAX) throw new Error(`${file}: ${stat.size} bytes are no note`);
      return readFileSync(file, 'utf8');
    },
    // Without fsync: the state below /sys does not outlive a power cut either.
    save: (bundle, text) => {
      const file = fileOf(bundle);
      try {
        writeFileSync(`${file}.new`, text, { mode: 0o600 });
        renameSync(`${file}.new`, file);
      } catch (error) {
        throw new Error(`${file} cannot be written: ${(error as Error).message}`, { cause: error });
      }
    },
  };
}
