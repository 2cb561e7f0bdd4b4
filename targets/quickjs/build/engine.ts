/**
 * Builds QuickJS 2025-04-26 and what is linked with it, from Debian's source package. Object files are cached by a hash
 * of all their inputs, in a folder that may be deleted at any time.
 */

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';

/** SHA-256 of quickjs_2025.04.26.orig.tar.xz, from its .dsc. */
export const SOURCE_SHA256 = 'ec81da5b3249ed648dbc7df4a1654988910e66a118d9b71cb63534216efcfbbe';
const SOURCE_NAME = 'quickjs-2025.04.26';
export const ENGINE_FILES = ['quickjs', 'libregexp', 'libunicode', 'cutils', 'dtoa', 'quickjs-libc'];
const ENGINE_FLAGS = ['-w', '-D_GNU_SOURCE', '-DCONFIG_VERSION="2025-04-26"'];
/** As for the rest of our C code. */
const OUR_FLAGS = ['-std=gnu11', '-Wall', '-Wextra', '-Werror'];
/** Longest run of one program, in ms: quickjs.c takes 15 s on a quiet machine. */
const RUN_MS = 600_000;

/** A target machine. */
export interface Machine {
  readonly name: 'x86_64' | 'aarch64' | 'host';
  readonly compiler: string;
  /** Debian packages with its compiler. */
  readonly packages: string;
  readonly flags: readonly string[];
  /** Architecture of Debian whose musl is unpacked beside the compiler. */
  readonly musl?: string;
}

const SIZED = ['-O2', '-ffunction-sections', '-fdata-sections'];

export const MACHINES: readonly Machine[] = [
  { name: 'x86_64', compiler: 'musl-gcc', packages: 'musl-tools', flags: SIZED },
  {
    name: 'aarch64',
    compiler: 'aarch64-linux-gnu-gcc',
    packages: 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross',
    // Without the libgcc helpers that ask glibc which atomics the processor has.
    flags: [...SIZED, '-mno-outline-atomics'],
    musl: 'arm64',
  },
];
/** The compiler of scripts, and of libraries for an engine of the system. */
export const HOST: Machine = {
  name: 'host',
  compiler: 'cc',
  packages: 'gcc libc6-dev',
  flags: ['-O2', '-fPIC'],
};

/** Cache folder: BATON_CACHE, else in the user's cache. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(process.env['BATON_CACHE'] ?? join(base, 'baton'), 'quickjs');
}

/** Returns what must be installed to build for these machines, as a sentence; undefined when nothing is missing. */
export function missingPrograms(machines: readonly Machine[]): string | undefined {
  const needed = [
    ...[HOST, ...machines].map(({ compiler, packages }) => [compiler, packages] as const),
    ['xz', 'xz-utils'] as const,
    ['apt-get', 'apt'] as const,
  ];
  const folders = (process.env['PATH'] ?? '').split(':');
  const missing = needed.filter(([program]) => !folders.some((folder) => existsSync(join(folder, program))));
  if (missing.length === 0) return undefined;
  return `needs Debian packages: apt-get install ${missing.map(([, packages]) => packages).join(' ')}`;
}

/** Runs a program, in `folder` if given. Throws an Error with its output unless it ends with status 0. */
export function run(program: string, args: readonly string[], cwd?: string): SpawnSyncReturns<string> {
  const ended = spawnSync(program, args, { encoding: 'utf8', timeout: RUN_MS, ...(cwd ? { cwd } : {}) });
  if (ended.status === 0) return ended;
  const said = `${ended.stdout ?? ''}${ended.stderr ?? ''}`.slice(-2_000);
  throw new Error(
    `${program} ${args.join(' ')}: status ${ended.status} ${ended.error?.message ?? ''}\n${said}`,
  );
}

/** Builds for one machine. `root`: the folder of the repository. */
export class Engine {
  readonly #root: string;
  readonly #cache: string;
  readonly #machine: Machine;
  readonly #source: string;

