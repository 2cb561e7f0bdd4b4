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

/** A folder with a part of its own to play. */
interface Room {
  /** How much stands below it: imports go down, never up nor across. */
  readonly floor: number;
  /** What its files may import besides each other: rooms, files of rooms, packages. */
  readonly may: readonly string[];
}

const PROTOCOL = 'src/core/protocol/';
const WIRE = 'src/core/wire/';
const PORTS = 'src/ports/';
const COMMON = 'src/common/';

const ROOMS: Readonly<Record<string, Room>> = {
  [PROTOCOL]: { floor: 0, may: [] },
  [PORTS]: { floor: 1, may: [`${PROTOCOL}ids.ts`, `${PROTOCOL}codes.ts`] },
  [WIRE]: { floor: 1, may: [PROTOCOL, '@noble/hashes/', 'cbor-x/index-no-eval'] },
  [COMMON]: { floor: 2, may: [PORTS, `${PROTOCOL}ids.ts`, 'typebox'] },
  'src/core/agent/': { floor: 2, may: [PROTOCOL, PORTS, `${WIRE}digest.ts`, `${WIRE}utf8.ts`] },
  'src/core/host/': {
    floor: 2,
    may: [PROTOCOL, PORTS, `${WIRE}bytes.ts`, `${WIRE}digest.ts`, `${WIRE}hash.ts`],
  },
  'src/drivers/': {
    floor: 3,
    may: [PROTOCOL, WIRE, PORTS, COMMON, 'src/core/agent/', 'src/core/host/', 'tiny-typed-emitter'],
  },
  'src/edges/': { floor: 3, may: [PROTOCOL, WIRE, PORTS, COMMON, 'mqtt'] },
  'src/planner/': {
    floor: 3,
    may: [`${PROTOCOL}bundle.ts`, `${PROTOCOL}evidence.ts`, `${PROTOCOL}ids.ts`, `${COMMON}plain-text.ts`],
  },
  'src/cli/': { floor: 3, may: [`${PROTOCOL}codes.ts`, COMMON, 'src/core/host/audit.ts'] },
  'src/config/': {
    floor: 4,
    may: [
      PROTOCOL,
      `${WIRE}digest.ts`,
      `${WIRE}pair-keys.ts`,
      COMMON,
      'src/edges/hooks/hooks-config.ts',
      'src/edges/hooks/kind',
      'src/edges/hooks/names.ts',
      'src/edges/hooks/sys-look.ts',
      'src/edges/enforcer/kind',
      'src/edges/transport/kind',
      'src/planner/',
      'jsonc-parser',
    ],
  },
  'targets/native/': { floor: 3, may: [PORTS, COMMON] },
  'targets/node/': {
    floor: 5,
    may: ['src/', 'targets/native/', 'node:', 'targets/linux/systemd/', 'docs/mosquitto/'],
  },
  'targets/quickjs/build/': {
    floor: 6,
    may: ['targets/node/program/version.ts', 'node:', `\${root}/targets/quickjs/build/`],
  },
  'targets/quickjs/': {
    floor: 6,
    may: ['src/', 'targets/native/', 'targets/node/', 'qjs:', 'buffer', 'events', 'node:stream'],
  },
  'targets/lab/': {
    floor: 7,
    may: ['src/', 'targets/node/', 'targets/quickjs/', 'node:', 'aedes'],
  },
  'targets/linux/': { floor: 7, may: ['targets/quickjs/build/', 'node:'] },
};
const NAMES = Object.keys(ROOMS);
/** Rooms in `src`, and arrows between them: more would be a maze. */
const ARROWS_MAX = 30;
const FLOORS_MAX = 8;

/** The room that a file is in. */
function roomOf(path: string): string | undefined {
  return NAMES.filter((name) => path.startsWith(name)).sort((a, b) => b.length - a.length)[0];
}

