/**
 * The transport over an MQTT broker, protocol 3.1.1 or 5, for host and agents. The only user of npm mqtt.
 *
 * A frame for `to` is published on `baton/<machine>/<to>/in/<self>`; everybody reads its own inbox alone,
 * `baton/<machine>/<self>/in/+`. So a broker can pin the sender's name in the topic (docs/mosquitto/acl); the seal of
 * the frame stays the proof. Nothing is retained, no session is kept, no property of MQTT 5 is relied on: each
 * connection is a new client of the library that subscribes afresh, so nothing old can be sent or received by it. No
 * will is left: that a connection ended means nothing to anybody.
 */

import type { IClientOptions, MqttClient, StreamBuilder } from 'mqtt';
// Not 'mqtt' itself, which would load web sockets, TLS and proxies; the target opens the sockets.
import clientModule from 'mqtt/lib/client';
import { quietLog } from '../../../../common/quiet-log.ts';
import { DEFAULT_MACHINE, type VmId } from '../../../../core/protocol/ids.ts';
import { routeOf } from '../../../../core/wire/envelope.ts';
import { FRAME_BYTES_MAX } from '../../../../core/wire/limits.ts';
import type { Clock, Entropy, Log, Obstacle, Transport, TransportListener } from '../../../../ports/world.ts';
import { DOES_NOT_READ, whyNot } from '../../complaints.ts';
import { type TransportCounts, zeroCounts } from '../../counts.ts';
import { type DialEvents, Redial } from '../../redial.ts';
import { MqttLanes } from './mqtt-lanes.ts';

/** How a party reaches its broker. */
export interface MqttBroker {
  /** The broker, for people. */
  readonly where: string;
  /** Opens a socket to it; called anew for every attempt. */
  readonly connect: StreamBuilder;
  readonly protocol: '3.1.1' | '5';
  /** User name at the broker: the name of the VM, or `host`, as in our access list. */
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Parameters of the transport. */
export interface MqttTransportParts {
  readonly self: VmId;
  /** Name of the machine; DEFAULT_MACHINE if absent. */
  readonly machine?: string;
  readonly broker: MqttBroker;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  /** Default 1; see QOS. */
  readonly qos?: 0 | 1;
}

/**
 * QoS 1. With clean sessions it loses as much as QoS 0 when a connection breaks, but acknowledgements bound the
 * messages in transit, and refusals are reported.
 */
const QOS = 1;
/** Time limit of one attempt until the inbox is subscribed; a broker on this machine needs milliseconds. */
const ATTEMPT_MS = 5_000;
/**
 * Seconds between keepalives on an idle connection; each wakes a guest. A hung broker is noticed within twice this
 * time; while something is lent, by the host's heartbeats within seconds.
 */
const KEEPALIVE_S = 60;
/** Largest packet from the broker (MQTT 5 only): a frame, a topic and their headers. */
const PACKET_BYTES_MAX = FRAME_BYTES_MAX + 512;
/**
 * Most bytes from a broker without a complete packet. MQTT allows packets of 256 MiB, which the library would buffer.
 * Several chunks of a socket may be in transit through it.
 */
const UNREAD_BYTES_MAX = 256 * 1024;
/**
 * Most packets from a broker while it reads none of ours: the library would queue every acknowledgement. An honest
 * broker stops at its limit of unacknowledged messages, 20 by default in mosquitto.
 */
const UNHEARD_MAX = 2_000;
/** Most unacknowledged messages from a broker (MQTT 5 only): the default of mosquitto. */
const RECEIVE_MAX = 20;
/**
 * Random letters of a client id, 4 bits each. An attacker who guesses it could make the broker close our connection.
 */
const CLIENT_ID_LETTERS = 16;
const BAD_LOGIN = 'the broker refused the login: check user name and password';
const NOT_ALLOWED = 'the broker refused the login: check user name, password and access list';
/** Remedies for a refusal, by reason code of MQTT 3.1.1 and 5. */
const REMEDIES: Readonly<Record<number, string>> = {
  1: 'the broker does not speak this version of MQTT, choose the other one',
  4: BAD_LOGIN,
  5: NOT_ALLOWED,
  132: 'the broker does not speak this version of MQTT, choose the other one',
  134: BAD_LOGIN,
  135: NOT_ALLOWED,
};
/** Node imports the exports of the CommonJS module, a bundler may import the class itself. */
const Client = (
  typeof clientModule === 'function' ? clientModule : clientModule.default
) as typeof MqttClient;

/** A party's transport to all others through a broker. */
export class MqttTransport implements Transport {
  readonly counts: TransportCounts = zeroCounts();
  readonly #parts: MqttTransportParts;
  readonly #redial: Redial;
  readonly #log: Log;
  readonly #clientId: string;
  /** Common prefix of all topics of the machine. */
  readonly #topics: string;
  readonly #inbox: string;
  #listener: TransportListener | undefined;
  #lanes: MqttLanes | undefined;

