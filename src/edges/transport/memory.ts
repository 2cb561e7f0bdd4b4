/**
 * A network inside one process: seeded delay, loss, duplication and reordering, and partitions.
 *
 * For tests and simulations. Frames are copied, so no bytes are shared; time comes only from the given clock.
 */

import type { VmId } from '../../core/protocol/ids.ts';
import { FRAME_BYTES_MAX } from '../../core/wire/limits.ts';
import type { Clock, Transport, TransportListener } from '../../ports/world.ts';

/** Faults of the network. Probabilities from 0 to 1. */
export interface NetworkFaults {
  readonly loss: number;
  readonly duplicate: number;
  /** Delay of a frame, drawn evenly from this range, in ms. Unequal delays reorder. */
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
}

/** A network that delivers everything in order after 1 ms. */
export const NO_FAULTS: NetworkFaults = { loss: 0, duplicate: 0, delayMinMs: 1, delayMaxMs: 1 };

/** What happened to a frame, for transcripts and tests. */
export type NetworkTap = (
  what: 'sent' | 'lost' | 'delivered',
  from: VmId,
  to: VmId,
  frame: Uint8Array,
) => void;

const CUT_OFF = 'cut off by the simulation';
/** Most frames in transit; more are lost, as in a real queue. */
const IN_FLIGHT_MAX = 10_000;

/** The network. */
export class MemoryNetwork {
  faults: NetworkFaults;
  tap: NetworkTap = () => {};
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #open = new Map<VmId, TransportListener>();
  /** Since when. */
  readonly #cut = new Map<VmId, number>();
  #inFlight = 0;

  /** `random` returns numbers from 0 (included) to 1 (excluded). */
  constructor(clock: Clock, random: () => number, faults: NetworkFaults = NO_FAULTS) {
    this.#clock = clock;
    this.#random = random;
    this.faults = faults;
  }

  /** Returns the transport of `self`. */
  transport(self: VmId): Transport {
    return {
      open: (listener) => {
        this.#open.set(self, listener);
        this.#clock.after(0, () => {
          if (this.#open.get(self) === listener && !this.#cut.has(self)) listener.onUp();
        });
      },
      send: (to, frame) => this.#send(self, to, frame),
      obstacle: () => {
        const sinceMs = this.#cut.get(self);
        return sinceMs === undefined ? undefined : { reason: CUT_OFF, sinceMs };
      },
      close: () => {
        this.#open.delete(self);
      },
    };
  }

  /** Disconnects `vm` from all others, or reconnects it. */
  setCut(vm: VmId, cut: boolean): void {
    if (cut === this.#cut.has(vm)) return;
    if (cut) this.#cut.set(vm, this.#clock.nowMs());
    else this.#cut.delete(vm);
    const listener = this.#open.get(vm);
    if (cut) listener?.onDown(CUT_OFF);
    else listener?.onUp();
  }

  /** Delivers bytes as if `from` had sent them: replays and forgeries. */
  inject(from: VmId, to: VmId, frame: Uint8Array): void {
    this.#deliver(from, to, frame.slice());
  }

  #send(from: VmId, to: VmId, frame: Uint8Array): boolean {
    if (!this.#open.has(from) || this.#cut.has(from)) return false;
    if (frame.length === 0 || frame.length > FRAME_BYTES_MAX) return false;
    if (this.#inFlight >= IN_FLIGHT_MAX) return false;
    this.tap('sent', from, to, frame);
    if (this.#random() < this.faults.loss) {
      this.tap('lost', from, to, frame);
      return true;
    }
    const copies = this.#random() < this.faults.duplicate ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const { delayMinMs, delayMaxMs } = this.faults;
      const delayMs = delayMinMs + this.#random() * (delayMaxMs - delayMinMs);
      this.#inFlight += 1;
      const bytes = frame.slice();
      this.#clock.after(delayMs, () => {
        this.#inFlight -= 1;
        this.#deliver(from, to, bytes);
      });
    }
    return true;
  }

  #deliver(from: VmId, to: VmId, frame: Uint8Array): void {
    const listener = this.#open.get(to);
    if (!listener || this.#cut.has(to)) {
      this.tap('lost', from, to, frame);
      return;
    }
    this.tap('delivered', from, to, frame);
    listener.onFrame(from, frame);
  }
}
