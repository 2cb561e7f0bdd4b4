/**
 * QuickJS's own modules, as far as they are used, and our native one. The build replaces these names by those of the
 * engine; they differ here because `os` is also a module of Node.
 */

declare module 'qjs:std' {
  export function exit(status: number): never;
  export function getenviron(): Record<string, string>;
}

declare module 'qjs:os' {
  type WithError<T> = [T, number];
  interface Stat {
    readonly mode: number;
    readonly size: number;
    readonly mtime: number;
  }
  export const O_RDONLY: number;
  export const O_WRONLY: number;
  export const O_RDWR: number;
  export const O_CREAT: number;
  export const O_EXCL: number;
  export const O_TRUNC: number;
  export const S_IFMT: number;
  export const S_IFREG: number;
  export const S_IFDIR: number;
  export const S_IFLNK: number;
  export const S_IFSOCK: number;
  export const WNOHANG: number;
  export function read(fd: number, buffer: ArrayBufferLike, offset: number, count: number): number;
  export function write(fd: number, buffer: ArrayBufferLike, offset: number, count: number): number;
  export function stat(path: string): WithError<Stat>;
  /** As stat, for a symbolic link itself. */
  export function lstat(path: string): WithError<Stat>;
  export function readdir(path: string): WithError<string[]>;
  export function readlink(path: string): WithError<string>;
  export function realpath(path: string): WithError<string>;
  export function getcwd(): WithError<string>;
  export function mkdir(path: string, mode: number): number;
  export function rename(from: string, to: string): number;
  export function remove(path: string): number;
  export function isatty(fd: number): boolean;
  export function ttyGetWinSize(fd: number): [columns: number, rows: number] | null;
  export function getpid(): number;
  export function kill(pid: number, signal: number): number;
  export function waitpid(pid: number, options: number): [pid: number, status: number];
  /** Milliseconds of the monotonic clock, with a fraction. */
  export function now(): number;
  export function setTimeout(fire: () => void, ms: number): number;
  export function clearTimeout(timer: number): void;
  export function setReadHandler(fd: number, ready: (() => void) | null): void;
  export function setWriteHandler(fd: number, ready: (() => void) | null): void;
}

/** ../native/quickjs: core.ts and system.ts. */
declare module 'qjs:baton' {
  const baton: import('../native/core.ts').NativeCore & import('../native/system.ts').NativeSystem;
  export = baton;
}

/** The arguments of the program, its own name first. */
declare var scriptArgs: readonly string[];