/** Imports that the rule of their room forbids. */
function forbidden(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, imports }) => {
    const name = roomOf(path);
    if (name === undefined) return [`${path} is in no room`];
    return imports
      .filter(({ from }) => roomOf(from) !== name && !ROOMS[name]!.may.some((each) => from.startsWith(each)))
      .map(({ from }) => `${path} → ${from}`);
  });
}

/** Arrows between rooms: who imports from whom, whatever kind of import it is, but for the mere text of a file. */
function arrowsOf(sources: readonly Source[]): string[][] {
  const arrows = sources.flatMap(({ path, imports }) =>
    imports
      .filter(({ from }) => !from.endsWith('?raw'))
      .map(({ from }) => [roomOf(path), roomOf(from)].join(' ')),
  );
  return [...new Set(arrows)].map((arrow) => arrow.split(' ')).filter(([a, b]) => a && b && a !== b);
}

/** Arrows that do not go down. */
const rising = (arrows: readonly string[][]) =>
  arrows.filter(([from, to]) => ROOMS[from!]!.floor <= ROOMS[to!]!.floor).map((arrow) => arrow.join(' → '));

/** A file that is reached from itself, by imports of any kind, with the way; undefined when there is none. */
function circle(sources: readonly Source[]): readonly string[] | undefined {
  const graph = new Map(sources.map(({ path, imports }) => [path, imports.map(({ from }) => from)]));
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): readonly string[] | undefined => {
    if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
    if (done.has(path)) return undefined;
    done.add(path);
    for (const next of graph.get(path) ?? []) {
      const found = visit(next, [...way, path]);
      if (found) return found;
    }
    return undefined;
  };
  for (const path of graph.keys()) {
    const found = visit(path, []);
    if (found) return found;
  }
  return undefined;
}

/** Files that `entry` consists of. */
function closure(entry: string): Set<string> {
  const graph = new Map(all.map(({ path, imports }) => [path, imports]));
  const reached = new Set([entry]);
  for (const path of reached) for (const { from } of graph.get(path) ?? []) reached.add(from);
  return reached;
}

