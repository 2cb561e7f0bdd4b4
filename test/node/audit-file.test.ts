/** The audit log in files: torn tails, rotation, and what `baton audit verify` says of them. */

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { audit } from '../../src/cli/verbs/audit.ts';
import type { CliWorld } from '../../src/cli/world.ts';
import { AUDIT_LINE_MAX, AUDIT_START, auditLine } from '../../src/core/host/audit.ts';
import { HostWriter } from '../../src/drivers/host/host-writer.ts';
import { HostTable } from '../../src/drivers/host/table.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';
import { AUDIT_LIMITS, auditFiles, openAudit } from '../../targets/node/host/audit-file.ts';
import { type LogLimits, readParts } from '../../targets/node/host/rotated-file.ts';
import { checkAudit } from '../support/check-audit.ts';
import { MemoryJournal } from '../support/memory-journal.ts';

/** Bytes that were read, and calls that fail, by name, or by name and end of the first path. */
const io = vi.hoisted(() => ({ readBytes: 0, failing: new Set<string>() }));
vi.mock('node:fs', async (original) => {
  const fs = (await original()) as Record<string, (...args: unknown[]) => unknown>;
  const failsAs =
    (name: string) =>
    (...args: unknown[]) => {
      const fails = (call: string) =>
        call === name || (call.startsWith(name) && String(args[0]).endsWith(call.slice(name.length + 1)));
      if ([...io.failing].some(fails)) throw new Error(`EIO: ${name}`);
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
function write(lines = 2, limits: LogLimits = AUDIT_LIMITS): void {
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
    const lost = `${at('audit.jsonl')}:3: the host reports here that lines before this one were lost`;
    expect(verify()).toEqual({ status: 0, lines: [expect.stringContaining('5 lines, chain intact'), lost] });
    expect(readFileSync(at('audit.jsonl.torn'))).toEqual(tail.subarray(0, 65_536));
    expect(logs).toEqual([expect.stringContaining(`was removed, ${tail.length} bytes; see `)]);
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

  it('of the newest older file is kept beside that of the log, both bounded, and both are counted', () => {
    write(3, { fileBytes: 500, files: 9 });
    const older = at(
      readdirSync(folder)
        .filter((name) => /-\d+\.jsonl$/.test(name))
        .sort()
        .at(-1)!,
    );
    appendFileSync(older, 'torn older');
    writeFileSync(at('audit.jsonl'), 'x'.repeat(70_000));
    write(1, { fileBytes: 500, files: 9 });
    expect(readFileSync(at('audit.jsonl.torn'), 'utf8')).toBe(`torn older${'x'.repeat(65_536)}`);
    const lost = auditFiles(folder)
      .map((file) => readFileSync(file, 'utf8'))
      .join('');
    expect(lost).toContain('"detail":"70010 bytes without a whole line were removed; see audit.jsonl.torn"');
    expect(logs).toHaveLength(2);
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
    expect(lines[1]).toMatch(/: begins after hash [0-9a-f]{64}; earlier lines are not in this log$/);
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
    expect(verify().lines[0]).toMatch(/:1: the line before was changed, removed or inserted/);
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

  it.each<[string, () => void, () => void]>([
    ['opened', () => mkdirSync(at('audit.jsonl.new')), () => rmdirSync(at('audit.jsonl.new'))],
    ['named', () => io.failing.add('renameSync audit.jsonl.new'), () => io.failing.clear()],
  ])('loses nothing while another file cannot be %s, and says so once', (_, harm, heal) => {
    const clock = new VirtualClock();
    const writer = new HostWriter({
      table: new HostTable(new MemoryJournal()),
      audit: openAudit(at('audit.jsonl'), 0, log, { fileBytes: 1_000, files: 9 }).append,
      auditHash: undefined,
      clock,
      log,
    });
    const put = () => {
      writer.writeAudit(ENTRY, undefined);
      clock.advance(2_000);
    };
    put();
    const before = text();
    harm();
    for (let i = 0; i < 10; i++) put();
    expect(text().startsWith(before)).toBe(true);
    expect(verify().status).toBe(0);
    heal();
    put();
    writer.stop();
    expect(verify()).toMatchObject({
      status: 0,
      lines: [expect.stringMatching(/: 12 lines in \d files, chain intact/)],
    });
    expect(existsSync(at('audit.jsonl.new'))).toBe(false);
    expect(logs.filter((line) => line.startsWith('error'))).toEqual([
      expect.stringContaining(`${at('audit.jsonl')} cannot be written: `),
    ]);
    expect(logs.filter((line) => line.endsWith('written again'))).toHaveLength(1);
  });

  const zeroEnd = (file: string) => {
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0, bytes.length - 100));
  };
  it.each<[string, (file: string) => void]>([
    ['some bytes short', (file) => truncateSync(file, statSync(file).size - 5)],
    ['with zeros at its end', zeroEnd],
  ])('goes on after a power cut that leaves the newest numbered file %s', (_, harm) => {
    write(6, SMALL);
    renameSync(at('audit.jsonl'), at('audit-00000001.jsonl'));
    harm(at('audit-00000001.jsonl'));
    writeFileSync(at('audit.jsonl'), '');
    write(2, SMALL);
    const { status, lines } = verify();
    expect(lines).toEqual([
      expect.stringContaining('8 lines in 2 files, chain intact'),
      `${at('audit.jsonl')}:1: the host reports here that lines before this one were lost`,
    ]);
    expect(status).toBe(0);
    expect(logs).toEqual([expect.stringContaining(`${at('audit-00000001.jsonl')}: the part after`)]);
  });

  it.each([
    ['part of a line', Buffer.from('{"previous":"00')],
    ['zeros', Buffer.alloc(5_000)],
  ])('goes on from the file before when all of the last one is %s', (_, torn) => {
    write(6, SMALL);
    renameSync(at('audit.jsonl'), at('audit-00000001.jsonl'));
    writeFileSync(at('audit.jsonl'), torn);
    write(2, SMALL);
    expect(verify()).toEqual({
      status: 0,
      lines: [
        expect.stringContaining('9 lines in 2 files, chain intact'),
        `${at('audit.jsonl')}:1: the host reports here that lines before this one were lost`,
      ],
    });
    expect(readFileSync(at('audit.jsonl.torn'))).toEqual(torn);
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
