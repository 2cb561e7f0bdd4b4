/**
 * An MQTT 3.1.1 broker inside this process, for the demo and for tests. Production uses a real one (docs/mosquitto).
 *
 * It keeps the same rules as docs/mosquitto/acl: a user publishes only under its own name and reads only its own
 * inbox. Like our stream router it lets a receiver that does not read lose messages rather than hold up others.
 */

import { timingSafeEqual } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Aedes, type AedesOptions, type AuthErrorCode, type Client } from 'aedes';
import { DEFAULT_MACHINE } from '../../../src/core/protocol/ids.ts';
import { FRAME_BYTES_MAX } from '../../../src/core/wire/limits.ts';
import { parseAddress } from '../../node/net/streams.ts';

/** A broker that runs. */
export interface Broker {
  /** As mqttBroker (mqtt.ts) wants it. */
  readonly url: string;
  /** Holds back the messages of this topic from now on, 64 at most, as a slow network does; later ones are lost. */
  hold(topic: string): void;
  /** Lets messages pass again; what was held back stays so. */
  pass(): void;
  /** Lets what was held back go, in its order. */
  deliver(): void;
  close(): Promise<void>;
}

/** Bytes that may wait for a receiver; what comes after is lost. As much as a stream takes (streams.ts). */
const QUEUE_BYTES_MAX = 256 * 1024;
/**
 * Room of a socket: above the queue for 200 of the longest messages. Aedes has 100 under way at a time that were let
 * pass but not written; at this mark it would make their senders wait, whomever else they write to.
 */
const SOCKET_BYTES_MAX = QUEUE_BYTES_MAX + 200 * (FRAME_BYTES_MAX + 512);
/** How long a sender waits for a receiver after all; then the receiver is cut off. */
const DRAIN_MS = 1_000;
/** Most connections: the parties of a demo, a few times over. */
const CONNECTIONS_MAX = 256;
/** Messages held back at most: an agent repeats a command twice a second or less, and a demo is over before. */
const HELD_MAX = 64;
/** How long a client may take to say who it is. */
const CONNECT_MS = 5_000;
/** The return code of CONNACK for a wrong user or password (MQTT 3.1.1, section 3.2.2.3). */
const BAD_USER: AuthErrorCode.BAD_USERNAME_OR_PASSWORD = 4;

/**
 * Starts a broker at `unix:/path` or `tcp:host:port` (port 0: any that is free) for the given users, each a VM or
 * `host`, with their passwords.
 */
export async function startBroker(address: string, passwords: ReadonlyMap<string, string>): Promise<Broker> {
  const where = parseAddress(address);
  const slow: Slow = { topic: undefined, held: [] };
  const aedes = await Aedes.createBroker({
    ...rules(passwords, slow),
    connectTimeout: CONNECT_MS,
    drainTimeout: DRAIN_MS,
  });
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, highWaterMark: SOCKET_BYTES_MAX }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  server.maxConnections = CONNECTIONS_MAX;
  await listening(server, where);
  const url =
    'path' in where
      ? `mqtt+unix://${where.path}`
      : `mqtt://${where.host}:${(server.address() as AddressInfo).port}`;
  return {
    url,
    hold: (topic) => {
      slow.topic = topic;
    },
    pass: () => {
      slow.topic = undefined;
    },
    deliver: () => {
      for (const held of slow.held.splice(0))
        aedes.publish({ cmd: 'publish', qos: 0, dup: false, retain: false, ...held }, () => {});
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      await new Promise<void>((resolve) => aedes.close(resolve));
    },
  };
}

/** What the network holds back: the topic whose messages are meant, and those messages. */
interface Slow {
  topic: string | undefined;
  readonly held: { readonly topic: string; readonly payload: Buffer | string }[];
}

/** Who may do what: the pattern pair of docs/mosquitto/acl. */
function rules(passwords: ReadonlyMap<string, string>, slow: Slow): AedesOptions {
  const users = new WeakMap<Client, string>();
  return {
    authenticate: (client, username, password, done) => {
      const expected = username === undefined ? undefined : passwords.get(username);
      if (username === undefined || expected === undefined || !isEqual(password, expected)) {
        return done(Object.assign(new Error('bad user name or password'), { returnCode: BAD_USER }), null);
      }
      users.set(client, username);
      done(null, true);
    },
    authorizePublish: (client, { topic, payload, retain }, done) => {
      const user = client === null ? undefined : users.get(client);
      const [root, machine, receiver, box, sender, ...rest] = topic.split('/');
      const isOwn =
        root === 'baton' &&
        machine === DEFAULT_MACHINE &&
        receiver !== '' &&
        box === 'in' &&
        sender === user &&
        rest.length === 0;
      const isFrame = !retain && payload.length <= FRAME_BYTES_MAX;
      done(isOwn && isFrame ? null : new Error(`${user} may not publish this on ${topic}`));
    },
    authorizeSubscribe: (client, subscription, done) => {
      done(
        null,
        subscription.topic === `baton/${DEFAULT_MACHINE}/${users.get(client)}/in/+` ? subscription : null,
      );
    },
    authorizeForward: (client, packet) => {
      if (packet.topic === slow.topic) {
        if (slow.held.length < HELD_MAX) slow.held.push({ topic: packet.topic, payload: packet.payload });
        return null;
      }
      return client.conn.writableLength > QUEUE_BYTES_MAX ? null : packet;
    },
  };
}

function isEqual(given: Buffer | undefined, expected: string): boolean {
  const wanted = Buffer.from(expected);
  return given?.length === wanted.length && timingSafeEqual(given, wanted);
}

function listening(server: Server, where: ReturnType<typeof parseAddress>): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}
