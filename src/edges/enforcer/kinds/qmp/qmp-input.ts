/**
 * Input events on their way to the holder of one bundle, and to nobody else.
 *
 * What the holder was sent as pressed is remembered, and released when the bundle leaves it: no key sticks. A release
 * that the holder never saw pressed is not passed on, so the end of a touch that began at the former holder stays
 * there. Bounded: an event too many is dropped, but never the release of something that is down.
 */

import type { Json } from '../../../../common/lines.ts';
import type { QmpAnswer } from './qmp-link.ts';

/** Events of one line, and of one command. */
export const EVENTS_MAX = 32;
/** Events that wait until the QEMU has taken earlier ones: about a second of a fast touch screen. */
const QUEUE_MAX = 256;
/** Commands on their way to a QEMU, of one bundle. */
const SENT_MAX = 8;
/** Keys and buttons that are down at a time; more fingers than anybody has. */
const DOWN_MAX = 64;

/** An event as QMP's `input-send-event` takes it. */
export interface InputEvent {
  readonly type: 'key' | 'btn' | 'rel' | 'abs';
  readonly data: Json;
}

/** Sends events to one QEMU; `done` is called once, in time. */
export type SendEvents = (events: readonly InputEvent[], done: (answer: QmpAnswer) => void) => void;

/** Returns the events of a line; undefined when any is not well formed. Nothing but what is known is passed on. */
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
 * Commands that one bundle may have on their way, where `bundles` may all be with one QEMU that takes `limit` together:
 * none is ever refused there, so no release is lost.
 */
export function shareOf(limit: number, bundles: number): number {
  return Math.min(SENT_MAX, Math.max(1, Math.floor(limit / bundles)));
}

/** The events of one holder's time with a bundle. Begins with a grant and ends with a fence. */
export class InputHold {
  readonly #send: SendEvents;
  readonly #sentMax: number;
  readonly #onTrouble: (text: string) => void;
  readonly #down = new Map<string, InputEvent>();
  #queue: InputEvent[] = [];
  #sent = 0;
  #ended: (() => void) | undefined;
  #isOver = false;

  /** `sentMax`: commands on their way at a time. `onTrouble`: something was lost; told once. */
  constructor(send: SendEvents, sentMax: number, onTrouble: (text: string) => void) {
    this.#send = send;
    this.#sentMax = sentMax;
    let wasTold = false;
    this.#onTrouble = (text) => {
      if (!wasTold) onTrouble(text);
      wasTold = true;
    };
  }

  /** Whether everything that was sent has been answered. */
  get isIdle(): boolean {
    return this.#sent === 0 && this.#queue.length === 0;
  }

  pass(events: readonly InputEvent[]): void {
    if (this.#isOver) return;
    for (const event of events) if (this.#admits(event)) this.#queue.push(event);
    this.#pump();
  }

  /** Releases what is down, as when who reads the device is gone. */
  releaseAll(): void {
    const events = [...this.#down.values()].map(released);
    this.#down.clear();
    for (const event of events) this.#queue.push(event);
    this.#pump();
  }

  /**
   * Nothing more is passed on. What has not left is dropped; what is down at the holder will be released by `settle`.
   */
  end(): void {
    this.#isOver = true;
    // A release that has not left counted as done already, and the holder has not seen it.
    for (const event of this.#queue) if (event.data['down'] === false) this.#down.set(nameOf(event), event);
    this.#queue = [];
  }

  /** Releases what is down and waits until all that was sent is answered: by the holder, or by its deadline. */
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
