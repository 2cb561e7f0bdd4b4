/** Opens the host's table, or a new one when it is missing or broken. */

import { existsSync, renameSync } from 'node:fs';
import { HostTable } from '../../../src/drivers/host/table.ts';
import type { Log } from '../../../src/ports/world.ts';
import { openFileJournal } from '../system/file-journal.ts';

/** Number of broken tables that are kept for people. Then the last name is reused. */
const KEPT_MAX = 8;

/** Opens the table in `file`; undefined when it is missing or broken. `isFirst`: a missing file is no fault. */
export function openTable(file: string, isFirst: boolean, log: Log): HostTable | undefined {
  // A table that was begun after a loss is continued; the broken one stays for people.
  const path = existsSync(afterLoss(file)) ? afterLoss(file) : file;
  const isThere = existsSync(path);
  if (!isThere && !isFirst) {
    log('error', `no table at ${path}: the holders are unknown; all bundles are in quarantine`);
    return undefined;
  }
  if (isThere && isFirst) log('warn', `--create-table has no effect: there is a table at ${path}`);
  try {
    const table = new HostTable(openFileJournal(path));
    if (table.records() || !isThere) return table;
    // Emptied, or cut off before its registry. A new start with it would reuse epochs (S4).
    log('error', `the table at ${path} is damaged: it is empty or cut off; all bundles are in quarantine`);
    return undefined;
  } catch (error) {
    log('error', `the table is lost: ${(error as Error).message}: all bundles are in quarantine`);
    return undefined;
  }
}

/**
 * Opens a new table after the one in `file` was lost. A table from an earlier loss that is broken too is moved aside.
 * Throws an Error when no file can be written.
 */
export function freshTable(file: string, log: Log): HostTable {
  const path = afterLoss(file);
  try {
    return new HostTable(openFileJournal(path));
  } catch (error) {
    if (!existsSync(path)) throw error;
    const aside = freeName(`${path}.broken`);
    renameSync(path, aside);
    log('error', `${path} is broken too; it was renamed to ${aside}`);
    return new HostTable(openFileJournal(path));
  }
}

function afterLoss(file: string): string {
  return `${file}.after-loss`;
}

function freeName(base: string): string {
  const names = Array.from({ length: KEPT_MAX }, (_, i) => (i === 0 ? base : `${base}.${i}`));
  return names.find((name) => !existsSync(name)) ?? names.at(-1)!;
}