/** What a file of types may not have: it would be there at run time. */
const AT_RUN_TIME =
  /^(export )?(abstract )?(const|let|var|function|class|enum)\b|^import (?!type\b)|\bimport\s*\(/m;

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

describe('each rule', () => {
  const bad = (path: string, text: string) => forbidden([sourceOf(path, text)]);

  it.each([
    ['src/core/protocol/x.ts', "import type { Clock } from '../../ports/world.ts';"],
    ['src/core/wire/x.ts', "import { a } from '../agent/owner.ts';"],
    ['src/core/wire/x.ts', "type A = import('../../ports/world.ts').Clock;"],
    ['src/core/host/x.ts', "const a = import('../agent/owner.ts');"],
    ['src/ports/x.ts', "import type { Bundle } from '../core/protocol/bundle.ts';"],
    ['src/common/x.ts', "import { a } from '../core/wire/bytes.ts';"],
    ['src/drivers/host/x.ts', "import type { A } from '../../edges/enforcer/kinds/none/none-enforcer.ts';"],
    ['src/drivers/host/x.ts', "import { readFileSync } from 'node:fs';"],
    ['src/config/x.ts', "import { a } from '../edges/hooks/hooks.ts';"],
    ['src/planner/x.ts', "import { a } from '../config/read.ts';"],
    ['src/cli/x.ts', "import { a } from '../drivers/host/host.ts';"],
    ['src/x.ts', ''],
    ['targets/native/x.ts', "import { a } from '../node/cli/cli.ts';"],
    ['targets/node/x.ts', "import { a } from '../lab/sabotage/sabotage.ts';"],
    ['targets/node/agent/x.ts', "const a = await import('../../lab/demo/demo.ts');"],
    ['targets/quickjs/x.ts', "import { a } from '../lab/bench/party.ts';"],
    ['targets/quickjs/build/x.ts', "import { a } from '../main.ts';"],
    ['targets/linux/sbom/x.ts', "import { a } from '../../node/agent/agent.ts';"],
    ['targets/x.ts', ''],
  ])('finds that %s may not have %j', (path, text) => expect(bad(path, text)).toHaveLength(1));

  it('lets a file import its own room, and what the rule names', () => {
    expect(
      bad('src/cli/x.ts', "import { a } from './b.ts';\nimport { c } from '../common/near.ts';"),
    ).toEqual([]);
  });

  it('finds an arrow that goes up, and one that goes across', () => {
    const source = (path: string, from: string) => sourceOf(path, `import type { A } from '${from}';`);
    const up = source('src/core/wire/x.ts', '../../cli/a.ts');
    const across = source('src/edges/x.ts', '../drivers/a.ts');
    const down = source('src/cli/x.ts', '../common/a.ts');
    expect(rising(arrowsOf([up, across, down]))).toEqual([
      'src/core/wire/ → src/cli/',
      'src/edges/ → src/drivers/',
    ]);
  });

  it('finds a circle of files, by types as well', () => {
    const a = sourceOf('src/cli/a.ts', "import type { B } from './b.ts';");
    const b = sourceOf('src/cli/b.ts', "export * from './c.ts';");
    const c = sourceOf('src/cli/c.ts', "type A = import('./a.ts').A;");
    expect(circle([a, b])).toBeUndefined();
    expect(circle([a, b, c])).toEqual(['src/cli/a.ts', 'src/cli/b.ts', 'src/cli/c.ts', 'src/cli/a.ts']);
  });

  it.each([
    'export const LIMIT = 1;',
    'export function f() {}',
    'export class A {}',
    "import { a } from './b.ts';",
    "const a = import('./b.ts');",
  ])('knows that %j is no type', (code) => expect(AT_RUN_TIME.test(code)).toBe(true));

  it.each(["import type { A } from './b.ts';", 'export interface A {}', "export type A = 'a';"])(
    'takes %j for types',
    (code) => expect(AT_RUN_TIME.test(code)).toBe(false),
  );

  it.each([
    "import type { Clock } from '../../ports/world.ts';",
    "import type {\n  Entropy,\n  HookName,\n} from '../../ports/world.ts';",
  ])('knows that %j takes something of the world', (code) => expect(OF_THE_WORLD.test(code)).toBe(true));

  it('knows that a word about a clock is none', () =>
    expect(OF_THE_WORLD.test("import type { HookName } from '../../ports/world.ts';")).toBe(false));
});

const GLOBALS =
  'process|Buffer|require|__dirname|setTimeout|setInterval|setImmediate|queueMicrotask|structuredClone|' +
  'TextEncoder|TextDecoder|URL|crypto|performance';
const EVERYWHERE = new RegExp(`\\b(${GLOBALS})\\b(?!\\s*:)(?!['\\w])`);
const IMPURE = /\b(Date|Promise|async|await|EventEmitter|TypedEmitter)\b|Math\.random|console\./;
/** Of the ports what does something, by name. */
const WORLD = 'Clock|Entropy|Transport|Journal|DriverHooks|StreamNetwork|Log|ByteStream';
const OF_THE_WORLD = new RegExp(`import type \\{[^}]*\\b(${WORLD})\\b[^}]*\\} from '[^']*ports/world\\.ts'`);
/** Switches of a safeguard: tables of the enforcer that owns them, for the simulated machine alone. */
const SABOTAGE = ['src/edges/enforcer/simulated.ts', 'src/edges/enforcer/tables.ts'];

describe('imports', () => {
  it('stay within the rule of their room', () => expect(forbidden(all)).toEqual([]));

  it.each(NAMES)('%s has files', (name) => {
    expect(all.some(({ path }) => roomOf(path) === name)).toBe(true);
  });

  it('go down, on a few floors', () => {
    expect(rising(arrowsOf(all))).toEqual([]);
    const floors = new Set(NAMES.map((name) => ROOMS[name]!.floor));
    expect([...floors].sort()).toEqual(Array.from({ length: floors.size }, (_, floor) => floor));
    expect(floors.size).toBeLessThanOrEqual(FLOORS_MAX);
  });

  it('are few arrows between the rooms of src', () => {
    const arrows = arrowsOf(inside('src/'));
    expect(arrows.length).toBeGreaterThan(20);
    expect(arrows.length).toBeLessThanOrEqual(ARROWS_MAX);
  });

  it('make no circle of files', () => expect(circle(inside('src/'))).toBeUndefined());

  it('of ports are types, and so is all that is in them', () => {
    const bad = inside(PORTS).filter(({ code }) => AT_RUN_TIME.test(code));
    expect(bad.map(({ path }) => path)).toEqual([]);
  });

  it('join no kinds of edges', () => {
    const kindOf = (path: string) => path.split('/')[2];
    const bad = inside('src/edges/').flatMap(({ path, imports }) =>
      imports
        .filter(({ from }) => from.startsWith('src/edges/') && kindOf(from) !== kindOf(path))
        .map(({ from }) => `${path} → ${from}`),
    );
    expect(bad).toEqual([]);
  });

  it.each([
    ['src/drivers/agent/', 'src/drivers/host/'],
    ['src/drivers/host/', 'src/drivers/agent/'],
    ['src/drivers/link/', 'src/drivers/agent/'],
    ['src/drivers/link/', 'src/drivers/host/'],
    ['src/drivers/journal/', 'src/'],
  ])('of %s leave %s out', (folder, other) => {
    const users = inside(folder).filter(({ imports }) =>
      imports.some(({ from }) => from.startsWith(other) && !from.startsWith(folder)),
    );
    expect(users.map(({ path }) => path)).toEqual([]);
  });

  it.each(['node/agent/agent-main.ts', 'node/host/host-main.ts', 'quickjs/main.ts', 'quickjs/main-mqtt.ts'])(
    'of targets/%s reach nothing of the lab, and no sabotage',
    (entry) => {
      const files = [...closure(`targets/${entry}`)];
      expect(files.length).toBeGreaterThan(100);
      const lab = files.filter((file) => file.startsWith('targets/lab/') || SABOTAGE.includes(file));
      expect(lab).toEqual([]);
    },
  );

  it('of the lab do reach the sabotage: this test knows it when it sees it', () => {
    const files = closure('targets/lab/simulator/machine-main.ts');
    expect(SABOTAGE.filter((file) => files.has(file))).toEqual(SABOTAGE);
  });

  it.each([
    ['cbor-x', 'src/core/wire/codec.ts'],
    ['mqtt', 'src/edges/transport/kinds/mqtt/'],
    ['tiny-typed-emitter', 'src/drivers/agent/agent.ts src/drivers/host/host.ts'],
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

  it('of node: happen in targets only, and not in the simulated machine', () => {
    const users = [...inside('src/'), ...inside('targets/lab/machine/')].filter(({ imports }) =>
      imports.some(({ from }) => from.startsWith('node:')),
    );
    expect(users.map(({ path }) => path)).toEqual([]);
  });
});

describe('globals', () => {
  const PURE = ['src/core/', 'src/planner/', 'src/drivers/journal/'];
  /** What takes a clock, a log or random bytes by a port: to be given facts instead. */
  const TAKES: readonly string[] = [];

  it.each(PURE)('%s has no clock, randomness, promise or emitter', (folder) => {
    const bad = inside(folder).filter(({ code }) => IMPURE.test(withoutText(code)));
    expect(bad.map(({ path }) => path)).toEqual([]);
  });

  it('pure parts take nothing of the world, but for those that are known', () => {
    const users = PURE.flatMap(inside).filter(({ code }) => OF_THE_WORLD.test(code));
    expect(users.map(({ path }) => path)).toEqual(TAKES.map((name) => `src/core/${name}.ts`));
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
    'targets/node/program/terminal.ts',
    'targets/node/program/log.ts',
    'targets/node/cli/cli.ts',
    'targets/quickjs/guard.ts',
    'targets/node/program/daemon.ts',
    'targets/node/program/program.ts',
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
