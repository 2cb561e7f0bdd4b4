/**
 * `baton-broker`: the embedded broker as a process, for the demo.
 *
 * Reads JSON lines: {"hold":TOPIC} holds the messages of a topic back, {"pass":true} those to come no longer,
 * {"deliver":true} lets go what was held back. Each is answered with {"done":true}.
 */

import { createInterface } from 'node:readline';
import { onTermination } from '../../node/program/daemon.ts';
import { plainWords, refuseWords } from '../../node/program/program.ts';
import { startBroker } from './broker.ts';

const FACE = {
  name: 'baton-broker',
  help: `baton-broker ADDRESS USER:PASSWORD...

An MQTT broker for the demo and for tests, at unix:/path or tcp:host:port. Production uses a real one (docs/mosquitto).
`,
};
const [address = '', ...users] = plainWords(FACE, process.argv.slice(2), 1, Number.POSITIVE_INFINITY);
if (users.some((user) => !user.includes(':')))
  refuseWords(FACE.name, 'expected USER:PASSWORD after the address');
const passwords = new Map(users.map((user) => user.split(':') as [string, string]));
const broker = await startBroker(address, passwords).catch((error: Error) =>
  refuseWords(FACE.name, error.message),
);
onTermination(() => void broker.close());
process.stdout.write(`${JSON.stringify({ event: 'ready', url: broker.url })}\n`);
createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line) as { hold?: string; pass?: boolean; deliver?: boolean };
  if (order.hold) broker.hold(order.hold);
  if (order.pass) broker.pass();
  if (order.deliver) broker.deliver();
  process.stdout.write('{"done":true}\n');
});
