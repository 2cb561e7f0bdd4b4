/**
 * What an agent knows of the host by hearing it: whether it lives, and its newest stamp. When it falls silent, whoever
 * asks for secrets on a borrowed screen must hear of it.
 */

import type { Clock } from '../../ports/world.ts';
import { STAMP_BYTES } from '../protocol/messages.ts';

/** Oldest stamp that still makes a good consent: the host sends one a second. */
const STAMP_FRESH_MS = 4_000;
/** Without a word of the host for so long, it counts as silent: it sends a heartbeat a second. */
const HOST_SILENT_MS = 4_000;
/** A timer so late, in ms, was not late for want of time alone: the process was stopped, or its VM was. */
const STOPPED_MS = 2_000;
/** Time to hear what came meanwhile, in ms: a heartbeat, and some. */
const CATCH_UP_MS = 1_500;

/** Who is told. */
export interface HostWatcher {
  /** `reason` is for people. */
  onSilent(reason: string): void;
  /** The first word after a silence of `silentMs`, before it is dealt with. */
  onBack(silentMs: number): void;
  /** We ourselves did not run for `ms`: not the host was silent. */
  onStopped(ms: number): void;
}

/** Watches one host. */
export class HostWatch {
  readonly #clock: Clock;
  readonly #watcher: HostWatcher;
  #stamp: { readonly bytes: Uint8Array; readonly atMs: number } | undefined;
  #heardMs = 0;
  #isSilent = false;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, watcher: HostWatcher) {
    this.#clock = clock;
    this.#watcher = watcher;
  }

  /** The newest stamp; without one, zeros, which the host refuses. */
  get stamp(): Uint8Array {
    return this.#stamp?.bytes ?? new Uint8Array(STAMP_BYTES);
  }

  /** Whether the newest stamp is young enough for a consent. */
  get hasFreshStamp(): boolean {
    return this.#stamp !== undefined && this.#clock.nowMs() - this.#stamp.atMs < STAMP_FRESH_MS;
  }

  /** A message of the host arrived. */
  heard(stamp: Uint8Array | undefined): void {
    const silentMs = this.#clock.nowMs() - this.#heardMs;
    this.#heardMs = this.#clock.nowMs();
    if (stamp) this.#stamp = { bytes: stamp, atMs: this.#heardMs };
    if (!this.#cancel) this.#watch(HOST_SILENT_MS);
    if (!this.#isSilent) return;
    this.#isSilent = false;
    this.#watcher.onBack(silentMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Looks again when the host could have been silent for long enough, not at each of its messages. */
  #watch(ms: number): void {
    const dueMs = this.#clock.nowMs() + ms;
    this.#cancel = this.#clock.after(ms, () => {
      this.#cancel = undefined;
      const lateMs = this.#clock.nowMs() - dueMs;
      if (lateMs >= STOPPED_MS) {
        this.#watcher.onStopped(lateMs);
        return this.#watch(CATCH_UP_MS);
      }
      // What has arrived by now counts.
      this.#cancel = this.#clock.soon(() => this.#judge());
    });
  }

  #judge(): void {
    this.#cancel = undefined;
    const leftMs = this.#heardMs + HOST_SILENT_MS - this.#clock.nowMs();
    if (leftMs > 0) return this.#watch(leftMs);
    this.#isSilent = true;
    this.#watcher.onSilent(`last heard ${Math.round(HOST_SILENT_MS - leftMs)} ms ago`);
  }
}
