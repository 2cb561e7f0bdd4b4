/** `node:fs/promises`: files that a driver may keep waiting for, each read or written on a thread of its own. */

import * as os from 'qjs:os';
import { systemError } from '../../errors.ts';
import { NATIVE } from '../../native.ts';
import { POLLER } from '../../poller.ts';
import { accessSync, closeSync, openSync, readdirSync, readlinkSync } from '../fs.ts';

/** Bytes of a result: an int32, and behind it at most a page. */
const REPORT_BYTES = 4 + 4_096;

class File {
  readonly #fd: number;
  readonly #path: string;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  async read<T extends Uint8Array>(
    buffer: T,
    offset: number,
    count: number,
    _at: 0,
  ): Promise<{ buffer: T; bytesRead: number }> {
    const { result, bytes } = await job(this.#fd, count);
    if (result < 0) throw systemError(result, `read '${this.#path}'`);
    buffer.set(bytes, offset);
    return { buffer, bytesRead: bytes.length };
  }

  async write(text: string, _at: 0): Promise<{ bytesWritten: number }> {
    const { result } = await job(this.#fd, text);
    if (result < 0) throw systemError(result, `write '${this.#path}'`);
    return { bytesWritten: result };
  }

  async close(): Promise<void> {
    closeSync(this.#fd);
  }
}

function job(fd: number, what: number | string): Promise<{ result: number; bytes: Uint8Array }> {
  return new Promise((done) => {
    const report = NATIVE.startJob(fd, what);
    if (report < 0) return done({ result: report, bytes: new Uint8Array(0) });
    POLLER.onReadable(report, () => {
      const bytes = new Uint8Array(REPORT_BYTES);
      const count = os.read(report, bytes.buffer, 0, bytes.length);
      POLLER.onReadable(report, undefined);
      NATIVE.close(report);
      const result = new DataView(bytes.buffer).getInt32(0, true);
      done({ result, bytes: bytes.subarray(4, Math.max(count, 4)) });
    });
  });
}

export async function open(path: string, flags: number): Promise<File> {
  return new File(openSync(path, flags), path);
}

export async function access(path: string): Promise<void> {
  accessSync(path);
}

export async function readlink(path: string): Promise<string> {
  return readlinkSync(path);
}

/** The names in a folder. */
export async function readdir(path: string): Promise<string[]> {
  return readdirSync(path);
}
