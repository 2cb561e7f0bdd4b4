/**
 * Somebody looks: peers are asked whether they live, and whoever looks waits for the answers, not for long. Pure
 * apart from the clock it is given.
 */

import type { VmId } from '../../core/protocol/ids.ts';
import type { Clock } from '../../ports/world.ts';

/** Longest wait for the answers, in ms: a round trip takes a few, on a machine under load a hundred. */
export const LOOK_MS = 400;
/** A peer that was heard so short a time ago, in ms, need not be asked: its answer would be as old. */
export const FRESH_MS = 100;

interface Look {
  readonly waits: Set<VmId>;
  readonly done: () => void;
  cancel: () => void;
}

/** All looks that wait for answers. */
export class Looks {
  readonly #clock: Clock;
  readonly #open = new Set<Look>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `done` once all of `waits` were heard, or LOOK_MS later; at once when there is nobody to wait for. */
  begin(waits: Set<VmId>, done: () => void): void {
    if (waits.size === 0) return done();
    const look: Look = { waits, done, cancel: () => {} };
    const end = () => this.#end(look);
    // What has arrived by then counts.
    look.cancel = this.#clock.after(LOOK_MS, () => {
      look.cancel = this.#clock.soon(end);
    });
    this.#open.add(look);
  }

  /** The peer was heard. */
  heard(peer: VmId): void {
    for (const look of this.#open) if (look.waits.delete(peer) && look.waits.size === 0) this.#end(look);
  }

  /** Nobody is called any more. */
  stop(): void {
    for (const { cancel } of this.#open) cancel();
    this.#open.clear();
  }

  #end(look: Look): void {
    look.cancel();
    if (this.#open.delete(look)) look.done();
  }
}
