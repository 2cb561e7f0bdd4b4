/** The heap of the engine: nothing it gives out overlaps, moves its contents wrongly, or is counted wrongly. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Engine, HOST, run } from '../../targets/quickjs/build/engine.ts';

const ROOT = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'baton-heap-'));
const program = join(folder, 'heap-fuzz');

beforeAll(() => {
  const sources = [join(import.meta.dirname, 'heap-fuzz.c'), join(ROOT, 'targets/quickjs/heap.c')];
  const strict = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover'];
  run('cc', [...strict, '-isystem', new Engine(ROOT, HOST).headers, ...sources, '-o', program]);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

it.each(['1', '2', '3'])('is sound, seed %s', (seed) => {
  expect(run(program, [seed]).stdout).toBe('sound\n');
});
