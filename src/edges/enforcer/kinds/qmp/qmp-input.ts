/**
 * Input events on their way to the holder of one bundle, and to no other VM.
 *
 * Keys that are pressed at the holder are tracked, and released when the bundle leaves, so that no key stays pressed.
 * A release without a press at this holder is not passed on: the end of a touch that began at the former holder stays
 * there. Bounded: excess events are dropped, except the release of a pressed key.
 */

import type { Json } from '../../../../common/lines.ts';
import type { QmpAnswer } from './qmp-link.ts';

/** Most events of one line, and of one command. */
export const EVENTS_MAX = 32;
/** Most queued events until the QEMU has taken earlier ones: about a second of a fast touch screen. */
const QUEUE_MAX = 256;
/** Most unanswered commands of one bundle. */
const SENT_MAX = 8;
/** Most pressed keys and buttons: more than ten fingers. */
const DOWN_MAX = 64;

/** An event in the form of QMP's `input-send-event`. */
export interface InputEvent {
  readonly type: 'key' | 'btn' | 'rel' | 'abs';
  readonly data: Json;
}

/** Sends events to one QEMU; calls `done` once, within the deadline. */
export type SendEvents = (events: readonly InputEvent[], done: (answer: QmpAnswer) => void) => void;

/** Returns the events of a line; undefined when any is malformed. Only known fields are passed on. */
export function parseEvents(line: Json): readonly InputEvent[] | undefined {
  const { events } = line;
  if (!Array.isArray(events) || events.length > EVENTS_MAX) return undefined;
  const parsed = events.map(parseEvent);
  return parsed.every((event) => event !== undefined) ? parsed : undefined;
}

function parseEvent(value: unknown): InputEvent | undefined {
  const { type, data } = fieldsOf(value);
  const { down, key, button, axis, value: at } = fieldsOf(data);
  if (type === 'rel' || type === 'abs') {
    if (axis !== 'x' && axis !== 'y') return undefined;
    if (typeof at !== 'number' || !Number.isInteger(at) || Math.abs(at) > 0x7fff) return undefined;
    return type === 'abs' && at < 0 ? undefined : { type, data: { axis, value: at } };
  }
  if (typeof down !== 'boolean') return undefined;
  if (type === 'btn') return isWord(button) ? { type, data: { down, button } } : undefined;
  if (type !== 'key') return undefined;
  const { type: form, data: code } = fieldsOf(key);
  const isCode = form === 'qcode' ? isWord(code) : form === 'number' && isKeyNumber(code);
  return isCode ? { type, data: { down, key: { type: form, data: code } } } : undefined;
}

function fieldsOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9_-]{1,32}$/.test(value);
}

function isKeyNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff;
}

/**
 * Returns how many unanswered commands one bundle may have. All `bundles` may be at one QEMU with `limit` commands in
 * total: none is refused there, so no release is lost.
 */
export function shareOf(limit: number, bundles: number): number {
  return Math.min(SENT_MAX, Math.max(1, Math.floor(limit / bundles)));
}

/** The events of one hold of a bundle, from a grant to a fence. */
export class InputHold {
  readonly #send: SendEvents;
  readonly #sentMax: number;
  readonly #onTrouble: (text: string) => void;
  readonly #down = new Map<string, InputEvent>();
  #queue: InputEvent[] = [];
  #sent = 0;
  #ended: (() => void) | undefined;
  #isOver = false;

  /** `sentMax`: most unanswered commands. `onTrouble`: called once when events were lost. */
  constructor(send: SendEvents, sentMax: number, onTrouble: (text: string) => void) {
    this.#send = send;
    this.#sentMax = sentMax;
    let wasTold = false;
    this.#onTrouble = (text) => {
      if (!wasTold) onTrouble(text);
      wasTold = true;
    };
  }

  /** Whether all sent events have been answered. */
  get isIdle(): boolean {
    return this.#sent === 0 && this.#queue.length === 0;
  }

  pass(events: readonly InputEvent[]): void {
    if (this.#isOver) return;
    for (const event of events) if (this.#admits(event)) this.#queue.push(event);
    this.#pump();
  }

  /** Releases what is pressed, as when the reading program is gone. */
  releaseAll(): void {
    const events = [...this.#down.values()].map(released);
    this.#down.clear();
    for (const event of events) this.#queue.push(event);
    this.#pump();
  }

  /** Stops passing on events. Unsent ones are dropped; `settle` releases what is pressed at the holder. */
  end(): void {
    this.#isOver = true;
    // An unsent release already counted as done, but the holder has not seen it.
    for (const event of this.#queue) if (event.data['down'] === false) this.#down.set(nameOf(event), event);
    this.#queue = [];
  }

  /** Releases what is pressed and waits until all sent events are answered, or until the deadline. */
  settle(done: () => void): void {
    this.releaseAll();
    if (this.isIdle) done();
    else this.#ended = done;
  }

  #admits(event: InputEvent): boolean {
    const { down } = event.data;
    if (typeof down !== 'boolean') return this.#hasRoom();
    const name = nameOf(event);
    if (!down) return this.#down.delete(name);
    if (!this.#down.has(name) && this.#down.size >= DOWN_MAX) return false;
    if (!this.#hasRoom()) return false;
    this.#down.set(name, event);
    return true;
  }

  #hasRoom(): boolean {
    if (this.#queue.length < QUEUE_MAX) return true;
    this.#onTrouble('its QEMU is too slow: input events are dropped');
    return false;
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#sent < this.#sentMax) {
      const events = this.#queue.splice(0, EVENTS_MAX);
      this.#sent += 1;
      this.#send(events, (answer) => {
        this.#sent -= 1;
        if (!answer.ok) this.#onTrouble(answer.error);
        this.#pump();
        if (!this.isIdle) return;
        const ended = this.#ended;
        this.#ended = undefined;
        ended?.();
      });
    }
  }
}

function released({ type, data }: InputEvent): InputEvent {
  return { type, data: { ...data, down: false } };
}

function nameOf({ type, data }: InputEvent): string {
  return `${type} ${JSON.stringify(data['key'] ?? data['button'])}`;
}
