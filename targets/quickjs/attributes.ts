/** Kernel attributes, each read or written on its own thread. Replaces targets/node/agent/attributes.ts. */

import * as os from 'qjs:os';
import type { Attributes } from '../../src/edges/hooks/world.ts';
import { systemError } from './errors.ts';
import { NATIVE } from './native.ts';
import { accessSync, readdirSync, readlinkSync, realpathSync } from './node/fs.ts';
import { basename } from './node/path.ts';
import { POLLER } from './poller.ts';

/** Longest attribute that is read, in bytes: the kernel returns at most a page. */
const ATTRIBUTE_BYTES_MAX = 4_096;
/** Header before the bytes read: their count or the error, and whether the file was opened, an int32 each. */
const HEAD_BYTES = 8;
const EIO = -5;

/** Files below /sys. Asynchronous, because a write may last as long as a driver's suspend. */
export const ATTRIBUTES: Attributes = {
  read: async (path) => {
    const { result, hasOpened, text } = await job(path, ATTRIBUTE_BYTES_MAX);
    if (result >= 0) return text;
    if (!hasOpened) throw systemError(result, `open '${path}'`);
    throw new Error(`reading ${path}: ${systemError(result, 'read').message}`);
  },
  write: async (path, text) => {
    const { result, hasOpened } = await job(path, text);
    if (result >= 0) return;
    if (!hasOpened) throw systemError(result, `open '${path}'`);
    throw new Error(`writing ${JSON.stringify(text)} to ${path}: ${systemError(result, 'write').message}`);
  },
  linkName: async (path) => {
    try {
      return basename(readlinkSync(path));
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return undefined;
      throw error;
    }
  },
  exists: async (path) => {
    try {
      accessSync(path);
      return true;
    } catch {
      return false;
    }
  },
  list: async (path) => readdirSync(path),
  folders: async (path) =>
    readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  realPath: async (path) => realpathSync(path),
};

interface Done {
  readonly result: number;
  readonly hasOpened: boolean;
  readonly text: string;
}

function job(path: string, what: number | string): Promise<Done> {
  return new Promise((done) => {
    const report = NATIVE.startJob(path, what);
    if (report < 0) return done({ result: report, hasOpened: false, text: '' });
    POLLER.onReadable(report, () => {
      const bytes = new Uint8Array(HEAD_BYTES + ATTRIBUTE_BYTES_MAX);
      const count = os.read(report, bytes.buffer, 0, bytes.length);
      POLLER.onReadable(report, undefined);
      NATIVE.close(report);
      // The thread reported nothing: the outcome is unknown.
      if (count < HEAD_BYTES) return done({ result: EIO, hasOpened: true, text: '' });
      const head = new DataView(bytes.buffer);
      const text = NATIVE.textOf(bytes.buffer, HEAD_BYTES, Math.max(count - HEAD_BYTES, 0));
      done({ result: head.getInt32(0, true), hasOpened: head.getInt32(4, true) === 1, text });
    });
  });
}
