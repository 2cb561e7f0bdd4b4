/** A broker of MQTT 3.1.1 that sends without end. */

import { createServer, type Server } from 'node:net';

/**
 * Lets whoever connects subscribe, and sends it messages of this QoS for ever, without looking for an
 * acknowledgement.
 */
export function floodingBroker(topic: string, qos: 1 | 2): Server {
  const text = Buffer.from(topic);
  const body = [text.length >> 8, text.length & 0xff, ...text, 0, 1, ...Buffer.from('nothing')];
  const message = Uint8Array.of(0x30 | (qos << 1), body.length, ...body);
  const messages = Buffer.concat(Array(512).fill(message));
  return createServer((socket) => {
    const flood = () => {
      while (!socket.destroyed && socket.write(messages));
    };
    socket.on('error', () => {}).on('drain', flood);
    socket.once('data', () => {
      socket.write(Uint8Array.of(0x20, 2, 0, 0));
      socket.once('data', (subscribe) => {
        socket.pause();
        socket.write(Uint8Array.of(0x90, 3, subscribe[2]!, subscribe[3]!, 1));
        flood();
      });
    });
  });
}
