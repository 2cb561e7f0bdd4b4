/** The last events of a daemon, for whoever asks later what happened. */

import type { Json } from '../../common/lines.ts';
import type { Clock } from '../../ports/world.ts';

/** Events kept: those of some ten handovers. */
const EVENTS_KEPT = 100;
/** Characters of them that one answer has at most: below the limit of a line, whatever their texts escape to. */
const ANSWER_CHARS_MAX = 200_000;

/** The last events, with their times. */
export class Past {
  readonly #clock: Clock;
  readonly #events: { readonly atMs: number; readonly event: Json }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keeps an event. */
  add(event: Json): void {
    this.#events.push({ atMs: this.#clock.nowMs(), event });
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
  }

  /** The events, oldest first, each with `agoMs`: how long ago it was. */
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

/** Length of a text of which every sign beyond ASCII is written as \u1234. */
function asciiLength(text: string): number {
  return text.length + 5 * text.replace(/[\x20-\x7e]+/g, '').length;
}
