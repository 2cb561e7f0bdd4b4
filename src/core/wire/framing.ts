/**
 * Frames in a byte stream (vsock, UNIX socket): 4 bytes of length, big endian, then the envelope. Pure.
 *
 * The decoder takes chunks of any size and buffers at most one incomplete frame. No peer sends a length of 0 or above
 * the limit: the stream is then broken for good and must be closed.
 */

import { FRAME_BYTES_MAX } from './limits.ts';

/** Bytes of the length before each frame. */
export const LENGTH_BYTES = 4;

/** Returns `frame` with its length in front. Throws a RangeError if it is empty or too long (a bug of ours). */
export function frameForStream(frame: Uint8Array): Uint8Array {
  if (!isLength(frame.length)) throw new RangeError(`frame of ${frame.length} bytes`);
  const framed = new Uint8Array(LENGTH_BYTES + frame.length);
  new DataView(framed.buffer).setUint32(0, frame.length);
  framed.set(frame, LENGTH_BYTES);
  return framed;
}

/** Result of a chunk. `broken`: the stream cannot be parsed any further; close it. */
export interface Unframed {
  readonly frames: readonly Uint8Array[];
  readonly broken: boolean;
}

/** Cuts a byte stream into frames. */
export class FrameDecoder {
  private readonly length = new Uint8Array(LENGTH_BYTES);
  private lengthFilled = 0;
  private frame: Uint8Array | undefined;
  private frameFilled = 0;
  private broken = false;

  /** Returns the frames that `chunk` completes, as plain copies: the chunk may be reused. Never throws. */
  push(chunk: Uint8Array): Unframed {
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length && !this.broken) {
      at += this.frame === undefined ? this.fillLength(chunk, at) : this.fillFrame(this.frame, chunk, at);
      if (this.frame !== undefined && this.frameFilled === this.frame.length) {
        frames.push(this.frame);
        this.frame = undefined;
      }
    }
    return { frames, broken: this.broken };
  }

  private fillLength(chunk: Uint8Array, at: number): number {
    const taken = Math.min(LENGTH_BYTES - this.lengthFilled, chunk.length - at);
    this.length.set(chunk.subarray(at, at + taken), this.lengthFilled);
    this.lengthFilled += taken;
    if (this.lengthFilled < LENGTH_BYTES) return taken;
    this.lengthFilled = 0;
    const length = new DataView(this.length.buffer).getUint32(0);
    if (isLength(length)) {
      this.frame = new Uint8Array(length);
      this.frameFilled = 0;
    } else {
      this.broken = true;
    }
    return taken;
  }

  private fillFrame(frame: Uint8Array, chunk: Uint8Array, at: number): number {
    const taken = Math.min(frame.length - this.frameFilled, chunk.length - at);
    frame.set(chunk.subarray(at, at + taken), this.frameFilled);
    this.frameFilled += taken;
    return taken;
  }
}

function isLength(length: number): boolean {
  return length > 0 && length <= FRAME_BYTES_MAX;
}
