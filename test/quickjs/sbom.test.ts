/**
 * dist/sbom.json as `npm run sbom` writes it: what CycloneDX 1.5 requires, and what the static programs have besides
 * packages.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import type { Bom } from '../../targets/linux/sbom/sbom.ts';
import { SOURCE_SHA256 } from '../../targets/quickjs/build/engine.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, file));
let bom: Bom;
beforeAll(() => {
  const { status, stderr } = spawnSync('npm', ['run', '--silent', 'sbom'], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' },
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  bom = JSON.parse(read('dist/sbom.json').toString());
});

const libraries = () => bom.components.filter(({ type }) => type === 'library');
const partsOf = (file: string) => bom.dependencies.find(({ ref }) => ref === file)!.dependsOn;

it('has what the format requires', () => {
  expect(bom).toMatchObject({
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { timestamp: '2023-11-14T22:13:20.000Z', component: { type: 'application', name: 'baton' } },
  });
  expect(bom.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  const refs = [bom.metadata.component, ...bom.components].map((component) => component['bom-ref']);
  expect(new Set(refs).size).toBe(refs.length);
  // Every one is somewhere, and nothing is named that is not there.
  expect(new Set(bom.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]))).toEqual(
    new Set(refs),
  );
  for (const component of bom.components) {
    expect(component.name).not.toBe('');
    expect(component.version).not.toBe('');
    expect(component.licenses).toHaveLength(1);
    for (const { alg, content } of component.hashes ?? [])
      expect(content).toMatch(alg === 'SHA-512' ? /^[0-9a-f]{128}$/ : /^[0-9a-f]{64}$/);
  }
  for (const { purl, hashes } of libraries())
    if (purl!.startsWith('pkg:npm/')) expect(hashes, purl).toHaveLength(1);
});

it('has the programs by their hashes', () => {
  const programs = bom.components.filter(({ type }) => type === 'application');
  expect(programs.map(({ name }) => name)).toEqual([
    'dist/baton.mjs',
    'dist/baton-agent.mjs',
    'dist/baton-host.mjs',
    'dist/quickjs/baton-agent.js',
    'dist/quickjs/baton-agent-mqtt.js',
    'dist/quickjs/x86_64/baton-agent',
    'dist/quickjs/x86_64/baton-agent-mqtt',
    'dist/quickjs/aarch64/baton-agent',
    'dist/quickjs/aarch64/baton-agent-mqtt',
  ]);
  for (const { name, hashes } of programs)
    expect(hashes![0]!.content).toBe(createHash('sha256').update(read(name)).digest('hex'));
});

it.each(['x86_64', 'aarch64'])(
  'the static program for %s has engine and C library, and packages that it needs',
  (machine) => {
    const parts = partsOf(`dist/quickjs/${machine}/baton-agent`);
    expect(parts.map((ref) => ref.replace(/@[^@]*$/, ''))).toEqual([
      'pkg:deb/debian/musl',
      'pkg:deb/debian/quickjs',
      'pkg:generic/gcc',
      'pkg:npm/cbor-x',
      'pkg:npm/events',
      'pkg:npm/jsonc-parser',
      'pkg:npm/tiny-typed-emitter',
    ]);
    const quickjs = libraries().find(({ name }) => name === 'quickjs')!;
    expect(quickjs).toMatchObject({ version: '2025-04-26', licenses: [{ license: { id: 'MIT' } }] });
    expect(quickjs.hashes).toEqual([{ alg: 'SHA-256', content: SOURCE_SHA256 }]);
  },
);

it('MQTT is in the programs that speak it alone', () => {
  const { version } = JSON.parse(read('node_modules/mqtt/package.json').toString()) as { version: string };
  const has = bom.dependencies.filter(({ dependsOn }) => dependsOn.includes(`pkg:npm/mqtt@${version}`));
  expect(has.map(({ ref }) => ref)).toEqual([
    'dist/baton-agent.mjs',
    'dist/baton-host.mjs',
    'dist/quickjs/baton-agent-mqtt.js',
    'dist/quickjs/x86_64/baton-agent-mqtt',
    'dist/quickjs/aarch64/baton-agent-mqtt',
  ]);
});

it('nothing that builds or tests is in it', () => {
  const names = libraries().map(({ name }) => name);
  expect(
    names.filter((name) =>
      ['rollup', 'vitest', 'typescript', 'biome', 'aedes', 'ws', 'terser'].includes(name),
    ),
  ).toEqual([]);
});
