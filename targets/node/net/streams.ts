/** Byte streams on Node behind the StreamNetwork port: UNIX and TCP sockets, and vsock by the native core. */

import { chmodSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { parseAddress as parse } from '../../../src/common/addresses.ts';
import { withVsockUnix } from '../../../src/edges/transport/vsock-unix.ts';
import type { ByteStream, StreamNetwork } from '../../../src/ports/world.ts';
import { CLOCK } from '../system/clock.ts';
import { vsockStreams } from './native-streams.ts';
import { takeSocketPlace } from './socket-place.ts';

/** Most unsent bytes of one stream: 32 full frames. For a slower peer further frames are dropped. */
const QUEUE_BYTES_MAX = 256 * 1024;
/** Longest wait for a connection, in ms. Loopback and vsock answer at once or never. */
const CONNECT_MS = 5_000;
/**
 * Longest time without progress, in ms, in which a closed stream may still send what was queued; then its peer does not
 * read.
 */
const LINGER_MS = 1_000;

/** Streams over Node's own sockets. */
const OWN: StreamNetwork = {
  connect: (address, done) => {
    const socket = connect(parseAddress(address));
    socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error(`no answer within ${CONNECT_MS} ms`)));
    const fail = (error: Error) => done(new Error(`${address}: ${describe(error)}`));
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.removeListener('error', fail);
      done(streamOf(socket));
    });
  },
  listen: (address, onConnection, done, mode = 0o600) => {
    const where = parseAddress(address);
    const server = createServer({ noDelay: true }, (socket) => onConnection(streamOf(socket)));
    let isSettled = false;
    let isStopped = false;
    let unlock = () => {};
    const settle = (error?: Error) => {
      // Later errors concern a connection that could not be accepted; its other end dials again.
      if (isSettled || isStopped) return;
      isSettled = true;
      if (error) unlock();
      done(error && new Error(`${address}: ${describe(error)}`));
    };
    server.on('error', settle);
    server.once('listening', settle);
    if ('path' in where) {
      takeSocketPlace(where.path).then((lock) => {
        let isReleased = false;
        unlock = () => {
          if (!isReleased) lock.release();
          isReleased = true;
        };
        if (isStopped) unlock();
        else listenPrivately(server, where.path, mode);
      }, settle);
    } else server.listen(where);
    return () => {
      isStopped = true;
      server.close();
      unlock();
    };
  },
};

/** The streams of this machine. vsock needs native code, which is loaded for its first stream. */
export const STREAMS: StreamNetwork = withVsockUnix(
  {
    connect: (address, done) => {
      if (!address.startsWith('vsock:')) return OWN.connect(address, done);
      vsockStreams().then((streams) => streams.connect(address, done), done);
    },
    listen: (address, onConnection, done, mode) => {
      if (!address.startsWith('vsock:')) return OWN.listen(address, onConnection, done, mode);
      let isStopped = false;
      let stop = () => {};
      vsockStreams().then(
        (streams) => {
          if (!isStopped) stop = streams.listen(address, onConnection, done, mode);
        },
        (error) => isStopped || done(error),
      );
      return () => {
        isStopped = true;
        stop();
      };
    },
  },
  CLOCK,
);

/** Returns an address in the form of Node's sockets. Throws an Error about an invalid one. */
export function parseAddress(
  address: string,
): { path: string } | { host: string; port: number; noDelay: true } {
  const parsed = parse(address);
  if (typeof parsed !== 'string' && parsed.kind === 'unix') return { path: parsed.path };
  if (typeof parsed !== 'string' && parsed.kind === 'tcp')
    return { host: parsed.host, port: parsed.port, noDelay: true };
  const why = typeof parsed === 'string' ? parsed : 'expected unix:/path or tcp:host:port';
  throw new Error(`${JSON.stringify(address)} is not an address: ${why}`);
}

/** Why this program cannot look up host names; undefined: it can. */
export const NAME_FAULT: string | undefined = undefined;

/** Returns the text of an error. Errors of several tried addresses have a code and no message. */
function describe(error: Error): string {
  return error.message || ((error as NodeJS.ErrnoException).code ?? error.name);
}

/** The socket must at no time be open to other users. (Worker threads, as in tests, cannot set the umask.) */
function listenPrivately(server: Server, path: string, mode: number): void {
  const before = isMainThread ? process.umask(0o777 & ~mode) : undefined;
  server.prependOnceListener('listening', () => chmodSync(path, mode));
  server.listen(path);
  if (before !== undefined) process.umask(before);
}

function streamOf(socket: Socket): ByteStream {
  socket.pause();
  socket.setNoDelay(true);
  let reason = 'closed by the peer';
  socket.on('error', (error) => {
    reason = describe(error);
  });
  return {
    open: (listener) => {
      socket.on('data', (bytes) => listener.onData(bytes as Uint8Array));
      // The peer may be gone before there is a listener.
      if (socket.closed) queueMicrotask(() => listener.onClose(reason));
      else socket.once('close', () => listener.onClose(reason));
      socket.resume();
    },
    write: (bytes, isForeign = false) => {
      if (socket.destroyed || socket.writableEnded) return false;
      const most = isForeign ? QUEUE_BYTES_MAX / 2 : QUEUE_BYTES_MAX;
      if (socket.writableLength + bytes.length > most) return false;
      socket.write(bytes);
      return true;
    },
    hold: (isHeld) => void (isHeld ? socket.pause() : socket.resume()),
    close: () => {
      reason = 'closed by us';
      socket.setTimeout(LINGER_MS, () => socket.destroy());
      // A peer that never closes its side must not keep this side open.
      socket.destroySoon();
    },
  };
}
