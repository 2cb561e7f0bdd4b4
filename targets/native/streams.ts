/**
 * Byte streams over the native core: the StreamNetwork of every runtime with a binding of it. Independent of the
 * runtime.
 *
 * Each time a descriptor is ready, one chunk is read, or one connection accepted, so that a peer that never pauses does
 * not delay others.
 */

import type { ByteStream, ByteStreamListener, Clock, StreamNetwork } from '../../src/ports/world.ts';
import { type CoreAddress, coreAddress } from './addresses.ts';
import { AGAIN, errorName, FAMILY, type NativeCore, type Poller } from './core.ts';

/** Most unsent bytes of one stream: 32 full frames. For a slower peer further frames are dropped. */
const QUEUE_BYTES_MAX = 256 * 1024;
/**
 * Most unsent pieces of one stream: each takes about 200 bytes besides its content, and an MQTT acknowledgement has
 * four.
 */
const QUEUE_PIECES_MAX = 1_024;
/** Longest wait for a connection, in ms. Loopback and vsock answer at once or never. */
const CONNECT_MS = 5_000;
/**
 * Longest time without progress, in ms, in which a closed stream may still send what was queued; then its peer does not
 * read.
 */
const LINGER_MS = 1_000;
/** Bytes per read: sixteen full frames, or a large `status`. */
const CHUNK_BYTES = 64 * 1024;

/** Parameters of streams. */
export interface StreamParts {
  readonly core: NativeCore;
  readonly poller: Poller;
  readonly clock: Pick<Clock, 'after'>;
  /**
   * Prepares the path of a socket file, and reserves it until it is released. Rejects when another process listens
   * there, or there is something else.
   */
  readonly takePlace: (path: string) => Promise<{ release(): void }>;
}

/** Returns the streams of this machine. */
export function nativeStreams(parts: StreamParts): StreamNetwork {
  return {
    connect: (address, done) => connect(parts, address, done),
    listen: (address, onConnection, done, mode = 0o600) => listen(parts, address, onConnection, done, mode),
  };
}

/** `done` is never called before this returns. */
function connect(
  { core, poller, clock }: StreamParts,
  address: string,
  done: (result: ByteStream | Error) => void,
): void {
  const later = (result: ByteStream | Error) => void Promise.resolve().then(() => done(result));
  let to: CoreAddress;
  try {
    to = coreAddress(address);
  } catch (error) {
    return later(error as Error);
  }
  const failed = (result: number) => {
    const code = errorName(result);
    return Object.assign(new Error(`${address}: connect ${code} ${to.where}`), { code });
  };
  const fd = core.connect(to.family, to.where, to.port);
  if (fd < 0) return later(failed(fd));
  const end = (result: ByteStream | Error) => {
    cancel();
    poller.onWritable(fd, undefined);
    if (result instanceof Error) core.close(fd);
    done(result);
  };
  const cancel = clock.after(CONNECT_MS, () =>
    end(new Error(`${address}: no answer within ${CONNECT_MS} ms`)),
  );
  poller.onWritable(fd, () => {
    const error = core.socketError(fd);
    if (error < 0) end(failed(error));
    else end(new NativeStream(core, poller, clock, fd));
  });
}

function listen(
  { core, poller, clock, takePlace }: StreamParts,
  address: string,
  onConnection: (stream: ByteStream) => void,
  done: (error: Error | undefined) => void,
  mode: number,
): () => void {
  const at = coreAddress(address);
  let isStopped = false;
  let fd = -1;
  let place: { release(): void } | undefined;
  const start = () => {
    fd = core.listen(at.family, at.where, at.port, mode);
    if (fd < 0) throw new Error(`listen ${errorName(fd)} ${at.where}`);
    poller.onReadable(fd, () => {
      const taken = core.accept(fd);
      // Errors concern a connection that could not be accepted; its other end dials again.
      if (taken >= 0) onConnection(new NativeStream(core, poller, clock, taken));
    });
  };
  const stop = () => {
    isStopped = true;
    if (fd >= 0) {
      poller.onReadable(fd, undefined);
      core.close(fd);
      fd = -1;
    }
    place?.release();
    place = undefined;
  };
  const ready = at.family === FAMILY.unix ? takePlace(at.where) : Promise.resolve(undefined);
  ready
    .then((taken) => {
      place = taken;
      if (isStopped) stop();
      else start();
    })
    .then(
      () => isStopped || done(undefined),
      (error: Error) => {
        if (isStopped) return;
        stop();
        done(new Error(`${address}: ${error.message}`));
      },
    );
  return stop;
}

