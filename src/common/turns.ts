/**
 * Work that waits, by who caused it: each has its turn and its share of the room. Pure apart from the clock it is
 * given.
 *
 * One piece of each sender is done in a turn, and between two turns whatever else is ready comes first: timers,
 * answers of the enforcer, the control socket. So a sender that floods costs the others one piece of its own in each
 * turn, however much it sends. Where nothing waits, work is done at once.
 */

import type { Clock } from '../ports/world.ts';

/**
 * Room of one sender, in bytes, unless told otherwise: 256 short frames. A handover of every bundle at once sends
 * fewer.
 */
const ROOM_BYTES = 64 * 1024;
/** What a piece counts for at least, for what is kept around it. */
const COST_MIN_BYTES = 256;
/** From here on a sender that can be held up is, in bytes. */
const BUSY_BYTES = 64 * 1024;
/**
 * Room of a sender that can be held up, in bytes. Two chunks of a socket may be on their way when it is: 64 KiB each,
 * that count for 160 KiB where the frames are the shortest.
 */
export const ROOM_HELD_UP_BYTES = 512 * 1024;
/** A sender that was held up goes on when no more than this waits: it always finds something to do at its turn. */
const LOW_BYTES = 32 * 1024;

interface Queue {
  readonly pieces: { readonly bytes: number; readonly work: () => void }[];
  bytes: number;
  isHeldUp: boolean;
}

/** The turns of senders that are told apart by `K`. */
export class Turns<K> {
  readonly #clock: Clock;
  readonly #onRoom: (from: K) => void;
  readonly #roomBytes: number;
  /** Senders of which something waits, in the order of their turns. */
  readonly #queues = new Map<K, Queue>();
  /** Senders that had their turn since the others had one. */
  readonly #served = new Set<K>();
  #cancel: (() => void) | undefined;

  /** `onRoom`: there is room again for a sender that `isBusy` was true of. */
  constructor(clock: Clock, onRoom: (from: K) => void = () => {}, roomBytes = ROOM_BYTES) {
    this.#clock = clock;
    this.#onRoom = onRoom;
    this.#roomBytes = roomBytes;
  }

  /**
   * Does `work`, now or at its turn. Returns false, and never does it, when the sender’s room is full. `bytes`: what
   * is kept for it.
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

  /** Whether a sender had better send nothing until `onRoom` names it. */
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
      // `stop` may have been called by what a piece before led to.
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
