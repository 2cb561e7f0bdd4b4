/** Byte streams on Node: UNIX and TCP sockets behind the StreamNetwork port. */

import { chmodSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import type { ByteStream, StreamNetwork } from '../../src/ports.ts';

/** Bytes that may wait to be sent on one stream: 64 full frames; a slower peer loses what comes after. */
const QUEUE_BYTES_MAX = 256 * 1024;
/** Longest wait for a connection. Loopback and vsock answer at once or never. */
const CONNECT_MS = 5_000;

/** The sockets of this machine. */
export const STREAMS: StreamNetwork = {
  connect: (address, done) => {
    const socket = connect(parseAddress(address));
    socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error(`no answer within ${CONNECT_MS} ms`)));
    const fail = (error: Error) => done(new Error(`${address}: ${error.message}`));
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeListener('error', fail);
      done(streamOf(socket));
    });
  },
  listen: (address, onConnection, done, mode = 0o600) => {
    const where = parseAddress(address);
    const server = createServer({ noDelay: true }, (socket) => onConnection(streamOf(socket)));
    server.once('error', (error) => done(new Error(`${address}: ${error.message}`)));
    if ('path' in where) removeStale(where.path);
    // The socket must not be open to others even for a moment.
    const before = process.umask(0o777 & ~mode);
    server.listen(where, () => {
      if ('path' in where) chmodSync(where.path, mode);
      done(undefined);
    });
    process.umask(before);
    return () => server.close();
  },
};

/** Parses `unix:/path` and `tcp:host:port`. Throws an Error that says what an address looks like. */
export function parseAddress(
  address: string,
): { path: string } | { host: string; port: number; noDelay: true } {
  if (address.startsWith('unix:') && address.length > 5) return { path: address.slice(5) };
  const tcp = /^tcp:(.+):(\d{1,5})$/.exec(address);
  if (tcp && Number(tcp[2]) <= 65_535) return { host: tcp[1]!, port: Number(tcp[2]), noDelay: true };
  throw new Error(`${JSON.stringify(address)} is no address: expected unix:/path or tcp:host:port`);
}

/** A socket file of a process that is gone is in the way; a file that is no socket is left alone. */
function removeStale(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isSocket()) rmSync(path);
}

function streamOf(socket: Socket): ByteStream {
  socket.pause();
  socket.setNoDelay(true);
  let reason = 'closed by the peer';
  socket.on('error', (error) => {
    reason = error.message;
  });
  return {
    open: (listener) => {
      socket.on('data', (bytes) => listener.onData(bytes as Uint8Array));
      socket.once('close', () => listener.onClose(reason));
      // The peer may be gone before anybody listened.
      if (socket.destroyed) queueMicrotask(() => listener.onClose(reason));
      socket.resume();
    },
    write: (bytes) => {
      if (socket.destroyed || socket.writableEnded) return false;
      if (socket.writableLength + bytes.length > QUEUE_BYTES_MAX) return false;
      socket.write(bytes);
      return true;
    },
    close: () => {
      reason = 'closed by us';
      socket.end();
      // A peer that never closes its side must not keep ours open.
      socket.destroySoon();
    },
  };
}