/** One connection. */
class NativeStream implements ByteStream {
  readonly #core: NativeCore;
  readonly #poller: Poller;
  readonly #clock: Pick<Clock, 'after'>;
  readonly #fd: number;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #listener: ByteStreamListener | undefined;
  /** Why it ended. Queued bytes may still be sent. */
  #reason: string | undefined;
  #isGone = false;
  #cancelLinger: () => void = () => {};

  constructor(core: NativeCore, poller: Poller, clock: Pick<Clock, 'after'>, fd: number) {
    this.#core = core;
    this.#poller = poller;
    this.#clock = clock;
    this.#fd = fd;
  }

  open(listener: ByteStreamListener): void {
    this.#listener = listener;
    if (this.#isGone) this.#tell();
    else this.hold(false);
  }

  hold(isHeld: boolean): void {
    if (this.#reason !== undefined) return;
    this.#poller.onReadable(this.#fd, isHeld ? undefined : () => this.#read());
  }

  write(bytes: Uint8Array, isForeign = false): boolean {
    const parts = isForeign ? 2 : 1;
    const isFull =
      this.#queuedBytes + bytes.length > QUEUE_BYTES_MAX / parts ||
      this.#queue.length >= QUEUE_PIECES_MAX / parts;
    if (this.#reason !== undefined || isFull) return false;
    const sent = this.#queue.length === 0 ? this.#send(bytes) : 0;
    if (sent === undefined) return false;
    if (sent === bytes.length) return true;
    if (this.#queue.length === 0) this.#poller.onWritable(this.#fd, () => this.#flush());
    // The writer may reuse its bytes.
    this.#queue.push(bytes.slice(sent));
    this.#queuedBytes += bytes.length - sent;
    return true;
  }

  close(): void {
    if (this.#reason === undefined) this.#end('closed by us');
  }

  #read(): void {
    const bytes = new Uint8Array(CHUNK.buffer);
    const count = this.#core.receive(this.#fd, bytes.buffer, 0, CHUNK_BYTES);
    if (count > 0) return this.#listener?.onData(bytes.slice(0, count));
    if (count === AGAIN) return;
    if (count === 0) this.#end('closed by the peer');
    else this.#destroy(`read ${errorName(count)}`);
  }

  /** Returns the number of bytes that the kernel accepted; undefined when the stream has failed. */
  #send(bytes: Uint8Array): number | undefined {
    const sent = this.#core.send(this.#fd, bytes.buffer, bytes.byteOffset, bytes.length);
    if (sent >= 0) return sent;
    if (sent === AGAIN) return 0;
    this.#destroy(`write ${errorName(sent)}`);
    return undefined;
  }

  #flush(): void {
    for (let [first] = this.#queue; first !== undefined; [first] = this.#queue) {
      const sent = this.#send(first);
      if (sent === undefined) return;
      this.#queuedBytes -= sent;
      if (sent > 0 && this.#reason !== undefined) this.#linger();
      if (sent < first.length) {
        this.#queue[0] = first.subarray(sent);
        return;
      }
      this.#queue.shift();
    }
    this.#poller.onWritable(this.#fd, undefined);
    if (this.#reason !== undefined) this.#destroy(this.#reason);
  }

  /** Stops reading, and closes when the queue has been sent. */
  #end(reason: string): void {
    this.#reason = reason;
    this.#poller.onReadable(this.#fd, undefined);
    if (this.#queue.length === 0) this.#destroy(reason);
    else this.#linger();
  }

  #linger(): void {
    this.#cancelLinger();
    this.#cancelLinger = this.#clock.after(LINGER_MS, () => this.#destroy(this.#reason!));
  }

  #destroy(reason: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#reason = reason;
    this.#cancelLinger();
    this.#poller.onReadable(this.#fd, undefined);
    this.#poller.onWritable(this.#fd, undefined);
    this.#core.close(this.#fd);
    this.#queue.length = 0;
    this.#tell();
  }

  /** Never called within a call by the listener. */
  #tell(): void {
    const listener = this.#listener;
    if (listener) void Promise.resolve().then(() => listener.onClose(this.#reason!));
  }
}

/** Receive buffer of all streams; listeners get copies. */
const CHUNK = new Uint8Array(CHUNK_BYTES);
