/**
 * A connection to an MQTT broker that observes what the broker does: return codes, messages, and the time of answers.
 * The transport's library hides the first and the last. Protocol 3.1.1 and 5, QoS 1 out and 0 in.
 */

import { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { brokerAddress } from '../../net/mqtt-address.ts';
import { parseAddress } from '../../net/streams.ts';
import { type Machine, within } from './machine.ts';

/** How the broker is reached, and who asks. */
export interface ProbeOrder {
  readonly url: string;
  readonly protocol: '3.1.1' | '5';
  readonly clientId: string;
  /** Absent: without a login. */
  readonly login?: { readonly username: string; readonly password?: string | undefined } | undefined;
}

/** A message that came. */
export interface Received {
  readonly topic: string;
  readonly text: string;
}

/** What an attempt to connect gave. `code`: of CONNACK; 0 is success. */
export type Opened =
  | { readonly at: 'open'; readonly probe: MqttProbe }
  | { readonly at: 'connect'; readonly error: string }
  | { readonly at: 'login'; readonly code: number };

/** Longest wait for one answer of a broker, in ms: as the transport's, of which one on this machine needs one. */
export const BROKER_MS = 5_000;
/** Most bytes that wait for the rest of their packet. */
const UNREAD_BYTES_MAX = 64 * 1024;
/** Seconds after which a broker drops a silent client: a probe is over before. */
const KEEPALIVE_S = 60;

const CONNECT = 0x10;
const CONNACK = 0x20;
const PUBLISH = 0x30;
const PUBLISH_QOS1 = 0x32;
const PUBACK = 0x40;
const SUBSCRIBE = 0x82;
const SUBACK = 0x90;
const PINGREQ = Buffer.from([0xc0, 0]);
const PINGRESP = 0xd0;
/** First return code that is a refusal, of SUBACK and in MQTT 5. */
const REFUSED = 0x80;

/** One connection. */
export class MqttProbe {
  readonly received: Received[] = [];
  /** Why it ended. */
  ended: string | undefined;
  readonly #socket: Socket;
  readonly #machine: Machine;
  readonly #is5: boolean;
  #unread: Buffer = Buffer.alloc(0);
  #id = 0;
  /** Called for each packet, and at the end. */
  #heard: (type: number, body: Buffer) => void = () => {};

  private constructor(socket: Socket, machine: Machine, is5: boolean) {
    this.#socket = socket;
    this.#machine = machine;
    this.#is5 = is5;
    socket.on('data', (bytes) => this.#take(bytes as Buffer));
    socket.on('error', (error) =>
      this.#end(error.message || (error as NodeJS.ErrnoException).code || 'error'),
    );
    socket.on('close', () => this.#end('closed by the broker'));
  }

  /** Connects and logs in. Never rejects. */
  static async open(machine: Machine, order: ProbeOrder): Promise<Opened> {
    let socket: Socket | undefined;
    try {
      socket = await connected(machine, order.url);
    } catch (error) {
      return { at: 'connect', error: (error as Error).message };
    }
    const probe = new MqttProbe(socket, machine, order.protocol === '5');
    try {
      const [, code = 0] = await probe.#answer(CONNACK, () => socket.write(connectPacket(order)));
      if (code === 0) return { at: 'open', probe };
      probe.close();
      return { at: 'login', code };
    } catch (error) {
      probe.close();
      return { at: 'connect', error: (error as Error).message };
    }
  }

  /** Subscribes at QoS 0. Returns whether the broker granted it. Rejects when the connection ends. */
  async subscribe(topic: string): Promise<boolean> {
    const body = [this.#nextId(), ...this.#properties(), text(topic), Buffer.from([0])];
    const answer = await this.#answer(SUBACK, () => this.#socket.write(packet(SUBSCRIBE, body)));
    return answer.at(-1)! < REFUSED;
  }

  /** Publishes at QoS 1, and returns when the broker acknowledged it, or ended the connection over it. */
  async publish(topic: string, payload: string): Promise<void> {
    const body = [text(topic), this.#nextId(), ...this.#properties(), Buffer.from(payload)];
    await this.#answer(PUBACK, () => this.#socket.write(packet(PUBLISH_QOS1, body))).catch((error) => {
      if (this.ended === undefined) throw error;
    });
  }

  /** Resolves with whether a message with this text came within `ms`, or before the connection ended. */
  async came(payload: string, ms: number): Promise<boolean> {
    const isThere = () => this.received.some((each) => each.text === payload);
    if (isThere()) return true;
    const wait = new Promise<void>((resolve) => {
      this.#heard = () => {
        if (isThere() || this.ended !== undefined) resolve();
      };
      if (this.ended !== undefined) resolve();
    });
    await within(this.#machine, ms, '', wait).catch(() => {});
    return isThere();
  }

  /** Returns how long the broker takes for two small answers to two small requests in one packet, in ms. */
  async roundTrip(): Promise<number> {
    const startMs = this.#machine.nowMs();
    let left = 2;
    await this.#until(
      (type) => type === PINGRESP && --left === 0,
      () => this.#socket.write(Buffer.concat([PINGREQ, PINGREQ])),
    );
    return this.#machine.nowMs() - startMs;
  }

  close(): void {
    this.#heard = () => {};
    this.#socket.destroy();
  }

  async #answer(wanted: number, send: () => void): Promise<Buffer> {
    let body: Buffer = Buffer.alloc(0);
    await this.#until((type, found) => {
      body = found;
      return type === wanted;
    }, send);
    return body;
  }

  #until(isIt: (type: number, body: Buffer) => boolean, send: () => void): Promise<void> {
    const wait = new Promise<void>((resolve, reject) => {
      const lost = () => reject(new Error(this.ended));
      this.#heard = (type, body) => {
        if (this.ended !== undefined) lost();
        else if (isIt(type, body)) resolve();
      };
      if (this.ended === undefined) send();
      else lost();
    });
    return within(this.#machine, BROKER_MS, `no answer within ${BROKER_MS} ms`, wait);
  }

  #take(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    for (let next = firstPacket(this.#unread); next; next = firstPacket(this.#unread)) {
      this.#unread = next.rest;
      if ((next.type & 0xf0) === PUBLISH) this.received.push(this.#messageOf(next.body));
      this.#heard(next.type, next.body);
    }
    if (this.#unread.length > UNREAD_BYTES_MAX) this.#socket.destroy(new Error('no MQTT packet'));
  }

  #messageOf(body: Buffer): Received {
    const end = 2 + body.readUInt16BE(0);
    // A message of QoS 0 has no identifier; in MQTT 5 its properties come next.
    const properties = this.#is5 ? lengthAt(body, end) : { value: 0, end };
    return {
      topic: body.toString('utf8', 2, end),
      text: body.toString('utf8', (properties?.end ?? end) + (properties?.value ?? 0)),
    };
  }

  #end(why: string): void {
    if (this.ended !== undefined) return;
    this.ended = why;
    this.#heard(0, Buffer.alloc(0));
  }

  #nextId(): Buffer {
    this.#id += 1;
    return Buffer.from([this.#id >> 8, this.#id & 0xff]);
  }

  #properties(): Buffer[] {
    return this.#is5 ? [Buffer.from([0])] : [];
  }
}

