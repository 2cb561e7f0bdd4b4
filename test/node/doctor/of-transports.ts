/** Planted faults of brokers and streams. */

import { chmodSync } from 'node:fs';
import { AGENT, HOST, type Planted } from './planted.ts';

/** Rules of a broker that lets everybody do everything. */
const OPEN = {
  authenticate: (_: unknown, __: unknown, ___: unknown, done: (error: null, ok: boolean) => void) =>
    done(null, true),
};
/** The same, for users with a name alone. */
const NAMED = {
  authenticate: (_: unknown, name: unknown, __: unknown, done: (error: null, ok: boolean) => void) =>
    done(null, name !== undefined),
};

/** Each is found by a check of the broker, or of a stream. */
export const TRANSPORTS: readonly Planted[] = [
  {
    what: 'a broker that is not there',
    check: 'broker-reached',
    files: AGENT,
    found: 'ECONNREFUSED',
    plant: (world) => world.transport({ url: 'mqtt://127.0.0.1:1' }),
  },
  {
    what: 'something that is no broker',
    check: 'broker-reached',
    files: AGENT,
    found: 'no MQTT packet',
    plant: async (world) => {
      const noise = 'SSH-2.0-x\r\n'.padEnd(200_000, '\xff');
      await world.listen('noise.sock', (socket) => socket.write(noise, 'latin1'));
      world.transport({ url: `mqtt+unix://${world.at('noise.sock')}` });
    },
  },
  {
    what: 'a password that the broker refuses',
    check: 'broker-login',
    files: AGENT,
    found: 'code 4: bad user name or password',
    plant: (world) => world.write('android.password', 'another\n', 0o600),
  },
  {
    what: 'a broker that takes clients without a login',
    check: 'broker-anonymous',
    files: AGENT,
    found: 'without a login',
    plant: (world) => world.broker(OPEN),
  },
  {
    what: 'an access list of another machine',
    check: 'acl-inbox',
    files: AGENT,
    found: 'refused the subscription',
    plant: (world) => {
      world.agent['machine'] = 'other';
    },
  },
  {
    what: 'an access list that does not let it write to itself',
    check: 'acl-inbox',
    files: AGENT,
    found: 'did not come back',
    plant: (world) => world.broker({ ...NAMED, authorizeForward: () => null }),
  },
  {
    what: 'an access list that does not pin the sender',
    check: 'acl-sender',
    files: AGENT,
    found: 'under the name of host came',
    plant: (world) => world.broker(NAMED),
  },
  {
    what: 'an access list that opens every inbox',
    check: 'acl-others',
    files: AGENT,
    found: 'any user may read any inbox',
    plant: (world) => world.broker(NAMED),
  },
  {
    what: 'a broker with Nagle’s algorithm',
    check: 'broker-nagle',
    files: AGENT,
    found: 'delayed acknowledgement',
    plant: (world) => world.slowBroker(),
  },
  {
    what: 'a host that is not reached',
    check: 'host-reached',
    files: AGENT,
    transport: 'stream',
    options: ['--dial'],
    found: 'ECONNREFUSED',
    plant: async (world) => {
      await world.agentControl.close();
      world.agent['transport'] = { kind: 'stream', address: 'tcp:127.0.0.1:1' };
    },
  },
  {
    what: 'a host that the agent does not reach',
    check: 'host-reached',
    files: AGENT,
    transport: 'stream',
    found: 'not connected',
    plant: (world) => {
      const hint = 'not connected to the host';
      world.agentControl.status['peers'] = [{ peer: 'host', up: false, forMs: 5, heardMs: null, hint }];
    },
  },
  {
    what: 'a socket of a VM that every user may connect to',
    check: 'listen-mode',
    files: HOST,
    transport: 'stream',
    found: 'mode 0666',
    plant: (world) => chmodSync(world.at('vault.stream'), 0o666),
  },
];
