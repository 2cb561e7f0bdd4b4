/** Files that a crash or a full disk leaves behind: the audit log, the host's table, journals. */

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JOURNAL_MAGIC } from '../../src/drivers/journal/format.ts';
import { freshTable, openTable } from '../../targets/node/host/table-file.ts';

let folder: string;
let logs: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-files-'));
  logs = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const log = (level: string, message: string) => logs.push(`${level}: ${message}`);

describe('a table that is lost', () => {
  it('is not a first start: one that was emptied or cut off is damaged, also with --create-table', () => {
    openTable(at('table'), true, log)!.writeRegistry({
      machineBoot: 'b',
      incarnations: {},
      running: [],
      floor: 0,
    });
    expect(openTable(at('table'), true, log)?.records()?.registry?.machineBoot).toBe('b');
    for (const left of [0, 3, JOURNAL_MAGIC.length]) {
      truncateSync(at('table'), left);
      expect(openTable(at('table'), true, log)).toBeUndefined();
      expect(logs.at(-1)).toMatch(
        /the table is lost: .*; move the file away .*: all bundles are in quarantine/,
      );
    }
  });

  it('is followed by a fresh one even when that of an earlier loss is broken as well', () => {
    writeFileSync(at('table'), 'no journal at all');
    writeFileSync(at('table.after-loss'), 'nor this');
    expect(openTable(at('table'), false, log)).toBeUndefined();
    freshTable(at('table'), log).writeRegistry({ machineBoot: 'b', incarnations: {}, running: [], floor: 0 });
    expect(readFileSync(at('table.after-loss.broken'), 'utf8')).toBe('nor this');
    expect(openTable(at('table'), false, log)?.records()?.registry?.machineBoot).toBe('b');
    expect(readFileSync(at('table'), 'utf8')).toBe('no journal at all');
  });

  it('again and again fills no folder', () => {
    for (let i = 0; i < 12; i++) {
      writeFileSync(at('table.after-loss'), `broken ${i}`);
      freshTable(at('table'), log).writeRegistry({
        machineBoot: 'b',
        incarnations: {},
        running: [],
        floor: 0,
      });
    }
    expect(readdirSync(folder)).toHaveLength(9);
    expect(existsSync(at('table.after-loss'))).toBe(true);
  });
});
