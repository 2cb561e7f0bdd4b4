/**
 * JSON lines over a byte stream: the format of every control socket, and of the simulated machine's.
 *
 * Bounded: a line that is too long ends the connection with one error line. Pure apart from the stream. Non-ASCII
 * characters are escaped, so no text codec is needed.
 */

import type { ByteStream } from '../ports/world.ts';

/** Longest line in bytes: a `status` of 16 bundles with their last events is about 40 KiB. */
export const LINE_BYTES_MAX = 256 * 1024;

export type Json = { readonly [name: string]: unknown };

/** Returns the id of a request, which is echoed: a short text, a number or null. Undefined for anything else. */
export function idOf(request: Json): string | number | null | undefined {
  const { id = null } = request;
  if (id === null || typeof id === 'number') return id;
  return typeof id === 'string' && id.length <= 64 ? id : undefined;
}

/** Listener of a connection. */
export interface LinesListener {
  onLine(value: Json): void;
  /** A line that is not a JSON object; the connection continues. */
  onBad(error: string): void;
  onClose(reason: string): void;
}

const NEWLINE = 0x0a;

/** One end of a connection that speaks JSON lines. */
export class Lines {
  readonly #stream: ByteStream;
  readonly #decoder: (bytes: Uint8Array) => string;
  readonly #chunks: Uint8Array[] = [];
  #waiting = 0;
  #closed = false;
  #toldEnd = false;

  constructor(
    stream: ByteStream,
    listener: LinesListener,
    decoder: (bytes: Uint8Array) => string = decodeUtf8,
  ) {
    this.#stream = stream;
    this.#decoder = decoder;
    stream.open({
      onData: (bytes) => this.#take(bytes, listener),
      onClose: (reason) => this.#ended(listener, reason),
    });
  }

  /** Sends one value as a line. A peer that does not read is disconnected. */
  send(value: Json): void {
    if (this.#closed) return;
    if (!this.#stream.write(encodeLine(value))) this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.close();
  }

  #take(bytes: Uint8Array, listener: LinesListener): void {
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0 && !this.#closed; end = bytes.indexOf(NEWLINE, start)) {
      this.#chunks.push(bytes.subarray(start, end));
      start = end + 1;
      const line = joined(this.#chunks);
      this.#chunks.length = 0;
      this.#waiting = 0;
      if (line.length > 0) this.#dispatch(line, listener);
    }
    if (start === bytes.length || this.#closed) return;
    this.#chunks.push(bytes.slice(start));
    this.#waiting += bytes.length - start;
    if (this.#waiting <= LINE_BYTES_MAX) return;
    this.send({
      ok: false,
      error: { code: 'lineTooLong', message: `a line may have ${LINE_BYTES_MAX} bytes` },
    });
    this.close();
    this.#ended(listener, 'line too long');
  }

  /** Called once, whichever end closed first. */
  #ended(listener: LinesListener, reason: string): void {
    this.#closed = true;
    if (this.#toldEnd) return;
    this.#toldEnd = true;
    listener.onClose(reason);
  }

  #dispatch(line: Uint8Array, listener: LinesListener): void {
    let value: unknown;
    try {
      value = JSON.parse(this.#decoder(line));
    } catch {
      // Error texts differ between engines, so none is passed on.
      return listener.onBad('not JSON');
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return listener.onBad('not a JSON object');
    }
    listener.onLine(value as Json);
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Returns a value as one line of ASCII with its newline. */
export function encodeLine(value: unknown): Uint8Array {
  const text = JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const bytes = new Uint8Array(text.length + 1);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  bytes[text.length] = NEWLINE;
  return bytes;
}

/** Decodes UTF-8 without a text codec. The JSON parser refuses a malformed line. */
function decodeUtf8(bytes: Uint8Array): string {
  let escaped = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    escaped +=
      byte < 0x80 && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return decodeURIComponent(escaped);
}
