/** The audit log in files: torn tails, rotation, and what `baton audit verify` says of them. */

import {
  appendFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { audit } from '../../src/cli/audit.ts';
import type { CliWorld } from '../../src/cli/world.ts';
import { AUDIT_LINE_MAX, AUDIT_START, auditLine } from '../../src/host/audit.ts';
import {
  AUDIT_LIMITS,
  type AuditLimits,
  auditFiles,
  openAudit,
  readParts,
} from '../../targets/node/audit-file.ts';
import { checkAudit } from '../support/check-audit.ts';

/** Bytes that were read, and calls that fail, by name. */
const io = vi.hoisted(() => ({ readBytes: 0, failing: new Set<string>() }));
vi.mock('node:fs', async (original) => {
  const fs = (await original()) as Record<string, (...args: unknown[]) => unknown>;
  const failsAs =
    (name: string) =>
    (...args: unknown[]) => {
      if (io.failing.has(name)) throw new Error(`EIO: ${name}`);
      return fs[name]!(...args);
    };
  return {
    ...fs,
    renameSync: failsAs('renameSync'),
    writeSync: failsAs('writeSync'),
    readSync: (...args: unknown[]) => {
      const count = fs['readSync']!(...args) as number;
      io.readBytes += count;
      return count;
    },
    readFileSync: (...args: unknown[]) => {
      const text = fs['readFileSync']!(...args) as string;
      io.readBytes += text.length;
      return text;
    },
  };
});

let folder: string;
let logs: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-audit-'));
  logs = [];
  io.failing.clear();
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const text = () => readFileSync(at('audit.jsonl'), 'utf8');
const log = (level: string, message: string) => logs.push(`${level}: ${message}`);
const ENTRY = { atMs: 1, bundle: 'panel', event: 'held', epoch: 1, holder: 'android' };

/** Writes lines one by one, as a life of a host does. */
function write(lines = 2, limits: AuditLimits = AUDIT_LIMITS): void {
  const file = openAudit(at('audit.jsonl'), 0, log, limits);
  let hash = file.hash ?? AUDIT_START;
  for (let i = 0; i < lines; i++) {
    const line = auditLine(hash, { ...ENTRY, atMs: i });
    file.append(line.line);
    hash = line.hash;
  }
}

/** What `baton audit verify` prints, and its exit status. */
function verify(path = folder): { status: number; lines: string[] } {
  const lines: string[] = [];
  const world = { out: (line: string) => lines.push(line) } as unknown as CliWorld;
  return { status: audit(world, { files: auditFiles, readParts }, ['verify', path]), lines };
}

describe('a tail that a crash left', () => {
  const TAILS: readonly (readonly [string, Buffer])[] = [
    ['part of a line', Buffer.from(auditLine('0'.repeat(64), ENTRY).line.slice(0, 40))],
    ['zeros', Buffer.alloc(5_000)],
    ['zeros of more than is looked at first', Buffer.alloc(200_000)],
    ['an old block with the ends of lines in it', Buffer.from('"}\n{"previous":"00"}\n\n\nxyz\n')],
    ['a newline', Buffer.from('\n')],
    [
      'zeros within the last line, then an old line',
      Buffer.concat([Buffer.alloc(90), Buffer.from('":1}\n')]),
    ],
  ];
  it.each(TAILS)('of %s is moved aside, and the chain goes on with a line that says so', (_what, tail) => {
    write();
    const good = text();
    appendFileSync(at('audit.jsonl'), tail);
    expect(verify().status).toBe(1);
    write();
    expect(text().startsWith(good)).toBe(true);
    expect(checkAudit(text())).toMatchObject({ ok: true, lines: 5, losses: [3] });
    const lost = `${at('audit.jsonl')}:3: lines before this one were lost, and the host says so here`;
    expect(verify()).toEqual({ status: 0, lines: [expect.stringContaining('5 lines, chain intact'), lost] });
    expect(readFileSync(at('audit.jsonl.torn'))).toEqual(tail.subarray(0, 65_536));
    expect(logs).toEqual([expect.stringContaining(`is left out, ${tail.length} bytes; see `)]);
  });

  it('may be all there is', () => {
    writeFileSync(at('audit.jsonl'), '{"previous":"00');
    write();
    expect(checkAudit(text())).toMatchObject({ ok: true, lines: 3, losses: [1] });
  });

  it('again and again leaves one file for people', () => {
    for (let i = 0; i < 5; i++) {
      write(1);
      appendFileSync(at('audit.jsonl'), `torn ${i}`);
    }
    write(1);
    expect(readdirSync(folder).sort()).toEqual(['audit.jsonl', 'audit.jsonl.torn']);
    expect(readFileSync(at('audit.jsonl.torn'), 'utf8')).toBe('torn 4');
  });

  it('is not what was changed before it: that stays, and is found', () => {
    write();
    const [first, second] = text().split('\n');
    writeFileSync(at('audit.jsonl'), `${first!.replace('android', 'mallory')}\n${second}\n`);
    write();
    expect(verify().lines).toEqual([`${at('audit.jsonl')}:1: the line was changed: its hash does not fit`]);
  });
});

describe('a log that grows', () => {
  const SMALL = { fileBytes: 2_000, files: 3 };

  it('goes on in another file, chained across, and the oldest are deleted', () => {
    write(6, SMALL);
    expect(verify()).toEqual({ status: 0, lines: [expect.stringContaining('6 lines, chain intact')] });
    write(60, SMALL);
    const files = readdirSync(folder).sort();
    expect(files).toHaveLength(4);
    expect(files.at(-1)).toBe('audit.jsonl');
    for (const file of files) expect(statSync(at(file)).size).toBeLessThanOrEqual(2_000);
    const { status, lines } = verify();
    expect(status).toBe(0);
    expect(lines[0]).toMatch(/: \d+ lines in 4 files, chain intact, last hash [0-9a-f]{64}$/);
    expect(lines[1]).toMatch(/: begins after hash [0-9a-f]{64}; what was before is not here$/);
    expect(verify(at('audit.jsonl')).lines[0]).toContain('in 4 files');
    expect(verify(at(files[1]!)).lines[0]).not.toContain('files');
  });

  it('is found out when a file in the middle is missing, or two are swapped, or the first one', () => {
    write(30, SMALL);
    const [first, second, third] = readdirSync(folder).sort() as [string, string, string];
    renameSync(at(second), at('x'));
    expect(verify().lines[0]).toContain(`after ${at(first)} number 2 is expected`);
    renameSync(at(third), at(second));
    renameSync(at('x'), at(third));
    expect(verify().lines[0]).toMatch(/:1: the line before was changed, removed or put in/);
    rmSync(at('audit-00000001.jsonl'));
    rmSync(at(second));
    rmSync(at(third));
    const [line] = text().split('\n');
    writeFileSync(at('audit.jsonl'), `${line}\n`);
    expect(verify().lines[0]).toContain(':1: lines before this one were removed');
  });

  it('goes on after a crash between the two files', () => {
    write(6, SMALL);
    renameSync(at('audit.jsonl'), at('audit-00000001.jsonl'));
    write(2, SMALL);
    expect(verify()).toMatchObject({ status: 0, lines: [expect.stringContaining('8 lines in 2 files')] });
  });

  it('says what the system says when another file cannot be begun, and has every line once', () => {
    const file = openAudit(at('audit.jsonl'), 0, log, { fileBytes: 500, files: 3 });
    const lines = [auditLine(AUDIT_START, ENTRY)];
    for (let i = 0; i < 5; i++) lines.push(auditLine(lines.at(-1)!.hash, ENTRY));
    file.append(lines[0]!.line + lines[1]!.line);
    io.failing.add('renameSync');
    expect(() => file.append(lines[2]!.line)).toThrow(/audit.jsonl cannot be written: EIO: renameSync/);
    io.failing.clear();
    for (const { line } of lines.slice(2)) file.append(line);
    expect(verify()).toMatchObject({ status: 0, lines: [expect.stringContaining('6 lines in')] });
  });

  it('costs a start no more than its end, whatever its size', () => {
    write(1);
    const lines: string[] = [];
    let { hash } = auditLine(AUDIT_START, { ...ENTRY, atMs: 0 });
    for (let i = 0; i < 20_000; i++) {
      const next = auditLine(hash, ENTRY);
      lines.push(next.line);
      hash = next.hash;
    }
    appendFileSync(at('audit.jsonl'), lines.join(''));
    io.readBytes = 0;
    expect(openAudit(at('audit.jsonl'), 0, log).hash).toBe(hash);
    expect(io.readBytes).toBeLessThanOrEqual(65_536);
    expect(verify()).toMatchObject({ status: 0, lines: [expect.stringContaining('20001 lines')] });
  });
});

it('a detail that is endless is cut, and no line is longer than what is checked', () => {
  const { line } = auditLine(AUDIT_START, { ...ENTRY, detail: '\u2028'.repeat(100_000) });
  expect(line.length).toBeLessThan(AUDIT_LINE_MAX);
  expect(checkAudit(line).ok).toBe(true);
  writeFileSync(at('audit.jsonl'), 'x'.repeat(1_000_000));
  expect(verify().lines[0]).toContain(`:1: longer than ${AUDIT_LINE_MAX} characters`);
});

it('a name that only looks like a loss reports none', () => {
  const entry = { ...ENTRY, event: 'note', detail: 'x","event":"tailLost"' };
  expect(checkAudit(auditLine(AUDIT_START, entry).line)).toMatchObject({ ok: true, losses: [] });
});

it('the counter of bytes counts', () => {
  writeFileSync(at('x'), 'abc');
  io.readBytes = 0;
  expect(readSync(openSync(at('x'), 'r'), Buffer.alloc(9))).toBe(3);
  expect(io.readBytes).toBe(3);
});
