/** Creates the folders of a daemon: of its state, and of its control socket. */

import { accessSync, constants, mkdirSync } from 'node:fs';

/** An unusable folder: a person must correct something. */
export class FolderError extends Error {
  override readonly name = 'FolderError';
}

/**
 * Creates a folder and its parents, with mode 0700, if missing. Throws a FolderError when this user can never have it,
 * and the system error when a later attempt may succeed, as on a full disk.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const why: Readonly<Record<string, string>> = {
      EACCES: 'this user may not create it or write there',
      EEXIST: 'it is not a folder',
      ENOTDIR: 'a part of its path is not a folder',
      EROFS: 'its file system is read-only',
    };
    const words = why[(error as NodeJS.ErrnoException).code ?? ''];
    if (words === undefined) throw error;
    throw new FolderError(`the folder ${path} cannot be used: ${words}`);
  }
}
