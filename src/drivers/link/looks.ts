/** Status requests that wait for the answers of probed peers, up to a limit. Pure apart from the clock. */

import type { VmId } from '../../core/protocol/ids.ts';
import { PROBE_MS } from '../../core/wire/peer-session.ts';
import type { Clock } from '../../ports/world.ts';

interface Look {
  readonly waits: Set<VmId>;
  readonly done: () => void;
  cancel: () => void;
}

/** All status requests that wait for answers. */
export class Looks {
  readonly #clock: Clock;
  readonly #open = new Set<Look>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `done` when all of `waits` were heard, or after PROBE_MS; at once if `waits` is empty. */
  begin(waits: Set<VmId>, done: () => void): void {
    if (waits.size === 0) return done();
    const look: Look = { waits, done, cancel: () => {} };
    const end = () => this.#end(look);
    // What has arrived by then counts.
    look.cancel = this.#clock.after(PROBE_MS, () => {
      look.cancel = this.#clock.soon(end);
    });
    this.#open.add(look);
  }

  /** A frame of the peer was accepted. */
  heard(peer: VmId): void {
    for (const look of this.#open) if (look.waits.delete(peer) && look.waits.size === 0) this.#end(look);
  }

  /** Drops all callbacks. */
  stop(): void {
    for (const { cancel } of this.#open) cancel();
    this.#open.clear();
  }

  #end(look: Look): void {
    look.cancel();
    if (this.#open.delete(look)) look.done();
  }
}
