/** The JSON reader of the enforcer library on damaged lines, compiled with the sanitizers for this machine. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { paced } from '../support/pace.ts';

const SOURCES = ['test/system/json-fuzz.c', 'targets/vmm/enforcer/json-lines.c'];
const ROUNDS = 500_000;

it(`${ROUNDS} damaged lines end in a value or in nothing`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'baton-fuzz-'));
  try {
    const program = join(folder, 'fuzz');
    const flags = ['-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover', '-D_GNU_SOURCE'];
    execFileSync('cc', [...flags, ...SOURCES, '-o', program], { cwd: join(import.meta.dirname, '../..') });
    const seed = process.env['BATON_SEED'] ?? '1';
    console.log(`damaged lines: seed ${seed}`);
    const read = Number(
      execFileSync(program, [seed, String(ROUNDS)], { encoding: 'utf8', timeout: paced(50_000) }),
    );
    expect(read).toBeGreaterThan(ROUNDS / 20);
    expect(read).toBeLessThan(ROUNDS);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
