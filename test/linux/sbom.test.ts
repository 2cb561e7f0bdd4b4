/**
 * The list of what programs consist of: its form, and that it is true. Whether something of a package is in a program
 * is judged by its lines, without the bundler. The document as `npm run sbom` writes it is tested in
 * test/quickjs/sbom.test.ts.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { type SbomInput, sbomOf } from '../../targets/linux/sbom/sbom.ts';
import { until } from '../edges/transport/worlds.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const PROGRAMS = ['baton', 'baton-agent', 'baton-host'];

const INPUT: SbomInput = {
  name: 'baton',
  version: '1.2.3',
  license: 'Apache-2.0',
  programs: [
    { file: 'dist/a.mjs', sha256: 'aa', packages: ['node_modules/@x/y', 'node_modules/z'], native: [] },
    {
      file: 'dist/b',
      sha256: 'bb',
      packages: ['node_modules/z'],
      native: [
        { name: 'musl', version: '1', purl: 'pkg:deb/debian/musl@1', license: 'MIT', sourceSha256: 'cc' },
      ],
    },
  ],
  lock: {
    'node_modules/@x/y': { version: '4.0.0', license: '(MIT OR CC0-1.0)', integrity: 'sha512-AP8=' },
    'node_modules/z': { version: '5.0.0', license: 'ISC' },
    'node_modules/other': { version: '6.0.0', license: 'ISC' },
  },
  timestamp: '2025-01-01T00:00:00.000Z',
  serial: '3e671687-395b-41f5-a30f-a58921a69b79',
};

describe('the document', () => {
  it('has each library once, and which program it is in', () => {
    const bom = sbomOf(INPUT);
    const y = 'pkg:npm/%40x/y@4.0.0';
    const z = 'pkg:npm/z@5.0.0';
    const musl = 'pkg:deb/debian/musl@1';
    expect(bom.components.map((component) => component['bom-ref'])).toEqual([
      'dist/a.mjs',
      'dist/b',
      musl,
      y,
      z,
    ]);
    expect(bom.dependencies).toEqual([
      { ref: 'baton@1.2.3', dependsOn: ['dist/a.mjs', 'dist/b'] },
      { ref: 'dist/a.mjs', dependsOn: [y, z] },
      { ref: 'dist/b', dependsOn: [musl, z] },
    ]);
    expect(bom.components.find(({ purl }) => purl === y)).toEqual({
      type: 'library',
      'bom-ref': y,
      group: '@x',
      name: 'y',
      version: '4.0.0',
      purl: y,
      licenses: [{ expression: '(MIT OR CC0-1.0)' }],
      hashes: [{ alg: 'SHA-512', content: '00ff' }],
    });
  });

  it('is not made of a package that nobody has locked, or that has no licence', () => {
    const { 'node_modules/z': z, ...rest } = INPUT.lock;
    expect(() => sbomOf({ ...INPUT, lock: rest })).toThrow('node_modules/z is not in package-lock.json');
    const lock = { ...rest, 'node_modules/z': { version: z!.version } };
    expect(() => sbomOf({ ...INPUT, lock })).toThrow(
      'node_modules/z: package-lock.json has no licence of it',
    );
  });
});

/** Packages of one line, which the bundler rewrites. */
const TINY = ['node_modules/process', 'node_modules/tiny-typed-emitter'];
/** What `debug` tries to load, and does without. */
const OPTIONAL = 'supports-color';

/** Lines that are long enough to be nobody else's by chance. The bundler adds semicolons. */
function telling(text: string): Set<string> {
  const lines = text.split('\n').map((line) => line.trim().replace(/;$/, ''));
  return new Set(lines.filter((line) => line.length >= 40 && !/^(\/[/*]|\*)/.test(line)));
}

describe('the packages in a program on Node', () => {
  /** Line → the packages that have it. */
  const owners = new Map<string, string[]>();
  beforeAll(() => {
    for (const path of Object.keys(
      (JSON.parse(read('package-lock.json')) as { packages: object }).packages,
    )) {
      const folder = join(ROOT, path);
      if (path === '' || !existsSync(folder)) continue;
      const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
        (file) => /\.[cm]?js$/.test(file) && !file.includes('node_modules/'),
      );
      const lines = telling(files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n'));
      for (const line of lines) owners.set(line, [...(owners.get(line) ?? []), path]);
    }
  });

  it.each(PROGRAMS)('%s are those that are listed', (program) => {
    const listed = JSON.parse(read(`dist/packages/${program}.json`)) as string[];
    const found = new Map<string, number>();
    for (const line of telling(read(`dist/${program}.mjs`))) {
      const [owner, ...others] = owners.get(line) ?? [];
      if (owner !== undefined && others.length === 0) found.set(owner, (found.get(owner) ?? 0) + 1);
    }
    // Two lines may be common words of a trade.
    const seen = [...found].filter(([, count]) => count > 2).map(([path]) => path);
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.filter((path) => !listed.includes(path))).toEqual([]);
    expect(listed.filter((path) => !found.has(path) && !TINY.includes(path))).toEqual([]);
  });
});

describe('a program on Node stands alone', () => {
  it.each(PROGRAMS)('%s names no module but those of Node', (program) => {
    const text = read(`dist/${program}.mjs`);
    const named = [...text.matchAll(/^(?:import|export)\b[^'"\n]*?(?:from )?['"]([^'"\n]+)['"]/gm)].map(
      ([, name]) => name!,
    );
    const loaded = [...text.matchAll(/\b(?:import|require\$?\d*)\(\s*['"]([^'"\n]+)['"]\s*\)/g)].map(
      ([, name]) => name!,
    );
    const isOfNode = (name: string) => builtinModules.includes(name.replace(/^node:/, ''));
    expect(named.length).toBeGreaterThan(5);
    expect([...named, ...loaded].filter((name) => !isOfNode(name) && name !== OPTIONAL)).toEqual([]);
  });

  it('an agent serves in a folder where there is no package', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'baton-alone-'));
    let agent: ChildProcess | undefined;
    try {
      copyFileSync(join(ROOT, 'dist/baton-agent.mjs'), join(folder, 'baton-agent.mjs'));
      copyFileSync(join(ROOT, 'docs/examples/bundles.json'), join(folder, 'bundles.json'));
      const keys = JSON.stringify({ host: '11'.repeat(32), android: '22'.repeat(32) });
      writeFileSync(join(folder, 'keys.json'), keys, { mode: 0o600 });
      const config = {
        vm: 'vault',
        bundles: 'bundles.json',
        keys: 'keys.json',
        // Nobody listens there; that the library for it is loaded is what counts.
        transport: { kind: 'mqtt', url: `mqtt+unix://${folder}/broker` },
        state: 'state',
        control: 'control',
      };
      writeFileSync(join(folder, 'vault.json'), JSON.stringify(config));
      agent = spawn(process.execPath, ['baton-agent.mjs', '--config', 'vault.json'], {
        cwd: folder,
        env: { PATH: process.env['PATH'] },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let said = '';
      agent.stderr!.on('data', (bytes) => {
        said += bytes;
      });
      await until('it serves, and looks for its broker', () => {
        if (agent!.exitCode !== null) throw new Error(said);
        return said.includes('serving') && said.includes('not connected to the broker');
      });
    } finally {
      agent?.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });
});
