/**
 * The host's timestamp token: 8 bytes of its boot id and its monotonic milliseconds as a uint64, big endian. Opaque
 * to agents, which copy the last one into a consent, so that no VM's clock is ever compared. Pure.
 */

import { sameBytes } from '../protocol/evidence.ts';
import { HOST_TIME_BYTES } from '../protocol/messages.ts';

/** Bytes of the boot id that go into a timestamp token. */
const BOOT_PART_BYTES = 8;

/** Returns the timestamp token of time `nowMs` in the boot `bootId` (at least 8 bytes). */
export function makeHostTime(bootId: Uint8Array, nowMs: number): Uint8Array {
  const hostTime = new Uint8Array(HOST_TIME_BYTES);
  hostTime.set(bootId.subarray(0, BOOT_PART_BYTES));
  const view = new DataView(hostTime.buffer);
  const ms = Math.floor(nowMs);
  view.setUint32(BOOT_PART_BYTES, Math.floor(ms / 2 ** 32));
  view.setUint32(BOOT_PART_BYTES + 4, ms >>> 0);
  return hostTime;
}

/** Makes timestamp tokens. Reuses the bytes within a millisecond, since every message of the host carries one. */
export class HostTimes {
  readonly #bootId: Uint8Array;
  #last: { readonly ms: number; readonly hostTime: Uint8Array } | undefined;

  constructor(bootId: Uint8Array) {
    this.#bootId = bootId;
  }

  at(nowMs: number): Uint8Array {
    const ms = Math.floor(nowMs);
    if (this.#last?.ms !== ms) this.#last = { ms, hostTime: makeHostTime(this.#bootId, ms) };
    return this.#last.hostTime;
  }
}

/** Returns whether `hostTime` is of this boot, and its age. */
export function readHostTime(
  bootId: Uint8Array,
  nowMs: number,
  hostTime: Uint8Array,
): { sameBoot: boolean; ageMs: number } {
  const view = new DataView(hostTime.buffer, hostTime.byteOffset, hostTime.length);
  const ms = view.getUint32(BOOT_PART_BYTES) * 2 ** 32 + view.getUint32(BOOT_PART_BYTES + 4);
  const sameBoot = sameBytes(hostTime.subarray(0, BOOT_PART_BYTES), bootId.subarray(0, BOOT_PART_BYTES));
  return { sameBoot, ageMs: Math.floor(nowMs) - ms };
}
