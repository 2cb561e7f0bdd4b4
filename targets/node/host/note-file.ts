/**
 * Stores the records of an enforcer in a file of the host's state folder, for its next run on the same boot of the
 * machine.
 */

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isId } from '../../../src/core/protocol/ids.ts';
import type { NoteStore } from '../../../src/edges/enforcer/kind.ts';
import type { Notes } from '../../../src/edges/enforcer/notebook.ts';
import type { Log } from '../../../src/ports/world.ts';

/** `state`: the host's state folder, which exists and is locked. */
export function noteFile(state: string, log: Log): NoteStore {
  const file = join(state, 'holders.json');
  return {
    load: (machineBoot) => {
      try {
        const kept: unknown = JSON.parse(readFileSync(file, 'utf8'));
        if (!isRecord(kept) || !areNotes(kept['notes'])) throw new Error('no notes');
        return kept['machineBoot'] === machineBoot ? kept['notes'] : undefined;
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code !== 'ENOENT')
          log('error', `${file} cannot be used: the holders are unknown`, { error: message });
        return undefined;
      }
    },
    // Without fsync: after a power cut nothing is granted.
    save: (machineBoot, notes) => {
      writeFileSync(`${file}.new`, JSON.stringify({ machineBoot, notes }), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
  };
}

function areNotes(value: unknown): value is Notes {
  return (
    isRecord(value) &&
    Object.values(value).every((reach) => isRecord(reach) && Object.values(reach).every(isId))
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
