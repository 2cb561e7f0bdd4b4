/**
 * Interface of the native core, the same for every binding (core/core.h describes each call). Types and numbers only.
 *
 * Results are those of the kernel: a count or a descriptor, or a negative errno. Bytes are given as a buffer, an offset
 * in it and a count.
 */

/** Families of addresses, as Linux numbers them on every architecture. */
export const FAMILY = { unix: 1, inet: 2, inet6: 10, vsock: 40 } as const;

export interface NativeCore {
  /** Returns a descriptor that is connecting: once it is writable, `socketError` returns the outcome. */
  connect(family: number, where: string, port: number): number;
  /** Returns a descriptor that listens. A UNIX socket file has `mode` from its creation. */
  listen(family: number, where: string, port: number, mode: number): number;
  /** Returns the next connection. */
  accept(fd: number): number;
  /** Returns 0, or the pending error of a socket. */
  socketError(fd: number): number;
  /** Returns the number of bytes received; 0 at the end of the stream. */
  receive(fd: number, buffer: ArrayBufferLike, offset: number, count: number): number;
  /** Returns the number of bytes accepted. */
  send(fd: number, buffer: ArrayBufferLike, offset: number, count: number): number;
  /** Ends our direction of a stream. */
  shutdown(fd: number): number;
  close(fd: number): number;
  /** Sends a datagram to a UNIX socket, by its path, or by its abstract name behind a zero byte. Returns 0. */
  sendDatagram(where: string, buffer: ArrayBufferLike, offset: number, count: number): number;
  /** Returns an address as text: our own, or that of the peer. */
  socketName(fd: number, ofPeer: boolean): string | number;
  /** Returns process, user and group at the other end of a UNIX socket. */
  credentials(fd: number): readonly [pid: number, uid: number, gid: number] | number;
  /** Fills bytes with random values. */
  random(buffer: ArrayBufferLike, offset: number, count: number): number;
  /** Returns the 32 bytes of SHA-256. */
  sha256(buffer: ArrayBufferLike, offset: number, count: number): ArrayBuffer;
  /** Returns the state of HMAC-SHA-256 under a key. A copy of its bytes is an independent state. */
  hmacBegin(key: ArrayBufferLike, offset: number, count: number): ArrayBuffer;
  /** Adds bytes to a state. */
  hmacAdd(state: ArrayBuffer, buffer: ArrayBufferLike, offset: number, count: number): void;
  /** Writes the tag, 32 bytes, over the bytes added to `state` and these. Does not change `state`. */
  hmacEnd(
    state: ArrayBuffer,
    buffer: ArrayBufferLike,
    offset: number,
    count: number,
    tag: ArrayBufferLike,
    tagOffset: number,
    tagCount: number,
  ): void;
}

/** Reports when descriptors are ready. */
export interface Poller {
  /** Calls back whenever `fd` is readable or at its end, until called with undefined. */
  onReadable(fd: number, ready: (() => void) | undefined): void;
  /** Calls back whenever `fd` is writable or has failed, until called with undefined. */
  onWritable(fd: number, ready: (() => void) | undefined): void;
}

/** Errors that the code distinguishes or that people see, by their Linux numbers, the same on x86-64 and arm64. */
const ERRORS: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  3: 'ESRCH',
  4: 'EINTR',
  5: 'EIO',
  7: 'E2BIG',
  9: 'EBADF',
  10: 'ECHILD',
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  16: 'EBUSY',
  17: 'EEXIST',
  19: 'ENODEV',
  20: 'ENOTDIR',
  21: 'EISDIR',
  22: 'EINVAL',
  23: 'ENFILE',
  24: 'EMFILE',
  27: 'EFBIG',
  28: 'ENOSPC',
  30: 'EROFS',
  32: 'EPIPE',
  36: 'ENAMETOOLONG',
  40: 'ELOOP',
  97: 'EAFNOSUPPORT',
  98: 'EADDRINUSE',
  99: 'EADDRNOTAVAIL',
  100: 'ENETDOWN',
  101: 'ENETUNREACH',
  103: 'ECONNABORTED',
  104: 'ECONNRESET',
  107: 'ENOTCONN',
  110: 'ETIMEDOUT',
  111: 'ECONNREFUSED',
  113: 'EHOSTUNREACH',
  115: 'EINPROGRESS',
  122: 'EDQUOT',
};

/** Returns the name of a negative errno, as `ENOENT` of -2. */
export function errorName(result: number): string {
  return ERRORS[-result] ?? `error ${-result}`;
}

/** Result of `receive`, `send` and `accept` when they would block. */
export const AGAIN = -11;
