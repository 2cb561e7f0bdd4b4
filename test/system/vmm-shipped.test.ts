/**
 * `baton-kvm` as it is shipped has no code of tests: neither their words nor their options. What tests ask of it is
 * linked to the same objects in targets/lab/testbed/vmm.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paced } from '../support/pace.ts';

const ROOT = join(import.meta.dirname, '../..');
const CROSS = 'aarch64-linux-gnu-';
const hasCompiler = spawnSync(`${CROSS}gcc`, ['--version']).status === 0;
if (!hasCompiler) console.warn('baton-kvm as shipped: needs gcc-aarch64-linux-gnu libc6-dev-arm64-cross');

/** Words of benches, of sabotage, and of requests that only tests make. */
const NAMES = 'bench|benchmark|sabotage|sabotages|lying|sabotage|testbed|inject|peek|poke|crash';
const WORDS = new RegExp(`\\b(${NAMES}|skip[-_](unmap|readback|domain|reset|drain))\\b`, 'gi');
const OPTIONS = [
  ...['--bundles', '--vm', '--keeper', '--device', '--guest', '--kernel', '--files', '--edu-bytes'],
  ...['--enforcer', '--control', '--help', '--version'],
];

/** Files below a folder. */
function below(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? below(path) : [path];
  });
}

/** Words of tests in what a file has as text, by the file's name. */
function found(path: string): string[] {
  const runs = readFileSync(path, 'latin1').match(/[\t\n\x20-\x7e]{4,}/g) ?? [];
  return runs.flatMap((run) => [...run.matchAll(WORDS)].map(([word]) => `${path}: ${word}`));
}

describe.skipIf(!hasCompiler)('baton-kvm', () => {
  let out: string;
  beforeAll(() => {
    out = mkdtempSync(join(tmpdir(), 'baton-shipped-'));
    const words = ['-s', '-j2', '-C', join(ROOT, 'targets/lab/testbed/vmm'), `CROSS_COMPILE=${CROSS}`];
    // Without optimization: whatever is in the source is in the object.
    execFileSync('make', [...words, `OUT=${out}`, 'CFLAGS=-O0 -g'], { timeout: paced(120_000) });
  }, paced(120_000));
  afterAll(() => rmSync(out, { recursive: true }));

  it('has no word of tests, in its sources, its objects and as a program', () => {
    const objects = below(join(out, 'objects')).filter((path) => !path.endsWith('guest.elf'));
    expect(objects.length).toBeGreaterThan(10);
    expect([...below(join(ROOT, 'targets/vmm')), ...objects].flatMap(found)).toEqual([]);
    // libc has words of its own: what decides is that none of these is a string.
    const strings = readFileSync(join(out, 'baton-kvm'), 'latin1').match(/[\x20-\x7e]{4,}/g)!;
    expect(
      strings.filter((each) => /^(skip-\w+|sabotage|peek|poke|crash|bench|sabotage|exits)$/.test(each)),
    ).toEqual([]);
  });

  it('has the options that it says, and no more', () => {
    const runs = readFileSync(join(out, 'objects/main.o'), 'latin1').match(/[\x20-\x7e]{4,}/g)!;
    const options = runs.filter((each) => /^--[a-z-]+$/.test(each));
    expect([...new Set(options)].sort()).toEqual([...OPTIONS].sort());
  });

  it('as tests have it, has them all', () => {
    const words = found(join(out, 'baton-kvm-testbed')).map((each) => each.replace(/.*: /, ''));
    for (const word of ['peek', 'poke', 'crash', 'sabotage', 'skip-unmap', 'skip-drain'])
      expect(words).toContain(word);
  });
});
