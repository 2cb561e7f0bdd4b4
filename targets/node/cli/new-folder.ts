/**
 * Writes a folder that does not exist yet, whole or not at all: the files are written and made durable in another
 * folder beside it, which then gets its name.
 */

import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { NewFile } from '../../../src/config/init/files.ts';
import { ConfigError } from '../../../src/config/read.ts';
import { attempt } from '../system/processes.ts';

/** Of every folder: there are keys below it. */
const FOLDER_MODE = 0o700;

/** Reasons for which a folder cannot be made, for people. */
const WHY: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'its file system takes no writes',
  ENOSPC: 'no space left',
  EDQUOT: 'no space left for this user',
  ENAMETOOLONG: 'the name is too long',
  ENOTDIR: 'a part of it is no folder',
  ELOOP: 'its symbolic links lead in a circle',
};

/**
 * Returns the whole path of a folder that does not exist yet, without symbolic links on the way. Throws a ConfigError
 * when something is there, or when the folder around it is missing.
 */
export function newPlace(path: string): string {
  const whole = resolve(path);
  try {
    if (lstatSync(whole, { throwIfNoEntry: false }) !== undefined) throw taken(path);
    const around = realpathSync(dirname(whole));
    if (!lstatSync(around).isDirectory()) throw new ConfigError(`${path}: cannot be made: ${WHY['ENOTDIR']}`);
    return join(around, basename(whole));
  } catch (error) {
    throw failure(path, error);
  }
}

/**
 * Writes the files below the new folder `place`, of which `newPlace` told, with mode 0700 for each folder. `finish`
 * gets the path of the unfinished folder, and may change what is in it. Throws a ConfigError, and leaves nothing, when
 * anything of it fails.
 */
export function writeNewFolder(
  place: string,
  files: readonly NewFile[],
  finish: (unfinished: string) => void,
): void {
  let unfinished: string | undefined;
  try {
    unfinished = mkdtempSync(join(dirname(place), '.baton-init-'));
    chmodSync(unfinished, FOLDER_MODE);
    const folders = new Set([unfinished]);
    for (const { path, text, mode } of files) {
      makeFolder(dirname(join(unfinished, path)), folders);
      writeDurably(join(unfinished, path), text, mode);
    }
    finish(unfinished);
    for (const folder of folders) syncFolder(folder);
    // Fails on a file, and on a folder with anything in it; an empty one that came meanwhile is replaced.
    renameSync(unfinished, place);
    unfinished = undefined;
    attempt(() => syncFolder(dirname(place)));
  } catch (error) {
    if (unfinished === undefined || isRemoved(unfinished)) throw failure(place, error);
    const { message } = failure(place, error) as Error;
    throw new ConfigError(`${message}; ${unfinished} cannot be removed: remove it, there are keys in it`);
  }
}

/** Makes a folder and those around it that are not `made` yet, whatever the umask. */
function makeFolder(folder: string, made: Set<string>): void {
  if (made.has(folder)) return;
  makeFolder(dirname(folder), made);
  mkdirSync(folder);
  chmodSync(folder, FOLDER_MODE);
  made.add(folder);
}

function writeDurably(file: string, text: string, mode: number): void {
  const open = openSync(file, 'wx', mode);
  try {
    // Whatever the umask: the daemon's user has to read it, and nobody may read a secret.
    fchmodSync(open, mode);
    writeFileSync(open, text);
    fsyncSync(open);
  } finally {
    closeSync(open);
  }
}

/** Some file systems cannot do that for a folder: then a power cut may lose it as a whole. */
function syncFolder(folder: string): void {
  const open = openSync(folder, 'r');
  try {
    attempt(() => fsyncSync(open));
  } finally {
    closeSync(open);
  }
}

function isRemoved(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

function taken(path: string): ConfigError {
  return new ConfigError(
    `${path}: is already there, and nothing was written: expected a folder that does not exist yet; give another --out`,
  );
}

function failure(path: string, error: unknown): unknown {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (error instanceof ConfigError || code === '') return error;
  if (code === 'EEXIST' || code === 'ENOTEMPTY') return taken(path);
  const around = dirname(resolve(path));
  const missing = existsSync(around)
    ? `nothing can be made in ${around}`
    : `there is no folder ${around}: make it first`;
  const why = code === 'ENOENT' ? missing : (WHY[code] ?? message);
  return new ConfigError(`${path}: cannot be made, and nothing was written: ${why}`);
}
