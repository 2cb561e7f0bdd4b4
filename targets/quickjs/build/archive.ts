/**
 * Makes dist/linux: the static program as a source archive for any cross compiler, and the recipes of Yocto and
 * Buildroot with its hash. The archive is reproducible bit for bit.
 */

import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { VERSION } from '../../node/program/version.ts';
import { ENGINE_FILES, run } from './engine.ts';

/** Files that are copied into the archive: path there, path here. */
const OURS = [
  ['Makefile', 'targets/linux/source/Makefile'],
  ['LICENSE', 'LICENSE'],
  ['native/core', 'targets/native/core'],
  ['native/quickjs', 'targets/native/quickjs'],
  ['quickjs/main.c', 'targets/quickjs/main.c'],
  ['quickjs/heap.c', 'targets/quickjs/heap.c'],
  ['quickjs/heap.h', 'targets/quickjs/heap.h'],
  ['systemd', 'targets/linux/systemd'],
] as const;

/** Recipes, with their names in dist/linux. */
const RECIPES = [
  ['yocto/baton-agent.bb', `yocto/baton-agent_${VERSION}.bb`],
  ['buildroot/Config.in', 'buildroot/baton-agent/Config.in'],
  ['buildroot/baton-agent.mk', 'buildroot/baton-agent/baton-agent.mk'],
  ['buildroot/baton-agent.hash', 'buildroot/baton-agent/baton-agent.hash'],
] as const;

/**
 * Writes archive and recipes. `engine`: the folder of the engine's source; `bytecodes`: name in the archive → file in
 * C; `output`: a folder. Returns the path of the archive.
 */
export function packSource(
  root: string,
  engine: string,
  bytecodes: Readonly<Record<string, string>>,
  output: string,
): string {
  const name = `baton-agent-${VERSION}`;
  const work = mkdtempSync(join(tmpdir(), 'baton-source-'));
  const put = (from: string, to: string) => {
    mkdirSync(dirname(join(work, name, to)), { recursive: true });
    cpSync(from, join(work, name, to), { recursive: true });
  };
  mkdirSync(output, { recursive: true });
  const archive = join(output, `${name}.tar.xz`);
  try {
    for (const [to, from] of OURS) put(join(root, from), to);
    const files = ENGINE_FILES.map((file) => `${file}.c`);
    const headers = readdirSync(engine).filter((file) => file.endsWith('.h'));
    for (const file of ['LICENSE', ...files, ...headers]) put(join(engine, file), `engine/${file}`);
    for (const [to, from] of Object.entries(bytecodes)) put(from, to);
    const same =
      '--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar';
    run('tar', [...same.split(' '), '-C', work, '-cJf', archive, name]);
    writeRecipes(root, join(work, name), archive, output);
    return archive;
  } finally {
    rmSync(work, { recursive: true });
  }
}

function writeRecipes(root: string, source: string, archive: string, output: string): void {
  const hash = (kind: 'sha256' | 'md5', file: string) =>
    createHash(kind).update(readFileSync(file)).digest('hex');
  const licenses = { LICENSE: join(source, 'LICENSE'), ENGINE_LICENSE: join(source, 'engine/LICENSE') };
  const values: Record<string, string> = { VERSION, SHA256: hash('sha256', archive) };
  for (const [key, file] of Object.entries(licenses)) {
    values[`${key}_SHA256`] = hash('sha256', file);
    values[`${key}_MD5`] = hash('md5', file);
  }
  for (const [from, to] of RECIPES) {
    const text = readFileSync(join(root, 'targets/linux', from), 'utf8').replace(
      /@([A-Z0-9_]+)@/g,
      (_, key) => {
        const value = values[key as string];
        if (value === undefined) throw new Error(`targets/linux/${from}: @${key}@ has no value`);
        return value;
      },
    );
    mkdirSync(dirname(join(output, to)), { recursive: true });
    writeFileSync(join(output, to), text);
  }
}
