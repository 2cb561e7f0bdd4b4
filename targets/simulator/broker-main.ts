/**
 * `baton-broker`: the embedded broker as a process, for the demo. Usage: baton-broker ADDRESS USER:PASSWORD...
 *
 * Reads JSON lines: {"hold":TOPIC} holds the next message of a topic back, {"deliver":true} lets it go.
 */

import { createInterface } from 'node:readline';
import { startBroker } from '../node/broker.ts';
import { onTermination } from '../node/daemon.ts';

const [address = '', ...users] = process.argv.slice(2);
const passwords = new Map(users.map((user) => user.split(':') as [string, string]));
const broker = await startBroker(address, passwords);
onTermination(() => void broker.close());
process.stdout.write(`${JSON.stringify({ event: 'ready', url: broker.url })}\n`);
createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line) as { hold?: string; deliver?: boolean };
  if (order.hold) broker.hold(order.hold);
  if (order.deliver) broker.deliver();
});
