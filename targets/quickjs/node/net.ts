/**
 * `node:net`, as locks use it (name-lock.ts, place-lock.ts): UNIX sockets that listen, and whether one that is tried
 * answers.
 */

import { EventEmitter } from 'events';
import { errorName, FAMILY } from '../../native/core.ts';
import { NATIVE } from '../native.ts';
import { POLLER } from '../poller.ts';

/** A socket that was connected only to see whether it can be. */
export class Socket extends EventEmitter {
  readonly #fd: number;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  /** It has its answer at once: the kernel gives it. */
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
  /** As Node's own, for who hands it on to a program. */
  _handle: { readonly fd: number } | undefined;

  constructor(onConnection: (socket: Socket) => void) {
    super();
    this.#onConnection = onConnection;
  }

  /** The engine ends when it is told to, whoever still listens. */
  unref(): this {
    return this;
  }

  listen(where: string | { readonly path: string }, listening: () => void): this {
    const path = typeof where === 'string' ? where : where.path;
    // All may connect who may see it; who may see it is up to its folder.
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
