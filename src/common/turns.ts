/**
 * Fair queueing of work by sender: each has its turn and its share of the queue. Pure apart from the clock.
 *
 * Each turn processes one piece per sender, and all other ready events run between two turns: timers, enforcer
 * answers, the control socket. So a flooding sender costs the others one piece per turn, however much it sends. If
 * nothing waits, work runs at once.
 */

import type { Clock } from '../ports/world.ts';

/** Default queue size per sender, in bytes: 256 short frames, more than a simultaneous handover of every bundle. */
const ROOM_BYTES = 64 * 1024;
/** Smallest size of a piece, which covers bookkeeping. */
const COST_MIN_BYTES = 256;
/** A sender that can be paused is paused at this size, in bytes. */
const BUSY_BYTES = 64 * 1024;
/**
 * Queue size of a sender that can be paused, in bytes. Two socket chunks may be in transit then: 64 KiB each, counted
 * as 160 KiB if all frames are the shortest.
 */
export const ROOM_HELD_UP_BYTES = 512 * 1024;
/** A paused sender continues when no more than this waits, so that it always has work at its turn. */
const LOW_BYTES = 32 * 1024;

interface Queue {
  readonly pieces: { readonly bytes: number; readonly work: () => void }[];
  bytes: number;
  isHeldUp: boolean;
}

/** The turns of senders, identified by `K`. */
export class Turns<K> {
  readonly #clock: Clock;
  readonly #onRoom: (from: K) => void;
  readonly #roomBytes: number;
  /** Senders with waiting work, in the order of their turns. */
  readonly #queues = new Map<K, Queue>();
  /** Senders that had their turn in this round. */
  readonly #served = new Set<K>();
  #cancel: (() => void) | undefined;

  /** `onRoom`: a sender that was busy (`isBusy`) has room again. */
  constructor(clock: Clock, onRoom: (from: K) => void = () => {}, roomBytes = ROOM_BYTES) {
    this.#clock = clock;
    this.#onRoom = onRoom;
    this.#roomBytes = roomBytes;
  }

  /**
   * Runs `work`, now or at its turn. Returns false, and drops it, when the sender's queue is full. `bytes`: memory
   * that it keeps.
   */
  take(from: K, bytes: number, work: () => void): boolean {
    if (this.#queues.size === 0 && !this.#served.has(from)) {
      this.#served.add(from);
      this.#wait();
      work();
      return true;
    }
    const queue = this.#queues.get(from) ?? { pieces: [], bytes: 0, isHeldUp: false };
    const cost = Math.max(bytes, COST_MIN_BYTES);
    if (queue.bytes + cost > this.#roomBytes) return false;
    queue.pieces.push({ bytes: cost, work });
    queue.bytes += cost;
    this.#queues.set(from, queue);
    this.#wait();
    return true;
  }

  /** Returns whether a sender should pause until `onRoom` names it. */
  isBusy(from: K): boolean {
    const queue = this.#queues.get(from);
    if (!queue || queue.bytes <= BUSY_BYTES) return false;
    queue.isHeldUp = true;
    return true;
  }

  /** Drops everything that waits. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#queues.clear();
    this.#served.clear();
  }

  #wait(): void {
    this.#cancel ??= this.#clock.soon(() => this.#turn());
  }

  #turn(): void {
    this.#cancel = undefined;
    this.#served.clear();
    for (const [from, queue] of [...this.#queues]) {
      const piece = queue.pieces.shift();
      // An earlier piece may have called `stop`.
      if (!piece || this.#queues.get(from) !== queue) continue;
      queue.bytes -= piece.bytes;
      if (queue.pieces.length === 0) this.#queues.delete(from);
      this.#served.add(from);
      piece.work();
      if (!queue.isHeldUp || queue.bytes > LOW_BYTES) continue;
      queue.isHeldUp = false;
      this.#onRoom(from);
    }
    if (this.#served.size > 0) this.#wait();
  }
}
