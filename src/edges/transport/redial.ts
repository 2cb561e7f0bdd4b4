/**
 * Keeps one connection alive: dials, waits longer after each failure, and says when the way opens or closes.
 *
 * Used by the transports that connect to something. It knows nothing of sockets: `Dial` makes one attempt. A
 * reason for being down is told once, not at every further attempt that fails the same way.
 */

import { quietLog } from '../../common/quiet-log.ts';
import type { Clock, Entropy, Log, Obstacle, TransportListener } from '../../ports/world.ts';

/** What an attempt reports. After `down`, and after it was hung up, nothing it reports counts. */
export interface DialEvents {
  up(): void;
  down(reason: string): void;
}

/** Makes one attempt. Returns what ends it. Must give up by itself after a while. */
export type Dial = (events: DialEvents) => () => void;

/** What redialling needs. */
export interface RedialParts {
  /** What is dialled, for people. */
  readonly where: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** First wait after a failure: a broker or host that restarts is back in about this time. */
const WAIT_MIN_MS = 100;
/** Longest wait, and so the longest that a way stays closed after its other end is back. All ends are local. */
const WAIT_MAX_MS = 2_000;
/** A way that was up for this long starts again with the shortest wait; two that oust each other slow down. */
const STABLE_MS = 5_000;

/** Dials until told to stop. */
export class Redial {
  readonly #parts: RedialParts;
  readonly #dial: Dial;
  #listener: TransportListener | undefined;
  /** Stands for the attempt that counts; what an older one reports is ignored. */
  #attempt: object | undefined;
  #hangUp: (() => void) | undefined;
  #cancelWait: (() => void) | undefined;
  #waitMs = WAIT_MIN_MS;
  #upMs: number | undefined;
  #toldReason: string | undefined;
  /** Since when the way is closed; undefined while it is open. */
  #closedMs: number | undefined;

  constructor(parts: RedialParts, dial: Dial) {
    this.#parts = { ...parts, log: quietLog(parts.log, parts.clock) };
    this.#dial = dial;
  }

  open(listener: TransportListener): void {
    this.#listener = listener;
    this.#closedMs = this.#parts.clock.nowMs();
    this.#start();
  }

  /** Why the way is closed; undefined while it is open. */
  obstacle(): Obstacle | undefined {
    if (this.#closedMs === undefined) return undefined;
    const why = this.#toldReason === undefined ? ' yet' : `: ${this.#toldReason}`;
    return { reason: `not connected to ${this.#parts.where}${why}`, sinceMs: this.#closedMs };
  }

  /** Ends it; the listener hears nothing any more. */
  close(): void {
    this.#listener = undefined;
    this.#attempt = undefined;
    this.#cancelWait?.();
    this.#hangUp?.();
    this.#hangUp = undefined;
  }

  #start(): void {
    const attempt = {};
    this.#attempt = attempt;
    this.#upMs = undefined;
    const hangUp = this.#dial({
      up: () => {
        if (this.#attempt === attempt) this.#onUp();
      },
      down: (reason) => {
        if (this.#attempt === attempt) this.#onDown(reason);
      },
    });
    // It may have failed before it returned.
    if (this.#attempt === attempt) this.#hangUp = hangUp;
  }

  #onUp(): void {
    this.#upMs = this.#parts.clock.nowMs();
    this.#toldReason = undefined;
    this.#closedMs = undefined;
    this.#parts.log('info', `connected to ${this.#parts.where}`);
    this.#listener?.onUp();
  }

  #onDown(reason: string): void {
    this.#attempt = undefined;
    this.#hangUp = undefined;
    const { clock, log, where } = this.#parts;
    this.#closedMs ??= clock.nowMs();
    if (this.#upMs !== undefined && clock.nowMs() - this.#upMs >= STABLE_MS) this.#waitMs = WAIT_MIN_MS;
    this.#cancelWait = clock.after(this.#waitMs * this.#jitter(), () => this.#start());
    this.#waitMs = Math.min(this.#waitMs * 2, WAIT_MAX_MS);
    if (reason === this.#toldReason) return;
    this.#toldReason = reason;
    log('warn', `not connected to ${where}, trying again: ${reason}`);
    this.#listener?.onDown(reason);
  }

  /** From 0.5 to 1: parties that lost the same host do not come back all at once. */
  #jitter(): number {
    return 0.5 + this.#parts.entropy.random(1)[0]! / 512;
  }
}
