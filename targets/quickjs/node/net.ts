/**
 * The part of `node:net` that locks use (name-lock.ts, place-lock.ts): listening UNIX sockets, and whether a socket
 * answers.
 */

import { EventEmitter } from 'events';
import { errorName, FAMILY } from '../../native/core.ts';
import { NATIVE } from '../native.ts';
import { POLLER } from '../poller.ts';

/** A socket that only checks whether a connection is possible. */
export class Socket extends EventEmitter {
  readonly #fd: number;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  /** The kernel answers at once. */
  setTimeout(_ms: number, _late: () => void): this {
    return this;
  }

  destroy(): void {
    if (this.#fd >= 0) NATIVE.close(this.#fd);
  }
}

export function connect(path: string): Socket {
  const fd = NATIVE.connect(FAMILY.unix, path, 0);
  const socket = new Socket(fd);
  void Promise.resolve().then(() => {
    if (fd >= 0) return socket.emit('connect');
    const code = errorName(fd);
    return socket.emit('error', Object.assign(new Error(`connect ${code} ${path}`), { code }));
  });
  return socket;
}

export class Server extends EventEmitter {
  readonly #onConnection: (socket: Socket) => void;
  /** As on Node, for passing it to a program. */
  _handle: { readonly fd: number } | undefined;

  constructor(onConnection: (socket: Socket) => void) {
    super();
    this.#onConnection = onConnection;
  }

  /** Without effect: the engine ends when it is told to, even while something listens. */
  unref(): this {
    return this;
  }

  listen(where: string | { readonly path: string }, listening: () => void): this {
    const path = typeof where === 'string' ? where : where.path;
    // Every user may connect; access is restricted by the folder.
    const fd = NATIVE.listen(FAMILY.unix, path, 0, 0o755);
    void Promise.resolve().then(() => {
      if (fd >= 0) return listening();
      const code = errorName(fd);
      this.emit('error', Object.assign(new Error(`listen ${code}: ${path}`), { code }));
    });
    if (fd < 0) return this;
    this._handle = { fd };
    POLLER.onReadable(fd, () => {
      const taken = NATIVE.accept(fd);
      if (taken >= 0) this.#onConnection(new Socket(taken));
    });
    return this;
  }

  close(): this {
    if (!this._handle) return this;
    POLLER.onReadable(this._handle.fd, undefined);
    NATIVE.close(this._handle.fd);
    this._handle = undefined;
    return this;
  }
}

export function createServer(onConnection: (socket: Socket) => void): Server {
  return new Server(onConnection);
}
