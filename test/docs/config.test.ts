/**
 * docs/CONFIG.md: its tables are what the schemas say (`-u` writes them anew), every field is named and has its
 * sentence, its examples are taken, its defaults are those of the code.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, test } from 'vitest';
import { AGENT_SCHEMA } from '../../src/config/agent-config.ts';
import { BUNDLE_FILE_SCHEMA } from '../../src/config/bundle-file.ts';
import { HOST_SCHEMA } from '../../src/config/host-config.ts';
import { readConfig } from '../../src/config/read.ts';
import { KEYS_SCHEMA } from '../../src/config/shared-parts.ts';
import type { PolicyDecision } from '../../src/core/agent/agent-io.ts';
import { allowList, type PolicyQuestion } from '../../src/core/agent/policy.ts';
import { replaceGenerated } from '../../src/core/protocol/render.ts';
import { HOOKS_SCHEMA } from '../../src/edges/hooks/hooks-config.ts';
import { programPolicy } from '../../targets/node/agent/program-policy.ts';
import { fieldsOf, fieldTable, type Shown } from './config-tables.ts';

const DOCUMENT = '../../docs/CONFIG.md';
const committed = readFileSync(new URL(DOCUMENT, import.meta.url), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'baton-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The hooks of one device: lists of steps, and each kind of step in its widest form. */
const DEVICE = Object.values(
  Object.values((HOOKS_SCHEMA as unknown as Shown).patternProperties!)[0]!.patternProperties!,
)[0]!;
const LISTS = ['prepare[]', 'holdSupplies[]', 'suspend[]', 'resume[]'];
const SUSPEND = DEVICE.properties!['suspend']!.items!;
const kindOf = (branch: Shown) => String(branch.properties!['kind']!.const);

const PARTS = {
  agent: fieldTable(fieldsOf(AGENT_SCHEMA, ['hooks'])),
  host: fieldTable(fieldsOf(HOST_SCHEMA)),
  bundles: fieldTable(fieldsOf(BUNDLE_FILE_SCHEMA)),
  keys: fieldTable([
    {
      path: 'NAME',
      schema: Object.values((KEYS_SCHEMA as unknown as Shown).patternProperties!)[0]!,
      isNeeded: true,
    },
  ]),
  hooks: fieldTable(fieldsOf(DEVICE, LISTS)),
  steps: fieldTable([
    ...fieldsOf(SUSPEND.anyOf![0]!).filter(({ path }) => path === 'name' || path === 'limitMs'),
    ...SUSPEND.anyOf!.flatMap((branch) =>
      fieldsOf(branch, [], kindOf(branch)).filter(({ path }) => !/^[^.]+\.(name|limitMs)$/.test(path)),
    ),
  ]),
};

test('the tables are what the schemas say', async () => {
  const rendered = replaceGenerated(committed, PARTS);
  const isSame = withoutLayout(rendered) === withoutLayout(committed);
  await expect(isSame ? committed : rendered).toMatchFileSnapshot(DOCUMENT);
  const named = [...committed.matchAll(/<!-- generated: ([a-z-]+) -->/g)].map(([, name]) => name!);
  expect(named.sort()).toEqual(Object.keys(PARTS).sort());
});

test.each([
  ['agent', AGENT_SCHEMA],
  ['host', HOST_SCHEMA],
  ['bundles', BUNDLE_FILE_SCHEMA],
  ['keys', KEYS_SCHEMA],
])('every field of the schema %s is named, and has its sentence', (_, schema) => {
  const fields = fieldsOf(schema);
  const names = fields.map(({ path }) => path.split('.').at(-1)!);
  const inCode = [...committed.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
  const isNamed = (name: string) => inCode.some((code) => code === name || code.endsWith(`.${name}`));
  expect(names.filter((name) => !isNamed(name))).toEqual([]);
  // What a union or a nested object is for is said by its parts.
  const dumb = fields.filter(
    ({ schema: { description, anyOf, properties } }) => !description && !anyOf && !properties,
  );
  expect(dumb.map(({ path }) => path)).toEqual([]);
});

test('the example of hooks shows every kind, and is taken', () => {
  const [, text = ''] = /```json\n(\{\n {2}"panel"[\s\S]*?)```/.exec(committed) ?? [];
  readConfig(HOOKS_SCHEMA, 'CONFIG.md', text);
  const shown = [...text.matchAll(/"kind": "([a-z-]+)"/g)].map(([, kind]) => kind!);
  expect([...new Set(shown)].sort()).toEqual(SUSPEND.anyOf!.map(kindOf).sort());
});

const QUESTION: PolicyQuestion = {
  bundle: 'panel' as never,
  borrower: 'vault' as never,
  purpose: 'pin',
  leaseMs: 30_000,
  minHoldMs: 0,
  noticeMs: 2_000,
};

test('a policy program is asked, and may answer, as shown', async () => {
  const [asked, allowed, declined] = [...committed.matchAll(/^(\{"(?:bundle|allow)".*\})$/gm)].map(
    ([, line]) => line!,
  );
  const decide = (answer: string) => {
    const script = `cat > ${join(folder, 'asked')}; printf '%s\\n' '${answer}'`;
    return new Promise<PolicyDecision>((done) =>
      programPolicy(['/bin/sh', '-c', script], 10_000)(QUESTION, done),
    );
  };
  expect(await decide(allowed!)).toEqual({ allow: true, priority: 0 });
  expect(JSON.parse(readFileSync(join(folder, 'asked'), 'utf8'))).toEqual(JSON.parse(asked!));
  expect(JSON.parse(asked!)).toEqual(QUESTION);
  const { detail, retryAfterMs } = JSON.parse(declined!);
  expect(await decide(declined!)).toEqual({ allow: false, reason: 'policy', detail, retryAfterMs });
});

it('says how long a notice may be that an entry does not bound', () => {
  const { noticeMaxMs } = Object.fromEntries(
    fieldsOf(AGENT_SCHEMA).map(({ path, schema }) => [path.split('.').at(-1), schema.default]),
  );
  const decide = (noticeMs: number) => {
    let allows = false;
    const { bundle, borrower } = QUESTION;
    allowList([{ bundle, borrower }])({ ...QUESTION, noticeMs }, ({ allow }) => {
      allows = allow;
    });
    return allows;
  };
  expect([decide(Number(noticeMaxMs)), decide(Number(noticeMaxMs) + 1)]).toEqual([true, false]);
});

function withoutLayout(text: string): string {
  return text.replace(/-{3,}/g, '---').replace(/[*_]/g, '').replace(/\s+/g, ' ');
}
