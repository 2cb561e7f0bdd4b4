/** `node:child_process`: programs with pipes, in the process group of this process or in their own. */

import * as os from 'qjs:os';
import { EventEmitter } from 'events';
import { AGAIN, errorName } from '../../native/core.ts';
import { systemError } from '../errors.ts';
import { NATIVE } from '../native.ts';
import { POLLER } from '../poller.ts';
import { Buffer } from './buffer.ts';
import { SIGNALS } from './os.ts';
import { PROCESS, watchChildren } from './process.ts';

type Stdio = 'pipe' | 'ignore' | 'inherit' | number;

export interface SpawnOptions {
  readonly stdio?: Stdio | readonly Stdio[];
  readonly detached?: boolean;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Bytes per read of an output. */
const CHUNK_BYTES = 16 * 1024;

/** An output of a program. */
class Readable extends EventEmitter {
  readonly #fd: number;
  isOver = false;

  constructor(fd: number) {
    super();
    this.#fd = fd;
    POLLER.onReadable(fd, () => {
      const bytes = Buffer.alloc(CHUNK_BYTES);
      const count = os.read(fd, bytes.buffer, 0, bytes.length);
      if (count === AGAIN) return;
      if (count > 0) this.emit('data', bytes.subarray(0, count));
      else this.destroy();
    });
  }

  destroy(): void {
    if (this.isOver) return;
    this.isOver = true;
    POLLER.onReadable(this.#fd, undefined);
    NATIVE.close(this.#fd);
    this.emit('over');
  }
}

/** The input of a program. */
class Writable extends EventEmitter {
  readonly #fd: number;
  #rest = new Uint8Array(0);
  #isLast = false;
  #isOver = false;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  /** Writes a text. */
  write(text: string): void {
    if (this.#isOver || this.#isLast) return;
    this.#rest = Buffer.concat([this.#rest, new Uint8Array(NATIVE.bytesOf(text))]);
    // Written at once as far as there is room, as on Node: this process may end next.
    this.#write();
  }

  /** Writes a text, and ends the input. */
  end(text = ''): void {
    this.write(text);
    this.#isLast = true;
    if (this.#rest.length === 0) this.destroy();
  }

  #write(): void {
    const { buffer, byteOffset, length } = this.#rest;
    const count = length === 0 ? 0 : os.write(this.#fd, buffer, byteOffset, length);
    if (count > 0) this.#rest = this.#rest.subarray(count);
    if (count < 0 && count !== AGAIN) {
      this.destroy();
      this.emit('error', systemError(count, 'write'));
    } else if (this.#rest.length > 0) {
      POLLER.onWritable(this.#fd, () => this.#write());
    } else if (this.#isLast) {
      this.destroy();
    } else {
      POLLER.onWritable(this.#fd, undefined);
    }
  }

  destroy(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    POLLER.onWritable(this.#fd, undefined);
    NATIVE.close(this.#fd);
  }
}

export class ChildProcess extends EventEmitter {
  pid: number | undefined;
  stdin: Writable | null = null;
  stdout: Readable | null = null;
  stderr: Readable | null = null;

  kill(signal: string): boolean {
    return this.pid !== undefined && os.kill(this.pid, SIGNALS[signal]!) === 0;
  }
}
export type ChildProcessWithoutNullStreams = ChildProcess;

const children = new Map<number, ChildProcess>();

export function spawn(program: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  if (program === '' || [program, ...args].some((word) => word.includes('\0')))
    throw new TypeError('a program and its arguments are texts without zero bytes, the first not empty');
  const { stdio = 'pipe', detached = false, cwd = '', env = PROCESS.env } = options;
  const wanted = typeof stdio === 'object' ? stdio : [stdio, stdio, stdio];
  const child = new ChildProcess();
  const given: number[] = [];
  const toClose: number[] = [];
  for (const [index, how] of wanted.entries()) {
    if (how !== 'pipe') given.push(how === 'ignore' ? -1 : how === 'inherit' ? index : how);
    else given.push(pipeFor(child, index, toClose));
  }
  const environment = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  watchChildren(lookForEnds);
  const pid = NATIVE.spawn([program, ...args], environment, cwd, given, detached);
  for (const fd of toClose) NATIVE.close(fd);
  if (pid > 0) {
    child.pid = pid;
    children.set(pid, child);
    return child;
  }
  const code = errorName(pid);
  const error = Object.assign(new Error(`spawn ${program} ${code}`), { code });
  void Promise.resolve().then(() => {
    child.stdin?.destroy();
    child.emit('error', error);
  });
  return child;
}

/** Creates a pipe to the child's descriptor `index`. Returns the child's end, which the caller closes. */
function pipeFor(child: ChildProcess, index: number, toClose: number[]): number {
  const ends = NATIVE.pipe(index === 0 ? 'write' : 'read');
  if (typeof ends === 'number') throw systemError(ends, 'pipe');
  const [read, write] = ends;
  toClose.push(index === 0 ? read : write);
  if (index === 0) child.stdin = new Writable(write);
  else if (index === 1) child.stdout = new Readable(read);
  else child.stderr = new Readable(read);
  return index === 0 ? read : write;
}

/** Several children may have ended under one signal. */
function lookForEnds(): void {
  for (const [pid, child] of [...children]) {
    const [ended, status] = os.waitpid(pid, os.WNOHANG);
    if (ended !== pid) continue;
    children.delete(pid);
    // As in wait(2): the signal in the lowest seven bits, or the status in the eight bits above.
    const signal = status & 0x7f;
    const code = signal === 0 ? (status >> 8) & 0xff : null;
    const name = Object.keys(SIGNALS).find((each) => SIGNALS[each] === signal);
    child.stdin?.destroy();
    child.emit('exit', code, code === null ? (name ?? `signal ${signal}`) : null);
    whenRead(child, () => child.emit('close', code, name ?? null));
  }
}

/** Calls back when all output of a program was read. */
function whenRead({ stdout, stderr }: ChildProcess, done: () => void): void {
  const open = [stdout, stderr].filter((output) => output !== null && !output.isOver);
  let left = open.length;
  if (left === 0) return done();
  for (const output of open) {
    output!.once('over', () => {
      left -= 1;
      if (left === 0) done();
    });
  }
}
