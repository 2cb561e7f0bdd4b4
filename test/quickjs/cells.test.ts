/**
 * That nothing is missing: every engine over every way in both roles, every two engines in both directions, and who
 * plays it.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MACHINES } from '../../targets/quickjs/build/engine.ts';
import { ENGINES, missingFor, PAIRS, WAYS } from './cells.ts';
import { TRANSCRIPTS } from './compliance.suite.ts';
import { SCENARIOS } from './scenarios.ts';

const ENGINE_NAMES = Object.keys(ENGINES);

describe('the cells', () => {
  it('are those of Node, of a script, and of each machine that a static program is built for', () => {
    expect(new Set(ENGINE_NAMES)).toEqual(new Set(['node', 'script', ...MACHINES.map(({ name }) => name)]));
  });

  it.each(ENGINE_NAMES.flatMap((engine) => WAYS.map((way) => [engine, way] as const)))(
    'of %s over %s: an owner, and a borrower',
    (engine, way) => {
      const here = PAIRS.filter((pair) => pair.way === way);
      expect(here.some(({ owner }) => owner === engine)).toBe(true);
      expect(here.some(({ borrower }) => borrower === engine)).toBe(true);
    },
  );

  it('have every two engines together, in both directions', () => {
    const mixed = ENGINE_NAMES.flatMap((owner) =>
      ENGINE_NAMES.flatMap((borrower) => (owner === borrower ? [] : [`${owner} ${borrower}`])),
    );
    const played = new Set(PAIRS.map(({ owner, borrower }) => `${owner} ${borrower}`));
    expect(mixed.filter((pair) => !played.has(pair))).toEqual([]);
  });

  it('are played once over each way', () => {
    const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts'));
    const played = files.flatMap((name) => {
      const text = readFileSync(join(import.meta.dirname, name), 'utf8');
      return [...text.matchAll(/^complianceSuite\('(.+)'\);$/gm)].map(([, way]) => way);
    });
    expect(played.sort()).toEqual([...WAYS].sort());
  });

  it('have a transcript of each scenario, and no other', () => {
    const names = Object.keys(SCENARIOS).map((name) => `${name}.txt`);
    expect(readdirSync(TRANSCRIPTS).sort()).toEqual(names.sort());
  });

  it('that this machine cannot run are counted', () => {
    const missing = PAIRS.flatMap((pair) => missingFor(pair) ?? []);
    console.log(
      `${PAIRS.length - missing.length} of ${PAIRS.length} pairs run here: ${[...new Set(missing)]}`,
    );
    expect(missing.length).toBeLessThan(PAIRS.length);
  });
});
