/** What the documents show can be used as it stands: configurations are sound, links lead somewhere. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, test } from 'vitest';
import { EXIT_WORDS } from '../../src/cli/world.ts';
import { AGENT_EXAMPLE, AGENT_SCHEMA } from '../../src/config/agent-config.ts';
import { HOST_EXAMPLE, HOST_SCHEMA } from '../../src/config/host-config.ts';
import { readConfig } from '../../src/config/read.ts';
import { parseAnswers, parseHello } from '../../src/edges/enforcer/kinds/command/contract.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const DOCUMENTS = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
];

test('README is short', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(120);
});

test('host and agent that are set up from the examples meet at one broker, and on streams at one address', () => {
  const host = readConfig(HOST_SCHEMA, 'host', HOST_EXAMPLE).transport;
  const agent = readConfig(AGENT_SCHEMA, 'agent', AGENT_EXAMPLE).transport;
  expect(host).toMatchObject({ kind: 'mqtt', username: 'host' });
  expect(agent).toEqual({ ...host, username: 'android' });
  const streams = (schema: typeof HOST_SCHEMA | typeof AGENT_SCHEMA, example: string) => {
    const [, stream] = /\/\/.*?(\{ "kind": "stream".*\})/.exec(example) ?? [];
    const text = example.replace(/"transport": .*/, `"transport": ${stream},`);
    return readConfig(schema, 'stream', text).transport as unknown as {
      address: string;
      listen: { android: string };
    };
  };
  expect(streams(AGENT_SCHEMA, AGENT_EXAMPLE).address).toBe(
    streams(HOST_SCHEMA, HOST_EXAMPLE).listen.android,
  );
});

describe('PLATFORMS', () => {
  const text = read('docs/PLATFORMS.md');

  it.each([...text.matchAll(/^`(\{"kind":.*?\})`\./gm)].map(([, config]) => config!))(
    'enforcer %s is sound',
    (config) => {
      const rest = {
        bundles: 'b',
        keys: 'k',
        transport: { kind: 'stream', listen: {} },
        state: 's',
        control: 'c',
      };
      const whole = JSON.stringify({ ...rest, enforcer: JSON.parse(config) });
      expect(readConfig(HOST_SCHEMA, 'PLATFORMS.md', whole)).toBeDefined();
    },
  );

  it('shows answers that the contract accepts', () => {
    const [hello, answers, granted] = [...text.matchAll(/```json\n.*\n(.*)\n```/g)].map(([, line]) => line!);
    expect(parseHello(hello!).ok).toBe(true);
    const calls = [{ op: 'fence', resource: 'touch.mmio0' as never }, { op: 'settle' }] as const;
    expect(parseAnswers(answers!, calls).map(({ ok }) => ok)).toEqual([true, true]);
    const resource = 'touch.mmio0' as never;
    const grant = [
      { op: 'drained', device: 'touch' as never },
      { op: 'grant', resource, vm: 'vault' as never },
      { op: 'inspect', resource },
    ] as const;
    expect(parseAnswers(granted!, grant)).toEqual([
      { ok: true, idle: true },
      { ok: true },
      { ok: true, reach: 'vault' },
    ]);
  });
});

describe('OPERATING', () => {
  const text = read('docs/OPERATING.md');

  it('has the exit statuses of baton, with their words', () => {
    const rows = [...text.matchAll(/^\| +(\d+) +\| (.*?) +\|$/gm)].map(([, code, words]) => [
      Number(code),
      words,
    ]);
    expect(rows).toEqual(EXIT_WORDS.map((row) => [...row]));
  });

  it('names commands that there are', () => {
    const main = ['src/cli/verbs.ts', 'targets/node/cli/commands.ts'].map(read).join();
    const named = [...text.matchAll(/baton ([a-z-]+)/g)].map(([, name]) => name!);
    const known = (name: string) => new RegExp(`^ +'?${name}'?: [A-Za-z]`, 'm').test(main);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !known(name))).toEqual([]);
  });
});

it.each(DOCUMENTS)('links of %s lead to files', (document) => {
  const links = [...read(document).matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)].map(([, path]) => path!);
  expect(links.filter((path) => !existsSync(join(ROOT, dirname(document), path)))).toEqual([]);
});

it.each(DOCUMENTS)('every JSON example of %s is JSON, whole or line by line', (document) => {
  const blocks = [...read(document).matchAll(/```json\n([\s\S]*?)```/g)].map(([, block]) => block!.trim());
  const values = blocks.flatMap((block) => (isJson(block) ? [block] : block.split('\n')));
  expect(values.filter((value) => !isJson(value))).toEqual([]);
});

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
}