function connected(machine: Machine, url: string): Promise<Socket> {
  const socket = connect(parseAddress(brokerAddress(url)));
  const wait = new Promise<Socket>((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) =>
      reject(new Error(error.message || ((error as NodeJS.ErrnoException).code ?? 'error'))),
    );
  });
  return within(machine, BROKER_MS, `no answer within ${BROKER_MS} ms`, wait).catch((error) => {
    socket.destroy();
    throw error;
  });
}

/** MQTT 3.1.1, section 3.1. */
function connectPacket({ protocol, clientId, login }: ProbeOrder): Buffer {
  const { username, password } = login ?? {};
  const flags = 0x02 | (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  return packet(CONNECT, [
    text('MQTT'),
    Buffer.from([protocol === '5' ? 5 : 4, flags, 0, KEEPALIVE_S]),
    ...(protocol === '5' ? [Buffer.from([0])] : []),
    text(clientId),
    ...(username === undefined ? [] : [text(username)]),
    ...(password === undefined ? [] : [text(password)]),
  ]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function packet(type: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  // Seven bits a byte, the lowest first (MQTT 3.1.1, section 2.2.3).
  for (let left = body.length; length.length === 0 || left > 0; left >>= 7)
    length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
  return Buffer.concat([Buffer.from([type, ...length]), body]);
}

function firstPacket(bytes: Buffer): { type: number; body: Buffer; rest: Buffer } | undefined {
  const length = lengthAt(bytes, 1);
  if (!length || bytes.length < length.end + length.value) return undefined;
  const end = length.end + length.value;
  return { type: bytes[0]!, body: bytes.subarray(length.end, end), rest: bytes.subarray(end) };
}

function lengthAt(bytes: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = start; at < Math.min(bytes.length, start + 4); at++) {
    value += (bytes[at]! & 0x7f) << (7 * (at - start));
    if ((bytes[at]! & 0x80) === 0) return { value, end: at + 1 };
  }
  return undefined;
}
