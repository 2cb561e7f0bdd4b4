/**
 * Sequence numbers of one direction of a session: allocated at the sender, each accepted once at the receiver. Pure.
 *
 * Numbers rise from 1 and are never reused under one key; when they run out the session must be renewed.
 */

import { UINT32_MAX } from '../protocol/ids.ts';
import { RENEWAL_MARGIN, REPLAY_WINDOW } from './limits.ts';

/** Allocates the numbers of one direction. */
export class SendCounter {
  private next: number;

  constructor(first = 1) {
    this.next = first;
  }

  /** Returns the number of the next message, or undefined when none is left. */
  peek(): number | undefined {
    return this.next > UINT32_MAX ? undefined : this.next;
  }

  /** Uses the number that `peek` returned. */
  take(): void {
    this.next++;
  }

  /** Returns whether the session should be renewed, because few numbers are left. */
  get isEnding(): boolean {
    return this.next > UINT32_MAX - RENEWAL_MARGIN;
  }
}

/** Tracks which of the last 64 numbers were seen (the algorithm of RFC 4303 appendix A2, in two words). */
export class ReplayWindow {
  private highest = 0;
  /** Bit i: number `highest - i` was seen. */
  private low = 0;
  /** Bit i: number `highest - 32 - i` was seen. */
  private high = 0;

  /** Returns whether `seq` is new, and remembers it. Numbers 64 or more behind the highest are never new. */
  accept(seq: number): boolean {
    if (seq > this.highest) {
      this.advance(seq - this.highest);
      this.highest = seq;
      this.low |= 1;
      return true;
    }
    const age = this.highest - seq;
    if (seq === 0 || age >= REPLAY_WINDOW) return false;
    const bit = 1 << (age & 31);
    if (((age < 32 ? this.low : this.high) & bit) !== 0) return false;
    if (age < 32) this.low |= bit;
    else this.high |= bit;
    return true;
  }

  private advance(by: number): void {
    if (by >= 32) {
      this.high = by >= REPLAY_WINDOW ? 0 : this.low << (by - 32);
      this.low = 0;
      return;
    }
    this.high = (this.high << by) | (this.low >>> (32 - by));
    this.low <<= by;
  }
}
