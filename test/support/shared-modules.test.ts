/** Files that share modules (vitest.config.ts, project `unit`) replace none, and leave the environment alone. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const TESTS = join(import.meta.dirname, '..');
/** Rooms of other projects, and the file of this one that replaces a module. */
const ALONE = /^(node|processes|support|system|quickjs)\/|^config\/schema\.test\.ts$/;

it('whoever replaces modules or the environment runs alone', () => {
  const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' });
  const shared = files.filter((name) => name.endsWith('.test.ts') && !ALONE.test(name));
  expect(shared.length).toBeGreaterThan(100);
  const wrong = shared.filter((name) =>
    /\bvi\.(mock|doMock|resetModules|stub|useFakeTimers|spyOn)|process\.(chdir|env\[[^\]]*\] =[^=])/.test(
      readFileSync(join(TESTS, name), 'utf8'),
    ),
  );
  expect(wrong).toEqual([]);
});
