/**
 * The other half of the QuickJS module (quickjs/system.c): what Node offers and QuickJS does not. Types only. Results
 * are those of the kernel: what counts or a descriptor, or a negative errno.
 */

export interface NativeSystem {
  readonly O_DIRECTORY: number;
  readonly O_NOCTTY: number;
  readonly O_NOFOLLOW: number;
  readonly O_NONBLOCK: number;
  /** Opens a file, not to be inherited. */
  open(path: string, flags: number, mode: number): number;
  readAt(fd: number, buffer: ArrayBufferLike, offset: number, count: number, at: number): number;
  writeAt(fd: number, buffer: ArrayBufferLike, offset: number, count: number, at: number): number;
  truncate(fd: number, size: number): number;
  /** Makes durable what was written; `dataOnly` leaves out what is not needed to read it back. */
  sync(fd: number, dataOnly: boolean): number;
  /** 0: this process may do what `mode` says, as access(2) has it. */
  access(path: string, mode: number): number;
  /** What an errno means. */
  errorText(errno: number): string;
  /** Decodes UTF-8. */
  textOf(buffer: ArrayBufferLike, offset: number, count: number): string;
  /** Encodes as UTF-8. */
  bytesOf(text: string): ArrayBuffer;
  /**
   * Opens a file and reads at most 4096 bytes at its start, or writes a text there, on a thread of its own. Returns a
   * descriptor to be read: two int32, the result and 1 if it was opened, and behind them what was read.
   */
  startJob(path: string, what: number | string): number;
  /** Makes the pipe that signals arrive at, a byte each. Returns its end. Once. */
  signals(): number;
  /** Has a signal arrive there, or do again what it does without us. */
  watchSignal(signal: number, isWatched: boolean): number;
  /** Makes a pipe, not to be inherited, of which one end does not block. */
  pipe(end: 'read' | 'write'): readonly [read: number, write: number] | number;
  /**
   * Starts a program. Descriptors become its 0, 1, …; -1 is /dev/null. With `isLeader` it has a session and a process
   * group of its own. Returns its process; the errno why it did not begin.
   */
  spawn(
    command: readonly string[],
    environment: readonly string[],
    folder: string,
    fds: readonly number[],
    isLeader: boolean,
  ): number;
  /** Makes a descriptor that can be read once the time that it is set to has passed, not to be inherited. */
  timer(): number;
  /** Sets it to run out after `ms`, at least 1; 0: never. It cannot be read until then. */
  setTimer(fd: number, ms: number): number;
  /** Collects garbage if enough may have gathered since the last time. */
  tidy(): void;
  /**
   * Sets who is told of promises that were rejected with nobody to hear it, and of those that are heard after all.
   * Once.
   */
  onRejection(told: (promise: Promise<unknown>, reason: unknown, isHandled: boolean) => void): void;
}
