/**
 * Frames queued for a broker: one lane per receiver, with a few unacknowledged messages and a short queue.
 *
 * Lanes are separate so that a slow receiver delays no other. A broker that stops acknowledging is disconnected.
 * Nothing survives a connection; the sessions repeat what is lost.
 */

import type { VmId } from '../../../../core/protocol/ids.ts';
import type { Clock } from '../../../../ports/world.ts';

/** What lanes need. */
export interface LaneParts {
  readonly clock: Clock;
  /** Sends a frame to the broker; `done` when it is acknowledged (QoS 1) or written (QoS 0), or failed. */
  readonly publish: (to: VmId, frame: Uint8Array, done: (error?: Error) => void) => void;
  /** A frame was refused. */
  readonly onRefused: (to: VmId, error: Error) => void;
  /** The broker acknowledges nothing. */
  readonly onStuck: (reason: string) => void;
}

/** Most unacknowledged messages per receiver; brokers allow 20 and more. */
const IN_FLIGHT_MAX = 8;
/** Most queued frames per receiver: more than a simultaneous handover of every bundle sends to one party. */
const QUEUE_FRAMES_MAX = 64;
/** Most receivers. A party sends only to those that share a key with it, which are fewer. */
const LANES_MAX = 256;
/**
 * Longest time without an acknowledgement while messages are unacknowledged, in ms. The broker is on the same
 * machine.
 */
const ACKNOWLEDGE_MS = 5_000;

interface Lane {
  inFlight: number;
  readonly queue: Uint8Array[];
}

/** The outgoing frames of one connection. */
export class MqttLanes {
  readonly #parts: LaneParts;
  readonly #lanes = new Map<VmId, Lane>();
  #inFlight = 0;
  #cancelWatch: (() => void) | undefined;
  #isStopped = false;

  constructor(parts: LaneParts) {
    this.#parts = parts;
  }

  /** Sends `frame` now or after the earlier ones. Returns false when the queue is full. */
  put(to: VmId, frame: Uint8Array): boolean {
    const lane = this.#lanes.get(to) ?? { inFlight: 0, queue: [] };
    if (lane.queue.length >= QUEUE_FRAMES_MAX) return false;
    if (!this.#lanes.has(to) && this.#lanes.size >= LANES_MAX) return false;
    this.#lanes.set(to, lane);
    lane.queue.push(frame);
    this.#fill(to, lane);
    return true;
  }

  /** Drops everything. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelWatch?.();
    this.#lanes.clear();
  }

  #fill(to: VmId, lane: Lane): void {
    while (!this.#isStopped && lane.inFlight < IN_FLIGHT_MAX) {
      const frame = lane.queue.shift();
      if (frame === undefined) break;
      lane.inFlight += 1;
      this.#inFlight += 1;
      if (this.#inFlight === 1) this.#watch();
      this.#parts.publish(to, frame, (error) => this.#onDone(to, lane, error));
    }
  }

  #onDone(to: VmId, lane: Lane, error: Error | undefined): void {
    if (this.#isStopped) return;
    lane.inFlight -= 1;
    this.#inFlight -= 1;
    this.#watch();
    if (error) this.#parts.onRefused(to, error);
    if (lane.inFlight === 0 && lane.queue.length === 0) this.#lanes.delete(to);
    else this.#fill(to, lane);
  }

  #watch(): void {
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    if (this.#inFlight === 0) return;
    this.#cancelWatch = this.#parts.clock.after(ACKNOWLEDGE_MS, () =>
      this.#parts.onStuck(`the broker acknowledged nothing for ${ACKNOWLEDGE_MS} ms`),
    );
  }
}
