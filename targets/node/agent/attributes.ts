/** Kernel attributes (sysfs) through Node's file functions. */

import { Buffer } from 'node:buffer';
import { constants } from 'node:fs';
import { access, open, readdir, readlink, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Attributes } from '../../../src/edges/hooks/world.ts';

/** Longest attribute that is read, in bytes: the kernel returns at most a page. */
const ATTRIBUTE_BYTES_MAX = 4_096;

/** Files below /sys. Asynchronous, because a write may last as long as a driver's suspend. */
export const ATTRIBUTES: Attributes = {
  read: async (path) => {
    const file = await open(path, constants.O_RDONLY);
    try {
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(ATTRIBUTE_BYTES_MAX),
        0,
        ATTRIBUTE_BYTES_MAX,
        0,
      );
      return buffer.toString('utf8', 0, bytesRead);
    } catch (error) {
      throw new Error(`reading ${path}: ${(error as Error).message}`, { cause: error });
    } finally {
      await file.close();
    }
  },
  write: async (path, text) => {
    // A driver expects the whole value in one write at offset 0. O_CREAT would turn a misspelt path into a file.
    const file = await open(path, constants.O_WRONLY);
    try {
      await file.write(text, 0);
    } catch (error) {
      throw new Error(`writing ${JSON.stringify(text)} to ${path}: ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      await file.close();
    }
  },
  linkName: async (path) => {
    try {
      return basename(await readlink(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  },
  exists: (path) =>
    access(path).then(
      () => true,
      () => false,
    ),
  list: (path) => readdir(path),
  folders: async (path) =>
    (await readdir(path, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  realPath: (path) => realpath(path),
};
