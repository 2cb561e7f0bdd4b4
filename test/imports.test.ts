/** Who may import what, and which globals the pure parts may not touch. The rules are those of docs/ARCHITECTURE.md. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder)).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(join(ROOT, path)).isDirectory()) return sources(path);
    return name.endsWith('.ts') ? [path] : [];
  });
}

interface Source {
  readonly path: string;
  readonly code: string;
  readonly imports: readonly { readonly from: string }[];
}

const all: Source[] = [...sources('src'), ...sources('targets')].map((path) =>
  sourceOf(path, readFileSync(join(ROOT, path), 'utf8')),
);

/** Every form in which a file names another: `from`, for its effects alone, at run time, or as a type. */
function sourceOf(path: string, text: string): Source {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const named = code.matchAll(
    /\b(?:(?:import|export)\b[^'"`;]*?\bfrom\s*|import\s*\(\s*|import\s*)(['"`])([^'"`]+)\1/g,
  );
  const imports = [...named].map(([, , from]) => ({
    from: from!.startsWith('.') ? relative(ROOT, join(ROOT, path, '..', from!)) : from!,
  }));
  return { path, code, imports };
}

/** Files below `folder`, or that file: at least one, or a rule would be about nothing. */
const inside = (folder: string) => {
  const found = all.filter(({ path }) => path.startsWith(folder));
  if (found.length === 0) throw new Error(`${folder}: there is no such file`);
  return found;
};

/** Folder → what its files may import, besides each other. */
const RULES: Readonly<Record<string, readonly string[]>> = {
  'src/protocol/': ['src/ports.ts'],
  'src/wire/': ['src/protocol/', '@noble/hashes/', 'cbor-x/index-no-eval'],
  'src/journal/': [],
  'src/control/': [
    'src/agent/',
    'src/host/',
    'src/near.ts',
    'src/ports.ts',
    'src/protocol/',
    'src/wire/utf8.ts',
  ],
  'src/link/': ['src/ports.ts', 'src/protocol/', 'src/quiet-log.ts', 'src/turns.ts', 'src/wire/'],
  'src/agent/': [
    'src/link/',
    'src/ports.ts',
    'src/protocol/',
    'src/quiet-log.ts',
    'src/runner.ts',
    'src/wire/',
    'tiny-typed-emitter',
  ],
  'src/host/': [
    'src/enforcer/port.ts',
    'src/link/',
    'src/ports.ts',
    'src/protocol/',
    'src/runner.ts',
    'src/quiet-log.ts',
    'src/wire/',
    '@noble/hashes/',
    'tiny-typed-emitter',
  ],
  'src/enforcer/': ['src/control/lines.ts', 'src/ports.ts', 'src/protocol/'],
  'src/transport/': [
    'src/ports.ts',
    'src/protocol/',
    'src/quiet-log.ts',
    'src/turns.ts',
    'src/wire/',
    'mqtt',
    'mqtt-packet',
  ],
  'src/hooks/': ['src/control/lines.ts', 'src/ports.ts', 'src/protocol/', 'src/schema.ts'],
  'src/config/': [
    'src/addresses.ts',
    'src/devicetree/',
    'src/hooks/hooks-config.ts',
    'src/hooks/names.ts',
    'src/plain-text.ts',
    'src/protocol/',
    'src/schema.ts',
    'src/wire/digest.ts',
    'src/wire/pair-keys.ts',
    'jsonc-parser',
  ],
  'src/devicetree/': [
    'src/plain-text.ts',
    'src/protocol/bundle.ts',
    'src/protocol/evidence.ts',
    'src/protocol/ids.ts',
  ],
  'src/simulation/': ['src/enforcer/', 'src/ports.ts', 'src/protocol/'],
  'src/cli/': [
    'src/config/',
    'src/control/',
    'src/host/audit.ts',
    'src/near.ts',
    'src/plain-text.ts',
    'src/protocol/codes.ts',
    'src/protocol/ids.ts',
  ],
};

describe('what this test reads of a file', () => {
  const read = (text: string) => sourceOf('src/a/b.ts', text);

  it.each([
    ["import { a } from '../c/d.ts';", 'src/c/d.ts'],
    ["import type { A } from '../c/d.ts';", 'src/c/d.ts'],
    ["import {\n  a,\n  type B,\n} from './e.ts';", 'src/a/e.ts'],
    ["export * from 'mqtt';", 'mqtt'],
    ["export { a } from 'node:fs';", 'node:fs'],
    ["import 'node:fs';", 'node:fs'],
    ['import("node:fs").then(run);', 'node:fs'],
    ["type A = import('../c/d.ts').A;", 'src/c/d.ts'],
    ['import x from "mqtt";', 'mqtt'],
  ])('finds the import of %j', (text, from) => {
    expect(read(text).imports).toEqual([{ from }]);
  });

  it('leaves out comments, and text is no code', () => {
    const text = "/** import 'a'; */\n// import 'b';\nconst x = 'Date.now';";
    expect(read(text).imports).toEqual([]);
    expect(withoutText(read(text).code)).not.toMatch(/Date/);
  });

  it.each(['process.exit(1);', 'new TextDecoder();', 'setTimeout(run, 1);', 'const { random } = crypto;'])(
    'knows that QuickJS lacks %j',
    (code) => {
      expect(EVERYWHERE.test(withoutText(code))).toBe(true);
    },
  );

  it.each(['const a = { process: 1 };', "log('process');", 'reprocess();'])(
    'takes %j for nothing of it',
    (code) => {
      expect(EVERYWHERE.test(withoutText(code))).toBe(false);
    },
  );

  it.each(['Date.now();', 'await x;', 'Math.random();', 'new Promise(run);', 'console.log(x);'])(
    'knows that %j is not pure',
    (code) => expect(IMPURE.test(withoutText(code))).toBe(true),
  );
});

const GLOBALS =
  'process|Buffer|require|__dirname|setTimeout|setInterval|setImmediate|queueMicrotask|structuredClone|' +
  'TextEncoder|TextDecoder|URL|crypto|performance';
const EVERYWHERE = new RegExp(`\\b(${GLOBALS})\\b(?!\\s*:)(?!['\\w])`);
const IMPURE = /\b(Date|Promise|async|await|EventEmitter|TypedEmitter)\b|Math\.random|console\./;

describe('imports', () => {
  it.each(Object.entries(RULES))('of %s stay within their rule', (folder, allowed) => {
    const bad = inside(folder).flatMap(({ path, imports }) =>
      imports
        .filter(({ from }) => !from.startsWith(folder) && !allowed.some((prefix) => from.startsWith(prefix)))
        .map(({ from }) => `${path} → ${from}`),
    );
    expect(bad).toEqual([]);
  });

  it('of every folder in src have a rule', () => {
    const folders = new Set(inside('src/').map(({ path }) => path.split('/').slice(0, 2).join('/')));
    const unruled = [...folders].filter((folder) => !folder.endsWith('.ts') && !(`${folder}/` in RULES));
    expect(unruled).toEqual([]);
  });

  it.each([
    ['cbor-x', 'src/wire/codec.ts'],
    ['mqtt', 'src/transport/mqtt'],
    ['tiny-typed-emitter', 'src/agent/agent.ts src/host/host.ts'],
  ])('of %s happen in one place', (name, places) => {
    const users = inside('src/').filter(({ imports }) =>
      imports.some(({ from }) => from === name || from.startsWith(`${name}/`)),
    );
    expect(
      users
        .filter(({ path }) => !places.split(' ').some((place) => path.startsWith(place)))
        .map(({ path }) => path),
    ).toEqual([]);
    expect(users.length).toBeGreaterThan(0);
  });

  it('of node: happen in targets only', () => {
    const users = inside('src/').filter(({ imports }) =>
      imports.some(({ from }) => from.startsWith('node:')),
    );
    expect(users.map(({ path }) => path)).toEqual([]);
  });
});

describe('globals', () => {
  const PURE = [
    'src/protocol/',
    'src/wire/',
    'src/journal/',
    'src/host/remap.ts',
    'src/host/attribution.ts',
    'src/host/audit.ts',
    'src/host/stamp.ts',
  ];
  it.each(PURE)('%s has no clock, randomness, promise or emitter', (folder) => {
    const bad = inside(folder).filter(({ code }) => IMPURE.test(withoutText(code)));
    expect(bad.map(({ path }) => path)).toEqual([]);
  });

  it('src uses none that QuickJS lacks', () => {
    const bad = inside('src/').filter(({ code }) => EVERYWHERE.test(withoutText(code)));
    expect(bad.map(({ path, code }) => `${path}: ${EVERYWHERE.exec(withoutText(code))?.[0]}`)).toEqual([]);
  });
});

const WRITES = /\bstd(err|out)\.write\(|\bos\.write\(2|console\./;

describe('text for people', () => {
  /** They make each line harmless; the last one writes what it was given about itself, as --example. */
  const WRITERS = [
    'targets/node/terminal.ts',
    'targets/node/log.ts',
    'targets/node/cli.ts',
    'targets/quickjs/guard.ts',
    'targets/node/daemon.ts',
    'targets/node/program.ts',
  ];

  it.each(WRITERS)('%s is there, and writes', (path) => {
    expect(inside(path).some(({ code }) => /\bstd(err|out)\b|\bos\.write|console\./.test(code))).toBe(true);
  });

  it('leaves a shipped program by the few writers that make it harmless', () => {
    const bad = [...inside('src/'), ...inside('targets/node/'), ...inside('targets/quickjs/')]
      .filter(({ path }) => !WRITERS.includes(path) && !path.startsWith('targets/quickjs/build/'))
      .filter(({ code }) => WRITES.test(code));
    expect(bad.map(({ path }) => path)).toEqual([]);
  });
});

/** Code without its string literals. */
function withoutText(code: string): string {
  return code.replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, "''");
}

describe('sizes', () => {
  it('no source file is much longer than 400 lines', () => {
    const long = all.map(
      ({ path }) => [path, readFileSync(join(ROOT, path), 'utf8').split('\n').length] as const,
    );
    expect(long.filter(([, lines]) => lines > 425)).toEqual([]);
  });
});
