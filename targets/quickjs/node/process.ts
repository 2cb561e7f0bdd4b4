/**
 * `process` of Node: the process, its signals, its outputs. Output that cannot be written at once is lost, which is
 * acceptable for log lines.
 */

import * as os from 'qjs:os';
import * as std from 'qjs:std';
import { checked } from '../errors.ts';
import { guarded } from '../guard.ts';
import { NATIVE } from '../native.ts';
import { POLLER } from '../poller.ts';
import { SIGNALS } from './os.ts';

type Listener = (...values: never[]) => void;

const listeners = new Map<string, Set<Listener>>();
let signalsFd = -1;
/** Called for each SIGCHLD. */
let onChild: () => void = () => {};

/** Sets the listener for ended children. */
export function watchChildren(told: () => void): void {
  onChild = told;
  watchSignal('SIGCHLD', true);
}

function watchSignal(name: string, isWatched: boolean): void {
  const signal = SIGNALS[name];
  if (signal === undefined) return;
  if (signalsFd < 0) {
    signalsFd = checked(NATIVE.signals(), 'pipe of signals');
    POLLER.onReadable(signalsFd, takeSignals);
  }
  checked(NATIVE.watchSignal(signal, isWatched), `sigaction ${name}`);
}

/** Signals per read; more wait. */
const SIGNALS_AT_ONCE = 64;

function takeSignals(): void {
  const bytes = new Uint8Array(SIGNALS_AT_ONCE);
  const count = os.read(signalsFd, bytes.buffer, 0, bytes.length);
  const seen = new Set(bytes.subarray(0, Math.max(count, 0)));
  for (const [name, number] of Object.entries(SIGNALS)) {
    if (!seen.has(number)) continue;
    if (name === 'SIGCHLD') onChild();
    for (const listener of [...(listeners.get(name) ?? [])]) listener();
  }
}

/** A standard output. */
class Output {
  readonly #fd: number;
  readonly #errors = new Set<(error: Error) => void>();

  constructor(fd: number) {
    this.#fd = fd;
  }

  on(_event: 'error', listener: (error: Error) => void): this {
    this.#errors.add(listener);
    return this;
  }

  /** Width of the terminal; undefined if it is not a terminal. */
  get columns(): number | undefined {
    return os.ttyGetWinSize(this.#fd)?.[0];
  }

  write(text: string): boolean {
    const bytes = NATIVE.bytesOf(text);
    for (let done = 0; done < bytes.byteLength; ) {
      const count = os.write(this.#fd, bytes, done, bytes.byteLength - done);
      if (count <= 0) {
        const error = Object.assign(new Error('write'), { code: count === -EPIPE ? 'EPIPE' : 'EIO' });
        for (const listener of this.#errors)
          os.setTimeout(
            guarded(() => listener(error)),
            0,
          );
        return false;
      }
      done += count;
    }
    return true;
  }
}

const EPIPE = 32;
let isExiting = false;

export const PROCESS = {
  /** As on Node: the executable, the script, and the arguments. */
  argv: [scriptArgs[0] ?? '', scriptArgs[0] ?? '', ...scriptArgs.slice(1)],
  get env(): Record<string, string> {
    return std.getenviron();
  },
  pid: os.getpid(),
  stdin: {
    get isTTY(): boolean {
      return os.isatty(0);
    },
  },
  stdout: new Output(1),
  stderr: new Output(2),
  exit: (status = 0): never => {
    if (!isExiting) {
      isExiting = true;
      for (const listener of listeners.get('exit') ?? []) listener();
    }
    return std.exit(status);
  },
  on: (name: string, listener: Listener): void => {
    const known = listeners.get(name) ?? new Set();
    listeners.set(name, known.add(listener));
    if (known.size === 1) watchSignal(name, true);
  },
  removeListener: (name: string, listener: Listener): void => {
    const known = listeners.get(name);
    if (known?.delete(listener) && known.size === 0) watchSignal(name, false);
  },
  kill: (pid: number, signal: string | number): true => {
    const number = typeof signal === 'number' ? signal : SIGNALS[signal]!;
    checked(os.kill(pid, number), `kill ${pid}`);
    return true;
  },
  hrtime: (): [seconds: number, nanoseconds: number] => {
    const ms = os.now();
    const seconds = Math.floor(ms / 1_000);
    return [seconds, (ms - seconds * 1_000) * 1e6];
  },
};
