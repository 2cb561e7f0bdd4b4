/** Makes the folders of a daemon: of its state, and of its control socket. */

import { accessSync, constants, mkdirSync } from 'node:fs';

/** A folder that cannot be used as it is: a person has to mend something. */
export class FolderError extends Error {
  override readonly name = 'FolderError';
}

/**
 * Makes a folder, and those around it, with mode 0700 if it is missing. Throws a FolderError when this user cannot have
 * it, and the error of the system when another time it may, as on a full disk.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const why: Readonly<Record<string, string>> = {
      EACCES: 'this user may not make it or write there',
      EEXIST: 'it is no folder',
      ENOTDIR: 'a part of it is no folder',
      EROFS: 'its file system takes no writes',
    };
    const words = why[(error as NodeJS.ErrnoException).code ?? ''];
    if (words === undefined) throw error;
    throw new FolderError(`the folder ${path} cannot be used: ${words}`);
  }
}
