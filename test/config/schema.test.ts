/**
 * Our schema builders (src/common/schema.ts) and checks (src/config/faults.ts) against typebox: the same schemas, and
 * the same verdict on every value that a configuration can come to.
 */

import * as fc from 'fast-check';
import type { TSchema } from 'typebox';
import { Value as Library } from 'typebox/value';
import { describe, expect, it, vi } from 'vitest';
import { faultsOf } from '../../src/config/faults.ts';
import { parseConfig } from '../../src/config/read.ts';

async function schemas() {
  vi.resetModules();
  const { AGENT_EXAMPLE, AGENT_SCHEMA } = await import('../../src/config/agent-config.ts');
  const { HOST_EXAMPLE, HOST_SCHEMA } = await import('../../src/config/host-config.ts');
  const { KEYS_SCHEMA } = await import('../../src/config/shared-parts.ts');
  const { BUNDLE_FILE_SCHEMA, bundleFileText } = await import('../../src/config/bundle-file.ts');
  const { PANEL } = await import('../../targets/lab/machine/board.ts');
  return {
    agent: { schema: AGENT_SCHEMA as TSchema, example: AGENT_EXAMPLE },
    host: { schema: HOST_SCHEMA as TSchema, example: HOST_EXAMPLE },
    keys: { schema: KEYS_SCHEMA as TSchema, example: `{"android": "${'0f'.repeat(32)}"}` },
    bundles: { schema: BUNDLE_FILE_SCHEMA as TSchema, example: bundleFileText([PANEL]) },
  };
}

const ours = await schemas();
vi.doMock('../../src/common/schema.ts', () => import('typebox'));
const library = await schemas();
vi.doUnmock('../../src/common/schema.ts');
const fits = (schema: TSchema, value: unknown) => faultsOf(schema, value).length === 0;

type Name = keyof typeof library;

describe.each(Object.keys(library) as Name[])('the schema of %s', (name) => {
  const { schema, example } = library[name];
  const sound = parseConfig('example', example);

  it('is the same text', () => {
    // The library marks its schemas, out of sight of JSON.
    expect(Object.getOwnPropertyNames(schema)).toContain('~kind');
    expect(Object.getOwnPropertyNames(ours[name].schema)).not.toContain('~kind');
    expect(JSON.stringify(ours[name].schema)).toBe(JSON.stringify(schema));
  });

  it('has the same verdict on its example, however that is changed', () => {
    expect(fits(schema, sound)).toBe(true);
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.nat(), VALUE), { minLength: 1, maxLength: 3 }),
        (changes) => {
          const value = structuredClone(sound);
          for (const [place, how, other] of changes) change(value, place, how, other);
          const isFine = Library.Check(schema, value);
          if (!isFine) refused += 1;
          expect(fits(schema, value)).toBe(isFine);
        },
      ),
      { numRuns: 2_000 },
    );
    expect(refused).toBeGreaterThan(200);
  });

  it('has the same verdict on anything', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(fits(schema, value)).toBe(Library.Check(schema, value));
      }),
    );
  });
});

/** Values that stand somewhere in a configuration, and some that do not. */
const VALUE = fc.oneof(
  fc.constantFrom(
    '',
    'none',
    'stream',
    'mqtt',
    'list',
    'command',
    'unix:/a',
    'tcp:h:1',
    'tcp:h:99999',
    'android',
  ),
  fc.constantFrom<unknown>(
    0,
    1,
    -1,
    1.5,
    0xffff_ffff,
    0x1_0000_0000,
    true,
    null,
    [],
    ['a'],
    {},
    { kind: 'mqtt' },
  ),
  fc.string(),
  fc.jsonValue(),
);

/** Puts another value, another key or nothing in one of the places of `root`. */
function change(root: unknown, place: number, how: number, other: unknown): void {
  const places: [Record<string, unknown>, string][] = [];
  const visit = (node: unknown) => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key]);
      visit((node as Record<string, unknown>)[key]);
    }
  };
  visit(root);
  const [node, key] = places[place % Math.max(places.length, 1)] ?? [];
  if (!node || key === undefined) return;
  // Copies: what stands in two places would be changed in both, and could come to contain itself.
  const name = typeof other === 'string' && other !== '__proto__' ? other : 'more';
  if (how % 4 === 0) delete node[key];
  else if (how % 4 === 1 && !Array.isArray(node)) node[name] = structuredClone(node[key]);
  else node[key] = structuredClone(other);
}
