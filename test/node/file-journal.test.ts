/** A journal on a disk that fails: what was written before stays readable, and so does what comes after. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { encodeJournal, readJournal } from '../../src/drivers/journal/format.ts';
import type { Journal } from '../../src/ports/world.ts';
import { JournalError, openFileJournal, openSpareJournal } from '../../targets/node/system/file-journal.ts';

/** Calls that fail, by name. */
const failing = vi.hoisted(() => new Set<string>());
vi.mock('node:fs', async (original) => {
  const fs = (await original()) as Record<string, (...args: unknown[]) => unknown>;
  const failsAs =
    (name: string) =>
    (...args: unknown[]) => {
      if (failing.has(name)) throw new Error(`EIO: ${name}`);
      return fs[name]!(...args);
    };
  const names = ['fdatasyncSync', 'fsyncSync', 'renameSync', 'ftruncateSync'];
  return { ...fs, ...Object.fromEntries(names.map((name) => [name, failsAs(name)])) };
});

let folder: string;
let path: string;
beforeEach(() => {
  failing.clear();
  folder = mkdtempSync(join(tmpdir(), 'baton-journal-'));
  path = join(folder, 'journal');
});
afterEach(() => {
  failing.clear();
  rmSync(folder, { recursive: true });
});

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
function records(): string[] {
  const read = readJournal(new Uint8Array(readFileSync(path)));
  if (!read.ok) throw new Error(read.error);
  return read.bodies.map((body) => Buffer.from(body).toString());
}

test('a long record that could not be made durable does not stick out behind a shorter one', () => {
  const journal = openFileJournal(path);
  journal.append(bytes('one'), true);
  failing.add('fdatasyncSync');
  expect(() => journal.append(bytes('x'.repeat(500)), true)).toThrow(JournalError);
  failing.clear();
  journal.append(bytes('two'), true);
  expect(records()).toEqual(['one', 'two']);
});

test('nothing is appended while what sticks out cannot be removed', () => {
  const journal = openFileJournal(path);
  journal.append(bytes('one'), true);
  failing.add('fdatasyncSync').add('ftruncateSync');
  expect(() => journal.append(bytes('x'.repeat(500)), true)).toThrow(`${path} cannot be written: EIO`);
  failing.delete('fdatasyncSync');
  expect(() => journal.append(bytes('two'), true)).toThrow('EIO: ftruncateSync');
  failing.clear();
  journal.append(bytes('two'), true);
  expect(records()).toEqual(['one', 'two']);
});

test('a rewrite that fails leaves the old journal, which goes on, and no file beside it', () => {
  const journal = openFileJournal(path);
  journal.append(bytes('one'), true);
  failing.add('renameSync');
  expect(() => journal.rewrite([bytes('all')])).toThrow(JournalError);
  expect(existsSync(`${path}.new`)).toBe(false);
  failing.clear();
  journal.append(bytes('two'), true);
  expect(records()).toEqual(['one', 'two']);
});

const BODIES = [[1, 2, 3], [], [0xff, 0, 7, 7, 7, 7]].map((body) => Uint8Array.from(body));
const first = (count: number) => BODIES.slice(0, count).map((body) => [...body]);
const found = () => {
  const journal = openFileJournal(path);
  journal.close();
  return journal.records.map((body) => [...body]);
};

test('a journal goes on after a torn tail, of which nothing stays', () => {
  const journal = openFileJournal(path);
  journal.append(BODIES[0]!, true);
  journal.append(BODIES[2]!, false);
  journal.close();
  writeFileSync(path, Buffer.concat([readFileSync(path).subarray(0, -2), Buffer.alloc(200)]));
  const again = openFileJournal(path);
  expect(again.records.map((body) => [...body])).toEqual(first(1));
  again.append(BODIES[1]!, false);
  again.close();
  expect(found()).toEqual(first(2));
  expect(readFileSync(path).length).toBe(encodeJournal(new Uint8Array(8), BODIES.slice(0, 2)).length);
});

