/**
 * Keeps one connection open: dials, backs off after each failure, and reports when the connection opens or closes.
 *
 * Used by the transports that dial. It knows nothing of sockets: `Dial` makes one attempt. A reason for being down is
 * logged once, not at every attempt that fails in the same way.
 */

import { quietLog } from '../../common/quiet-log.ts';
import type { Clock, Entropy, Log, Obstacle, TransportListener } from '../../ports/world.ts';

/** Events of an attempt. Events after `down`, or after it was ended, are ignored. */
export interface DialEvents {
  up(): void;
  down(reason: string): void;
}

/** Makes one attempt. Returns the function that ends it. Must end by itself after a while. */
export type Dial = (events: DialEvents) => () => void;

/** Parameters of redialling. */
export interface RedialParts {
  /** The dialled address, for people. */
  readonly where: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** First wait after a failure, in ms: the usual restart time of a broker or host. */
const WAIT_MIN_MS = 100;
/**
 * Longest wait, in ms. An other end that is away for long costs a wakeup a minute (design, section 4); whoever has a
 * frame to send dials at once.
 */
const WAIT_MAX_MS = 60_000;
/** Shortest time between two attempts that frames cause, in ms, and the wait that they do not shorten. */
const WANTED_EVERY_MS = 2_000;
/** Longest wait after a connection that was up, in ms: the other end is there, and soon tells two of one name. */
const WAIT_MAX_AFTER_UP_MS = 2_000;
/** A connection that was up for this time restarts with the shortest wait; two that displace each other slow down. */
const STABLE_MS = 5_000;

/** Dials until stopped. */
export class Redial {
  readonly #parts: RedialParts;
  readonly #dial: Dial;
  #listener: TransportListener | undefined;
  /** Identifies the present attempt; events of older ones are ignored. */
  #attempt: object | undefined;
  #hangUp: (() => void) | undefined;
  #cancelWait: (() => void) | undefined;
  #waitMs = WAIT_MIN_MS;
  /** When a frame last caused an attempt. */
  #wantedMs = Number.NEGATIVE_INFINITY;
  #upMs: number | undefined;
  #toldReason: string | undefined;
  /** Since when the connection is closed; undefined while it is open. */
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

  /** Why the connection is closed; undefined while it is open. */
  obstacle(): Obstacle | undefined {
    if (this.#closedMs === undefined) return undefined;
    const why = this.#toldReason === undefined ? ' yet' : `: ${this.#toldReason}`;
    return { reason: `not connected to ${this.#parts.where}${why}`, sinceMs: this.#closedMs };
  }

  /** Somebody has a frame to send: the rest of a long wait is left out. */
  wanted(): void {
    const nowMs = this.#parts.clock.nowMs();
    if (this.#cancelWait === undefined || this.#waitMs <= WANTED_EVERY_MS) return;
    if (nowMs - this.#wantedMs < WANTED_EVERY_MS) return;
    this.#wantedMs = nowMs;
    this.#cancelWait();
    this.#start();
  }

  /** Ends it; the listener is not called any more. */
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
    this.#cancelWait = undefined;
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
    const mostMs = this.#upMs === undefined ? WAIT_MAX_MS : WAIT_MAX_AFTER_UP_MS;
    const waitMs = Math.min(this.#waitMs, mostMs);
    this.#cancelWait = clock.after(waitMs * this.#jitter(), () => this.#start());
    this.#waitMs = Math.min(waitMs * 2, mostMs);
    if (reason === this.#toldReason) return;
    this.#toldReason = reason;
    log('warn', `not connected to ${where}, trying again: ${reason}`);
    this.#listener?.onDown(reason);
  }

  /** Factor from 0.5 to 1: parties that lost the same host do not return all at once. */
  #jitter(): number {
    return 0.5 + this.#parts.entropy.random(1)[0]! / 512;
  }
}
