/** Files that a crash or a full disk leaves behind: the audit log, the host's table, journals. */

import {
  appendFileSync,
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
import { audit } from '../../src/cli/checks.ts';
import type { CliWorld } from '../../src/cli/world.ts';
import { AUDIT_START, auditLine, verifyAudit } from '../../src/host/audit.ts';
import { JOURNAL_MAGIC } from '../../src/journal/format.ts';
import { openAudit } from '../../targets/node/audit-file.ts';
import { readText } from '../../targets/node/files.ts';
import { freshTable, openTable } from '../../targets/node/table-file.ts';

let folder: string;
let logs: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-files-'));
  logs = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const log = (level: string, message: string) => logs.push(`${level}: ${message}`);
const ENTRY = { atMs: 1, bundle: 'panel', event: 'held', epoch: 1, holder: 'android' };

/** Writes two lines as a host does. */
function writeAudit(): void {
  const file = openAudit(at('audit'), 0, log);
  const first = auditLine(file.hash ?? AUDIT_START, ENTRY);
  file.append(first.line + auditLine(first.hash, ENTRY).line);
}

/** What `baton audit verify` prints, and its exit status. */
function verify(): { status: number; lines: string[] } {
  const lines: string[] = [];
  const world = { readText, out: (text: string) => lines.push(text) } as unknown as CliWorld;
  return { status: audit(world, ['verify', at('audit')]), lines };
}

describe('an audit log', () => {
  it('whose last line was cut off goes on after the last good one, and says so', () => {
    writeAudit();
    const good = readFileSync(at('audit'), 'utf8');
    appendFileSync(at('audit'), auditLine('0'.repeat(64), ENTRY).line.slice(0, 40));
    expect(verify().status).toBe(1);
    writeAudit();
    const text = readFileSync(at('audit'), 'utf8');
    expect(text.startsWith(good)).toBe(true);
    expect(verifyAudit(text)).toMatchObject({ ok: true, lines: 5, losses: [3] });
    expect(verify()).toMatchObject({
      status: 0,
      lines: [expect.any(String), expect.stringContaining('lost')],
    });
    expect(readFileSync(at('audit.torn'), 'utf8')).toHaveLength(40);
    expect(logs[0]).toContain('cut off');
  });

  it('that has one torn line and nothing else starts the chain with a line that says so', () => {
    writeFileSync(at('audit'), '{"previous":"00');
    writeAudit();
    expect(verifyAudit(readFileSync(at('audit'), 'utf8'))).toMatchObject({ ok: true, lines: 3, losses: [1] });
  });

  it('that is broken in the middle stays refused', () => {
    writeAudit();
    const [first, second] = readFileSync(at('audit'), 'utf8').split('\n');
    writeFileSync(at('audit'), `${first!.replace('android', 'mallory')}\n${second}\n`);
    writeAudit();
    expect(verify()).toMatchObject({
      status: 1,
      lines: [expect.stringContaining(':1: the line was changed')],
    });
    expect(logs[0]).toContain('the line was changed');
  });

  it('of a name that only looks like a loss reports none', () => {
    const entry = { ...ENTRY, event: 'note', detail: 'x","event":"tailLost"' };
    expect(verifyAudit(auditLine(AUDIT_START, entry).line)).toMatchObject({ ok: true, losses: [] });
  });
});

describe('a table that is lost', () => {
  it('is not a first start: one that was emptied or cut off is damaged, also with --create-table', () => {
    openTable(at('table'), true, log)!.writeRegistry({ machineBoot: 'b', lives: {}, running: [] });
    expect(openTable(at('table'), true, log)?.registry()?.machineBoot).toBe('b');
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
    freshTable(at('table'), log).writeRegistry({ machineBoot: 'b', lives: {}, running: [] });
    expect(readFileSync(at('table.after-loss.broken'), 'utf8')).toBe('nor this');
    expect(openTable(at('table'), false, log)?.registry()?.machineBoot).toBe('b');
    expect(readFileSync(at('table'), 'utf8')).toBe('no journal at all');
  });

  it('again and again fills no folder', () => {
    for (let i = 0; i < 12; i++) {
      writeFileSync(at('table.after-loss'), `broken ${i}`);
      freshTable(at('table'), log).writeRegistry({ machineBoot: 'b', lives: {}, running: [] });
    }
    expect(readdirSync(folder)).toHaveLength(9);
    expect(existsSync(at('table.after-loss'))).toBe(true);
  });
});
