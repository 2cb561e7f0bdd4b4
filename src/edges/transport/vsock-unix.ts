/**
 * vsock in the form that Firecracker and Cloud Hypervisor offer to their host: over UNIX sockets. Pure: bytes are
 * moved by another StreamNetwork.
 *
 *   vsock-unix:/path:PORT
 *     dialled:   to /path, where the VMM listens: `CONNECT PORT\n` out, `OK NUMBER\n` in, and then the stream
 *                to that port of the guest
 *     listened:  on /path_PORT, where the VMM connects for each connection of the guest to port PORT of CID 2
 *
 * Source: docs/vsock.md of Firecracker, docs/vsock.md of Cloud Hypervisor. If nothing listens in the guest, the VMM
 * closes the connection without an answer.
 */

import type { ByteStream, ByteStreamListener, Clock, StreamNetwork } from '../../ports/world.ts';

/** Longest wait for the VMM's answer, in ms: it asks the guest's kernel, not a program. */
const ANSWER_MS = 5_000;
/** Longest line of the VMM: `OK ` and a 32-bit number. */
const LINE_BYTES_MAX = 16;
/** Most bytes behind its line before there is a listener: one read. */
const EARLY_BYTES_MAX = 64 * 1024;

const NEWLINE = 0x0a;

/** Returns `streams`, extended by addresses of this form. */
export function withVsockUnix(streams: StreamNetwork, clock: Pick<Clock, 'after'>): StreamNetwork {
  return {
    connect: (address, done) => {
      const where = parseVsockUnix(address);
      if (!where) return streams.connect(address, done);
      streams.connect(`unix:${where.path}`, (stream) => {
        if (stream instanceof Error) return done(new Error(`${address}: ${stream.message}`));
        const dialled = new Dialled(stream, address, done);
        dialled.cancelLimit = clock.after(ANSWER_MS, () =>
          dialled.fail(`no answer from the VMM within ${ANSWER_MS} ms`),
        );
        stream.write(ascii(`CONNECT ${where.port}\n`));
      });
    },
    listen: (address, onConnection, done, mode) => {
      const where = parseVsockUnix(address);
      const at = where ? `unix:${where.path}_${where.port}` : address;
      return streams.listen(at, onConnection, done, mode);
    },
  };
}

/** Returns path and port of an address of this form; undefined for any other. */
export function parseVsockUnix(address: string): { path: string; port: number } | undefined {
  const [, path, digits] = /^vsock-unix:(.+):(\d{1,10})$/.exec(address) ?? [];
  return path === undefined ? undefined : { path, port: Number(digits) };
}

/** A stream that starts with the VMM's line. */
class Dialled implements ByteStream {
  cancelLimit: () => void = () => {};
  readonly #stream: ByteStream;
  readonly #address: string;
  #done: ((result: ByteStream | Error) => void) | undefined;
  #listener: ByteStreamListener | undefined;
  #line = '';
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #ended: string | undefined;

  constructor(stream: ByteStream, address: string, done: (result: ByteStream | Error) => void) {
    this.#stream = stream;
    this.#address = address;
    this.#done = done;
    stream.open({ onData: (bytes) => this.#onData(bytes), onClose: (reason) => this.#onClose(reason) });
  }

  open(listener: ByteStreamListener): void {
    this.#listener = listener;
    const early = this.#early;
    this.#early = [];
    for (const bytes of early) listener.onData(bytes);
    if (this.#ended !== undefined) listener.onClose(this.#ended);
  }

  write(bytes: Uint8Array, isForeign = false): boolean {
    return this.#stream.write(bytes, isForeign);
  }

  hold(isHeld: boolean): void {
    this.#stream.hold?.(isHeld);
  }

  close(): void {
    this.#stream.close();
  }

  fail(why: string): void {
    this.#stream.close();
    this.#settle(new Error(`${this.#address}: ${why}`));
  }

  #settle(result: ByteStream | Error): void {
    this.cancelLimit();
    const done = this.#done;
    this.#done = undefined;
    done?.(result);
  }

  #onData(bytes: Uint8Array): void {
    if (!this.#done) return this.#pass(bytes);
    const end = bytes.indexOf(NEWLINE);
    const part = end < 0 ? bytes : bytes.subarray(0, end);
    this.#line += String.fromCharCode(...part.subarray(0, LINE_BYTES_MAX));
    if (end < 0 && this.#line.length < LINE_BYTES_MAX) return;
    if (!/^OK \d{1,10}$/.test(this.#line))
      return this.fail(`expected "OK" and a number from the VMM, not ${JSON.stringify(this.#line)}`);
    if (end + 1 < bytes.length) this.#pass(bytes.slice(end + 1));
    this.#settle(this);
  }

  #pass(bytes: Uint8Array): void {
    if (this.#listener) return this.#listener.onData(bytes);
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > EARLY_BYTES_MAX) this.#stream.close();
    else this.#early.push(bytes);
  }

  #onClose(reason: string): void {
    this.#ended = reason;
    if (this.#done) this.fail('closed by the VMM: does a program in the guest listen on this port?');
    else this.#listener?.onClose(reason);
  }
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