test('a journal is replaced as a whole by a rewrite', () => {
  const journal = openFileJournal(path);
  for (const body of BODIES) journal.append(body, false);
  journal.rewrite([BODIES[2]!]);
  journal.append(BODIES[0]!, true);
  journal.close();
  expect(found()).toEqual([[...BODIES[2]!], [...BODIES[0]!]]);
});

test('a record that was durable and is damaged is refused as soon as a later record says so', () => {
  const journal = openFileJournal(path);
  journal.append(BODIES[0]!, true);
  const at = readFileSync(path).length;
  journal.append(BODIES[2]!, true);
  journal.append(BODIES[1]!, false);
  journal.close();
  const damaged = readFileSync(path);
  damaged[at + 20]! ^= 0x80;
  writeFileSync(path, damaged);
  expect(() => openFileJournal(path)).toThrow(JournalError);
  expect(() => openFileJournal(path)).toThrow(
    `record 2 at byte ${at} is damaged, and was durable; move the file away`,
  );
  expect(readFileSync(path)).toEqual(damaged);
});

/** A journal of two durable records, opened by a later run; where the second of them begins. */
function reopened(between = () => {}): { journal: Journal; at: number } {
  const life = openFileJournal(path);
  life.append(BODIES[0]!, true);
  const at = readFileSync(path).length;
  life.append(BODIES[2]!, true);
  life.close();
  between();
  return { journal: openFileJournal(path), at };
}
/** Changes one bit of the file. */
function damage(at: number): void {
  const file = readFileSync(path);
  file[at]! ^= 0x80;
  writeFileSync(path, file);
}

test.each([true, false])('what an earlier run made durable is known to a later one (sync: %s)', (sync) => {
  const { journal, at } = reopened();
  journal.append(BODIES[1]!, sync);
  journal.close();
  damage(at + 20);
  expect(() => openFileJournal(path)).toThrow(`record 2 at byte ${at} is damaged, and was durable`);
});

test('what a life appended and never made durable may be damaged: reading ends there', () => {
  const { journal } = reopened();
  const at = readFileSync(path).length;
  for (let i = 0; i < 3; i++) journal.append(BODIES[1]!, false);
  journal.close();
  damage(at + 4);
  expect(found()).toEqual([[...BODIES[0]!], [...BODIES[2]!]]);
});

test('what a disk did not make durable when it was opened may be damaged as well', () => {
  const { journal, at } = reopened(() => void failing.add('fdatasyncSync'));
  failing.clear();
  journal.append(BODIES[1]!, false);
  journal.close();
  damage(at + 20);
  expect(found()).toEqual(first(1));
});

test.each([
  ['is empty', ''],
  ['is none of ours', 'no journal at all'],
])('an agent whose journal %s starts with a new one, keeps the old one, and says so', (_what, text) => {
  writeFileSync(path, text);
  const lines: string[] = [];
  const journal = openSpareJournal(path, (level, line) => void lines.push(`${level}: ${line}`));
  expect(journal.records).toEqual([]);
  expect(lines).toEqual([
    `error: ${path}: the file does not start like a journal (BATONJ3); it was renamed to ${path}.broken, and ` +
      'a new journal begins',
  ]);
  expect(readFileSync(`${path}.broken`, 'utf8')).toBe(text);
  journal.append(bytes('one'), false);
  expect(records()).toEqual(['one']);
});

test('an agent whose journal cannot be moved aside starts all the same', () => {
  writeFileSync(path, '');
  failing.add('renameSync');
  const lines: string[] = [];
  const journal = openSpareJournal(path, (_level, line) => void lines.push(line));
  expect(lines[0]).toContain('it was not renamed');
  failing.clear();
  journal.append(bytes('one'), true);
  expect(records()).toEqual(['one']);
});
