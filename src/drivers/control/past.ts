/** The last events of a daemon, for later requests. Pure apart from the clock. */

import type { Json } from '../../common/lines.ts';
import type { Clock } from '../../ports/world.ts';

/** Number of events kept: some ten handovers. */
const EVENTS_KEPT = 100;
/** Most characters of events in one answer: below the line limit, however their texts are escaped. */
const ANSWER_CHARS_MAX = 200_000;

/** The last events, with their times. */
export class Past {
  readonly #clock: Clock;
  readonly #events: { readonly atMs: number; readonly event: Json }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Adds an event. */
  add(event: Json): void {
    this.#events.push({ atMs: this.#clock.nowMs(), event });
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
  }

  /** Returns the events, oldest first, each with its age as `agoMs`. */
  list(): Json[] {
    const nowMs = this.#clock.nowMs();
    const listed: Json[] = [];
    let chars = 0;
    for (const { atMs, event } of [...this.#events].reverse()) {
      const dated = { ...event, agoMs: Math.round(nowMs - atMs) };
      chars += asciiLength(JSON.stringify(dated));
      if (chars > ANSWER_CHARS_MAX) break;
      listed.unshift(dated);
    }
    return listed;
  }
}

/** Length of a text when each character beyond ASCII is written as \u1234. */
function asciiLength(text: string): number {
  return text.length + 5 * text.replace(/[\x20-\x7e]+/g, '').length;
}
