/**
 * The other half of the QuickJS module (quickjs/system.c): functions that Node has and QuickJS lacks. Types only.
 * Results are those of the kernel: a count or a descriptor, or a negative errno.
 */

export interface NativeSystem {
  readonly O_DIRECTORY: number;
  readonly O_NOCTTY: number;
  readonly O_NOFOLLOW: number;
  readonly O_NONBLOCK: number;
  /** Opens a file, closed on exec. */
  open(path: string, flags: number, mode: number): number;
  readAt(fd: number, buffer: ArrayBufferLike, offset: number, count: number, at: number): number;
  writeAt(fd: number, buffer: ArrayBufferLike, offset: number, count: number, at: number): number;
  truncate(fd: number, size: number): number;
  /** Makes written data durable; `dataOnly`: without metadata that is not needed to read it back (fdatasync). */
  sync(fd: number, dataOnly: boolean): number;
  /** 0: this process has the access `mode`, as in access(2). */
  access(path: string, mode: number): number;
  /** Returns the text of an errno. */
  errorText(errno: number): string;
  /** Decodes UTF-8. */
  textOf(buffer: ArrayBufferLike, offset: number, count: number): string;
  /** Encodes as UTF-8. */
  bytesOf(text: string): ArrayBuffer;
  /**
   * Opens a file and reads at most 4096 bytes at its start, or writes a text there, on its own thread. Returns a
   * descriptor to read from: two int32, the result and 1 if the file was opened, then the bytes read.
   */
  startJob(path: string, what: number | string): number;
  /** Creates the pipe on which signals arrive, one byte each. Returns its reading end. Called once. */
  signals(): number;
  /** Has a signal arrive there, or restores its default action. */
  watchSignal(signal: number, isWatched: boolean): number;
  /** Creates a pipe, closed on exec, with one non-blocking end. */
  pipe(end: 'read' | 'write'): readonly [read: number, write: number] | number;
  /**
   * Starts a program. The descriptors become its 0, 1, …; -1 is /dev/null. With `isLeader` it has its own session and
   * process group. Returns its process, or the negative errno.
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
  /** Collects garbage if enough may have accumulated since the last time. */
  tidy(): void;
  /**
   * Sets the callback for promises that were rejected without a handler, and for those that got one later. Called once.
   */
  onRejection(told: (promise: Promise<unknown>, reason: unknown, isHandled: boolean) => void): void;
}
