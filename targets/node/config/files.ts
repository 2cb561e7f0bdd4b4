/** Reads the files of a daemon: configuration, bundle file, key file. Throws ConfigErrors with texts for people. */

import { accessSync, constants, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import type { Static, TSchema } from '../../../src/common/schema.ts';
import { readBundleFile } from '../../../src/config/bundle-file.ts';
import type { FileLook } from '../../../src/config/follow.ts';
import { readKeyFile } from '../../../src/config/key-file.ts';
import { ConfigError, readConfig } from '../../../src/config/read.ts';
import { withoutSecret } from '../../../src/config/secrets.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import type { PairKey } from '../../../src/core/wire/pair-keys.ts';
import { attempt } from '../system/processes.ts';

const BYTE_ORDER_MARK = /^\ufeff/;

/** Reads a file as text, without a byte order mark. Throws a ConfigError with the reason. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(BYTE_ORDER_MARK, '');
  } catch (error) {
    throw unreadable(path, error as NodeJS.ErrnoException);
  }
}

export function unreadable(path: string, { code, message }: NodeJS.ErrnoException): ConfigError {
  const why: Readonly<Record<string, string>> = {
    ENOENT: 'no such file',
    EISDIR: 'a folder: expected a file',
    EACCES: 'this user may not read it',
  };
  return new ConfigError(`${path}: ${why[code ?? ''] ?? `cannot be read: ${message}`}`);
}

/** Reads and checks a configuration file. */
export function readConfigFile<T extends TSchema>(schema: T, path: string): Static<T> {
  return readConfig(schema, path, readText(path));
}

/**
 * Returns a configuration without secrets, since it ends up in bug reports: without what looks like a key or a login,
 * and without a `passwordFile` that does not exist, since it may be the password itself.
 */
export function dumpable(config: string, value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (key, inner: unknown) => {
    if (typeof inner !== 'string') return inner;
    const isFile = key !== 'passwordFile' || look(besideConfig(config, inner))?.isFile;
    return isFile ? withoutSecret(inner) : '(no such file)';
  });
}

/** Returns a path in a configuration, which is relative to its file, as an absolute one. */
export function besideConfig(config: string, path: string): string {
  return isAbsolute(path) ? path : resolve(dirname(config), path);
}

/** Returns what is at `path`; undefined when there is nothing, or this user cannot see it. */
export function look(path: string): FileLook | undefined {
  try {
    const stat = statSync(path);
    return { isFile: stat.isFile(), mode: stat.mode & 0o777, isExecutable: mayRun(path) };
  } catch {
    return undefined;
  }
}

/** Returns the names in a folder; none when it does not exist, or this user cannot see it. */
export function list(path: string): readonly string[] {
  return attempt(() => readdirSync(path)) ?? [];
}

/**
 * Returns the folder that denies this user access to `path`: one above it without search permission, or `path` itself,
 * if it is a folder without read permission; undefined when none does.
 */
export function hidden(path: string): string | undefined {
  const isDenied = (look: () => unknown) => {
    try {
      look();
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EACCES';
    }
  };
  if (!isDenied(() => statSync(path)))
    return attempt(() => statSync(path))?.isDirectory() && isDenied(() => readdirSync(path))
      ? path
      : undefined;
  let at = dirname(path);
  while (isDenied(() => statSync(at))) at = dirname(at);
  return at;
}

/** Returns the path without symbolic links; undefined when nothing is there. */
export function realPath(path: string): string | undefined {
  return attempt(() => realpathSync(path));
}

function mayRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function readBundles(path: string): BundleDefinition[] {
  return readBundleFile(path, readText(path));
}

/**
 * Reads a key file: name of the peer → 32 bytes of each valid generation. Throws a ConfigError if other users may
 * read it.
 */
export function readKeys(path: string): Map<VmId, readonly PairKey[]> {
  const text = readText(path);
  const mode = statSync(path).mode & 0o077;
  if (mode !== 0) {
    throw new ConfigError(
      `${path}: others may read it (mode ${(statSync(path).mode & 0o777).toString(8)}); do chmod 600`,
    );
  }
  return new Map([...readKeyFile(path, text)].map(([name, pair]) => [vmId(name), pair]));
}
