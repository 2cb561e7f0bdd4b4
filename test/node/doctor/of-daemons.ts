/** Planted faults of running daemons: their control sockets answer what the fault makes them answer. */

import { AGENT, agentBundle, HOST, hostBundle, type Planted } from './planted.ts';
import { wellHost } from './world.ts';

/** Each is found by a check of the daemon. */
export const DAEMONS: readonly Planted[] = [
  {
    what: 'an agent that does not run',
    check: 'daemon-answers',
    files: AGENT,
    found: 'ENOENT',
    plant: (world) => world.agentControl.close(),
  },
  {
    what: 'a host that takes connections and says nothing',
    check: 'daemon-answers',
    files: HOST,
    found: 'does not answer',
    plant: async (world) => {
      await world.hostControl.close();
      await world.listen('host.sock');
    },
  },
  {
    what: 'the host on the socket of the agent',
    check: 'daemon-answers',
    files: AGENT,
    found: 'the host answers there',
    plant: (world) => {
      world.agentControl.status = wellHost();
    },
  },
  {
    what: 'a daemon of an old version',
    check: 'daemon-version',
    files: AGENT,
    found: '0.0.9',
    plant: (world) => {
      world.agentControl.status['version'] = '0.0.9';
    },
  },
  {
    what: 'a daemon so old that it does not say its version',
    check: 'daemon-version',
    files: HOST,
    found: 'does not say',
    plant: (world) => {
      delete world.hostControl.status['version'];
    },
  },
  {
    what: 'a host without a session',
    check: 'peers-up',
    files: AGENT,
    found: 'frames do not verify',
    plant: (world) => {
      const hint = 'its frames do not verify: do both key files contain the same key for this pair?';
      world.agentControl.status['peers'] = [{ peer: 'host', up: false, forMs: 9_000, heardMs: null, hint }];
    },
  },
  {
    what: 'a second agent of the same name',
    check: 'one-process',
    files: HOST,
    found: 'two processes',
    plant: (world) => {
      const hint = 'two processes with its name and keys take turns: does its agent run twice?';
      world.hostControl.status['peers'] = [{ peer: 'vault', up: true, forMs: 5, heardMs: 5, hint }];
    },
  },
  {
    what: 'a bundle in quarantine',
    check: 'bundle-state',
    files: HOST,
    found: 'in quarantine',
    plant: (world) => hostBundle(world, { state: 'quarantined', holder: null, reason: 'tableLost' }),
  },
  {
    what: 'a driver that did not resume',
    check: 'bundle-state',
    files: AGENT,
    found: 'did not resume',
    plant: (world) => agentBundle(world, { state: 'failed' }),
  },
  {
    what: 'another definition of a bundle at a peer',
    check: 'digest-agreed',
    files: HOST,
    found: 'otherwise by vault',
    plant: (world) => hostBundle(world, { definitionDiffersFrom: ['vault'] }),
  },
  {
    what: 'a host whose disk is full',
    check: 'record-written',
    files: HOST,
    found: 'ENOSPC',
    plant: (world) => {
      world.hostControl.status['writeFault'] = 'audit.jsonl: ENOSPC: no space left on device';
    },
  },
  {
    what: 'a host that was stopped',
    check: 'host-ran',
    files: HOST,
    found: '7000 ms',
    plant: (world) => {
      world.hostControl.status['stopped'] = { forMs: 7_000, agoMs: 2_000 };
    },
  },
  {
    what: 'an owner that the enforcer does not know',
    check: 'owner-runs',
    files: HOST,
    found: 'does not run',
    plant: (world) => {
      world.hostControl.status['vms'] = { vault: 1 };
    },
  },
  {
    what: 'a daemon whose clock jumped',
    check: 'clock-daemon',
    files: AGENT,
    found: /its clock is 3[56]\d{5} ms/,
    plant: (world) => {
      world.agentControl.offMs = 3_600_000;
    },
  },
  {
    what: 'a way to the peers on which each answer waits for an acknowledgement',
    check: 'round-trip',
    files: AGENT,
    found: 'until all peers have answered',
    plant: (world) => {
      world.agentControl.delayMs = 44;
    },
  },
];
