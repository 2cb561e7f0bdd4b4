/**
 * Sockets to an MQTT broker through the native core. Replaces targets/node/net/mqtt.ts: the library needs a Duplex of
 * Node.
 */

import { Duplex } from 'node:stream';
import type { MqttSettings } from '../../src/edges/transport/kind.ts';
import type { MqttBroker } from '../../src/edges/transport/kinds/mqtt/mqtt-transport.ts';
import type { ByteStream } from '../../src/ports/world.ts';
import { brokerAddress } from '../node/net/mqtt-address.ts';
import { STREAMS } from './streams.ts';

/**
 * Most bytes passed to the library at once: two thousand of its shortest packets, each of which takes hundreds of bytes
 * of heap.
 */
const PIECE_BYTES = 4 * 1024;
/** Interval of the attempts to send, in ms, while the broker reads nothing. */
const RETRY_MS = 5;

/** Why this program cannot use MQTT; undefined: it can. */
export const MQTT_FAULT: string | undefined = undefined;

/** Returns the broker of these settings; by default with protocol 3.1.1. Throws an Error for other URLs. */
export function mqttBroker(settings: MqttSettings): MqttBroker {
  const address = brokerAddress(settings.url);
  return {
    where: `the broker at ${settings.url}`,
    connect: () => new Socket(address) as never,
    protocol: settings.protocol ?? '3.1.1',
    username: settings.username,
    password: settings.password,
  };
}

/** A stream in the form that the library expects. */
class Socket extends Duplex {
  #stream: ByteStream | undefined;
  /** Data to send once there is a connection. */
  #waiting: (() => void) | undefined;

  constructor(address: string) {
    // A broker that ends its side counts as gone; otherwise its end would not be noticed.
    super({ allowHalfOpen: false });
    STREAMS.connect(address, (stream) => {
      if (stream instanceof Error) return void this.destroy(stream);
      if (this.destroyed) return stream.close();
      this.#stream = stream;
      stream.open({
        onData: (bytes) => {
          for (let at = 0; at < bytes.length && !this.destroyed; at += PIECE_BYTES)
            this.push(
              Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(PIECE_BYTES, bytes.length - at)),
            );
        },
        onClose: () => {
          this.push(null);
          this.destroy();
        },
      });
      this.emit('connect');
      this.#waiting?.();
    });
  }

  /** Received data is pushed at once: mqtt-transport.ts disconnects a broker that sends too much. */
  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    const stream = this.#stream;
    if (!stream) {
      this.#waiting = () => this._write(chunk, '', done);
      return;
    }
    if (this.destroyed || stream.write(chunk)) return done();
    setTimeout(() => this._write(chunk, '', done), RETRY_MS);
  }

  override _final(done: () => void): void {
    this.#stream?.close();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#stream?.close();
    done(error);
  }
}
