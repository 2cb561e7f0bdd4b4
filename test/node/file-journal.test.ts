/** A journal on a disk that fails: what was written before stays readable, and so does what comes after. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readJournal } from '../../src/journal/format.ts';
import { JournalError, openFileJournal } from '../../targets/node/file-journal.ts';

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
  failing.add('fdatasyncSync').add('ftruncateSync');
  expect(() => journal.append(bytes('x'.repeat(500)), true)).toThrow(`${path} cannot be written: EIO`);
  failing.delete('fdatasyncSync');
  expect(() => journal.append(bytes('two'), true)).toThrow('EIO: ftruncateSync');
  failing.clear();
  journal.append(bytes('two'), true);
  expect(records()).toEqual(['two']);
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