  constructor(parts: MqttTransportParts) {
    const { self, machine = DEFAULT_MACHINE, broker, clock, entropy } = parts;
    const log = quietLog(parts.log, clock);
    this.#parts = parts;
    this.#log = log;
    // The same for the life of this object: the broker then ends an old connection that it considers open.
    this.#clientId = `${self}-${letters(entropy.random(CLIENT_ID_LETTERS))}`;
    this.#topics = `baton/${machine}`;
    this.#inbox = `${this.#topics}/${self}/in/`;
    this.#redial = new Redial({ where: broker.where, clock, entropy, log }, (events) => this.#dial(events));
  }

  open(listener: TransportListener): void {
    this.#listener = listener;
    this.#redial.open(listener);
  }

  send(to: VmId, frame: Uint8Array): boolean {
    const fits = frame.length > 0 && frame.length <= FRAME_BYTES_MAX;
    if (!fits || !this.#lanes?.put(to, frame)) {
      this.counts.unsent += 1;
      if (!this.#lanes) this.#redial.wanted();
      else if (fits) this.#log('warn', DOES_NOT_READ, { to });
      return false;
    }
    this.counts.sent += 1;
    this.counts.crossings += 1;
    return true;
  }

  obstacle(): Obstacle | undefined {
    return this.#redial.obstacle();
  }

  close(): void {
    this.#listener = undefined;
    this.#redial.close();
  }

  #dial(events: DialEvents): () => void {
    let client: MqttClient | undefined;
    let lanes: MqttLanes | undefined;
    const cancelLimit = this.#parts.clock.after(ATTEMPT_MS, () => lose(`no answer within ${ATTEMPT_MS} ms`));
    const end = () => {
      cancelLimit();
      lanes?.stop();
      if (this.#lanes === lanes) this.#lanes = undefined;
      client?.end(true);
    };
    const lose = (reason: string) => {
      end();
      events.down(reason);
    };
    let unreadBytes = 0;
    const connect: StreamBuilder = (ofClient) => {
      const stream = this.#parts.broker.connect(ofClient);
      stream.on('data', (bytes: Uint8Array) => {
        unreadBytes += bytes.length;
        if (unreadBytes > UNREAD_BYTES_MAX) lose(`${UNREAD_BYTES_MAX} bytes without a whole packet`);
      });
      return stream;
    };
    try {
      client = new Client(connect, this.#options());
    } catch (error) {
      lose(reasonOf(error));
      return end;
    }
    const connection = client;
    connection.on('error', (error) => lose(reasonOf(error)));
    let unheard = 0;
    connection.on('packetreceive', (packet) => {
      unreadBytes = 0;
      unheard = connection.stream.writableLength === 0 ? 0 : unheard + 1;
      if (unheard > UNHEARD_MAX) lose(`${UNHEARD_MAX} packets came while the broker read none of ours`);
      // The library keeps each of these until it is released.
      if (packet.cmd === 'publish' && packet.qos === 2) lose('a message of QoS 2, which was not requested');
    });
    connection.on('disconnect', ({ reasonCode }) =>
      lose(`closed by the broker with reason code ${reasonCode}`),
    );
    connection.on('close', () => lose('closed by the broker'));
    connection.on('message', (topic, payload, { retain }) => this.#onMessage(topic, payload, retain));
    connection.on('connect', () =>
      connection.subscribe(`${this.#inbox}+`, { qos: this.#qos, rh: 2 }, (error) => {
        if (error) return lose(`the broker refused the inbox: ${reasonOf(error)}`);
        cancelLimit();
        lanes = this.#lanesOf(connection, lose);
        this.#lanes = lanes;
        events.up();
      }),
    );
    return end;
  }

  #options(): IClientOptions {
    const { protocol, username, password } = this.#parts.broker;
    const version5 = {
      properties: {
        sessionExpiryInterval: 0,
        receiveMaximum: RECEIVE_MAX,
        maximumPacketSize: PACKET_BYTES_MAX,
      },
    };
    return {
      clientId: this.#clientId,
      protocolVersion: protocol === '5' ? 5 : 4,
      ...(protocol === '5' ? version5 : {}),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      clean: true,
      keepalive: KEEPALIVE_S,
      connectTimeout: ATTEMPT_MS,
      // Redial retries, with a new client.
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      timerVariant: 'native',
      // The cache is 65,536 Buffers: 35 MB, and 100 ms before the first packet.
      writeCache: false,
    };
  }

  #lanesOf(client: MqttClient, onStuck: (reason: string) => void): MqttLanes {
    const { clock, self } = this.#parts;
    return new MqttLanes({
      clock,
      onStuck,
      publish: (to, frame, done) => {
        // The library takes any Uint8Array; its types say Buffer, which not every target has.
        const payload = frame as Parameters<MqttClient['publish']>[1];
        client.publish(`${this.#topics}/${to}/in/${self}`, payload, { qos: this.#qos }, (error) =>
          done(error ?? undefined),
        );
        // The library delays a packet until the current work is done; its receiver need not wait for that.
        client.stream.uncork();
      },
      onRefused: (to, error) => this.#log('warn', `the broker refused a frame: ${reasonOf(error)}`, { to }),
    });
  }

  #onMessage(topic: string, payload: Uint8Array, isRetained: boolean): void {
    if (!this.#listener) return;
    const from = topic.startsWith(this.#inbox) ? topic.slice(this.#inbox.length) : '';
    const route = payload.length <= FRAME_BYTES_MAX ? routeOf(payload) : undefined;
    const why = isRetained ? 'it is a retained message' : whyNot(payload, route, this.#parts.self, from);
    if (why !== undefined || route === undefined) {
      this.counts.malformed += 1;
      this.#log('warn', `frame dropped: ${why}`, { topic: topic.slice(0, TOPIC_CHARS_SHOWN) });
      return;
    }
    this.counts.received += 1;
    this.counts.crossings += 1;
    // A copy: the library's Buffer is a view of a larger one that it would keep alive.
    this.#listener.onFrame(route.from, new Uint8Array(payload));
  }

  get #qos(): 0 | 1 {
    return this.#parts.qos ?? QOS;
  }
}

/** Longest part of a foreign topic in a log line: the longest that ours can be. */
const TOPIC_CHARS_SHOWN = 80;

/** Returns the error for people. Errors of several tried addresses have a code and no message. */
function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string | number };
  const text = message || String(code ?? error);
  const remedy = typeof code === 'number' ? REMEDIES[code] : undefined;
  return remedy === undefined ? text : `${text} (${remedy})`;
}

/** Returns a letter for each byte, of its lower four bits. */
function letters(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.map((byte) => 0x61 + (byte & 0x0f)));
}
