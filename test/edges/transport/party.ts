/**
 * What the tests of transports share: names, frames of any content, and parties that remember what they were told.
 */

import { DEFAULT_MACHINE, HOST, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import { type Channel, createEnvelopeKey } from '../../../src/core/wire/envelope.ts';
import { FRAME_BYTES_MAX } from '../../../src/core/wire/limits.ts';
import type { TransportCounts } from '../../../src/edges/transport/counts.ts';
import type { Transport, TransportListener } from '../../../src/ports/world.ts';

export const ANDROID = vmId('android');
export const VAULT = vmId('vault');
export const LIDAR = vmId('lidar');
export const GUESTS = [ANDROID, VAULT, LIDAR];
export const PARTIES = [HOST, ...GUESTS];

/** Returns a frame that says it is from `from` for `to`, with `content` where a sealed payload would be. */
export function frameOf(from: VmId, to: VmId, content: Uint8Array, channel: Channel = 'm'): Uint8Array {
  const start = header(from, to, channel);
  const frame = new Uint8Array(start.length + content.length);
  frame.set(start);
  frame.set(content, start.length);
  return frame;
}

/** Returns the longest frame, filled with all byte values. */
export function longestFrame(from: VmId, to: VmId): Uint8Array {
  const length = FRAME_BYTES_MAX - header(from, to, 'm').length;
  return frameOf(
    from,
    to,
    Uint8Array.from({ length }, (_, index) => index & 0xff),
  );
}

/** Returns a short frame that carries `number`. */
export function numbered(from: VmId, to: VmId, number: number): Uint8Array {
  return frameOf(from, to, Uint8Array.of(number >> 8, number & 0xff));
}

function header(from: VmId, to: VmId, channel: Channel): Uint8Array {
  return createEnvelopeKey(new Uint8Array(32), { from, to, channel, generation: 1 }, DEFAULT_MACHINE).head;
}

/** A party that remembers what its transport told it. */
export class Party implements TransportListener {
  readonly transport: Transport;
  readonly vm: VmId;
  readonly frames: { readonly from: VmId; readonly frame: Uint8Array }[] = [];
  readonly downs: string[] = [];
  ups = 0;
  isUp = false;

  constructor(vm: VmId, transport: Transport) {
    this.vm = vm;
    this.transport = transport;
    transport.open(this);
  }

  onFrame(from: VmId, frame: Uint8Array): void {
    this.frames.push({ from, frame });
  }

  onUp(): void {
    this.ups += 1;
    this.isUp = true;
  }

  onDown(reason: string): void {
    this.downs.push(reason);
    this.isUp = false;
  }

  /** Sends a frame that carries `number`. */
  say(to: VmId, number: number): boolean {
    return this.transport.send(to, numbered(this.vm, to, number));
  }

  /** Whether a frame that carries `number` came from `from`. */
  heard(from: VmId, number: number): boolean {
    const wanted = numbered(from, this.vm, number).join();
    return this.frames.some((arrived) => arrived.from === from && arrived.frame.join() === wanted);
  }
}

/** The counters of a party's transport, which all but that in memory have. */
export function counts(party: Party): TransportCounts {
  return (party.transport as unknown as { readonly counts: TransportCounts }).counts;
}