  constructor(root: string, machine: Machine) {
    this.#root = root;
    this.#cache = cacheFolder();
    this.#machine = machine;
    this.#source = this.#unpacked();
  }

  /** The folder of the engine's headers. */
  get headers(): string {
    return this.#source;
  }

  /** Returns the engine's object files and ours. */
  objects(): string[] {
    const engine = ENGINE_FILES.map((name) => this.#engineObject(name));
    return [...engine, ...this.#ours().map((file) => this.#object(file, OUR_FLAGS))];
  }

  /** Returns the compiler of scripts for this machine. */
  compiler(): string {
    const objects = [...ENGINE_FILES, 'qjsc'].map((name) => this.#engineObject(name));
    return this.#kept('qjsc', objects, (to) =>
      run(this.#machine.compiler, [...objects, '-o', to, '-lm', '-lpthread', '-ldl']),
    );
  }

  /** Returns an engine that runs scripts and loads libraries, like one of a system: for tests. */
  interpreter(): string {
    const repl = this.#kept('repl.c', [join(this.#source, 'repl.js')], (to) =>
      run(this.compiler(), ['-c', '-m', '-s', '-N', 'qjsc_repl', '-o', to, join(this.#source, 'repl.js')]),
    );
    const objects = [...ENGINE_FILES, 'qjs'].map((name) => this.#engineObject(name));
    return this.#kept('qjs', [repl, ...objects], (to) =>
      run(this.#machine.compiler, ['-rdynamic', repl, ...objects, '-o', to, '-lm', '-lpthread', '-ldl']),
    );
  }

  /** Links a program around the bytecode of `bytecode`, a file in C. */
  link(bytecode: string, output: string): void {
    const program = ['main.c', 'heap.c'].map((name) => join(this.#root, 'targets/quickjs', name));
    const objects = [...this.objects(), ...program.map((file) => this.#object(file, OUR_FLAGS))];
    const code = `${output}.o`;
    run(this.#machine.compiler, [...this.#compile(), '-c', bytecode, '-o', code]);
    run(this.#machine.compiler, [
      ...this.#linkFlags(),
      '-Wl,--gc-sections',
      '-s',
      code,
      ...objects,
      '-o',
      output,
      ...this.#libraries(),
    ]);
    rmSync(code);
  }

  /** Links the native module as a library that an engine of the system loads. */
  library(output: string): void {
    const flags = [...OUR_FLAGS, '-DBATON_LIBRARY', '-fvisibility=hidden'];
    const objects = this.#ours().map((file) => this.#object(file, flags));
    run(this.#machine.compiler, ['-shared', '-s', ...objects, '-o', output, '-lpthread']);
  }

  #ours(): string[] {
    return ['targets/native/core', 'targets/native/quickjs'].flatMap((folder) =>
      readdirSync(join(this.#root, folder))
        .filter((name) => name.endsWith('.c'))
        .sort()
        .map((name) => join(this.#root, folder, name)),
    );
  }

  #engineObject(name: string): string {
    // The program has its own context (main.c) instead of the default one with a compiler, which only the compiler of
    // scripts needs.
    const own = this.#machine.name === 'host' ? [] : ['-DJS_NewContext=baton_new_context'];
    const flags = name === 'quickjs-libc' ? [...ENGINE_FLAGS, ...own] : ENGINE_FLAGS;
    return this.#object(join(this.#source, `${name}.c`), flags);
  }

  #object(file: string, flags: readonly string[]): string {
    const all = [...this.#compile(), ...flags];
    const headers = file.startsWith(this.#source) ? [] : this.#headers();
    return this.#kept(
      `${basename(file, '.c')}.o`,
      [file, ...headers],
      (to) => run(this.#machine.compiler, [...all, '-c', file, '-o', to]),
      all,
    );
  }

  #headers(): string[] {
    return [
      'targets/native/core/core.h',
      'targets/native/quickjs/binding.h',
      'targets/native/quickjs/jobs.h',
      'targets/quickjs/heap.h',
    ].map((file) => join(this.#root, file));
  }

  /** Returns the file `name`: from the cache if its inputs are the same, else newly made. */
  #kept(
    name: string,
    from: readonly string[],
    make: (to: string) => unknown,
    how: readonly string[] = [],
  ): string {
    const hash = createHash('sha256').update(`${SOURCE_SHA256} ${this.#machine.compiler} ${how.join(' ')}`);
    for (const file of from) hash.update(readFileSync(file));
    const folder = join(this.#cache, 'objects');
    const path = join(folder, `${hash.digest('hex').slice(0, 24)}-${this.#machine.name}-${name}`);
    if (existsSync(path)) return path;
    mkdirSync(folder, { recursive: true });
    // Two processes that make it at once each write their own file; either result is right.
    const fresh = `${path}.${randomBytes(4).toString('hex')}`;
    make(fresh);
    renameSync(fresh, path);
    return path;
  }

  #compile(): string[] {
    const { flags, musl } = this.#machine;
    // The engine's headers are compiled without our warnings.
    const headers = ['-isystem', this.#source];
    return musl === undefined
      ? [...flags, ...headers]
      : [
          ...flags,
          '-nostdinc',
          '-isystem',
          this.#gccHeaders(),
          '-isystem',
          this.#musl('include'),
          ...headers,
        ];
  }

  #linkFlags(): string[] {
    const { musl } = this.#machine;
    if (musl === undefined) return ['-static'];
    return ['-static', '-nostdlib', ...['crt1.o', 'crti.o'].map((name) => this.#musl('lib', name))];
  }

  #libraries(): string[] {
    const { musl, compiler } = this.#machine;
    if (musl === undefined) return ['-lm'];
    const ofGcc = (name: string) => run(compiler, [`-print-file-name=${name}`]).stdout.trim();
    return [
      '-Wl,--start-group',
      this.#musl('lib', 'libc.a'),
      ofGcc('libgcc.a'),
      ofGcc('libgcc_eh.a'),
      '-Wl,--end-group',
      this.#musl('lib', 'crtn.o'),
    ];
  }

  #gccHeaders(): string {
    return run(this.#machine.compiler, ['-print-file-name=include']).stdout.trim();
  }

  /** A file of musl for another architecture; Debian's folders are named after the architecture. */
  #musl(folder: 'include' | 'lib', name = ''): string {
    const sysroot = join(this.#cache, `musl-${this.#machine.musl}`);
    run('/bin/bash', [join(this.#root, 'targets/quickjs/build/fetch-musl.sh'), sysroot, this.#machine.musl!]);
    return join(sysroot, 'usr', folder, `${this.#machine.name}-linux-musl`, name);
  }

  #unpacked(): string {
    const tarball = join(this.#cache, 'quickjs_2025.04.26.orig.tar.xz');
    run('/bin/bash', [join(this.#root, 'targets/quickjs/build/fetch-source.sh'), tarball, SOURCE_SHA256]);
    const folder = join(this.#cache, SOURCE_NAME);
    if (existsSync(folder)) return folder;
    const fresh = `${folder}.${randomBytes(4).toString('hex')}`;
    mkdirSync(fresh, { recursive: true });
    run('tar', ['-xJf', tarball, '-C', fresh]);
    renameSync(join(fresh, SOURCE_NAME), folder);
    rmSync(fresh, { recursive: true });
    return folder;
  }
}

/** Returns the text of a C file with these bytes, under the name that main.c expects. */
export function bytecodeFile(qjsc: string, script: string, output: string): void {
  run(qjsc, ['-c', '-m', '-s', '-M', 'baton,baton', '-N', 'agent_bytecode', '-o', output, script]);
}
