/** Planted faults of files. */

import { chmodSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { AGENT, HOST, type Planted } from './planted.ts';

/** Each is found by a check of files. */
export const OF_FILES: readonly Planted[] = [
  {
    what: 'a policy for a VM without a key',
    check: 'config-sound',
    files: AGENT,
    found: 'no key for "guest"',
    plant: (world) => {
      world.agent['policy'] = { kind: 'list', allow: [{ bundle: 'panel', borrower: 'guest' }] };
    },
  },
  {
    what: 'a key file that others may read',
    check: 'key-mode',
    files: HOST,
    found: 'mode 0644',
    plant: (world) => chmodSync(world.at('host.keys.json'), 0o644),
  },
  {
    what: 'a password that others may read',
    check: 'password-mode',
    files: AGENT,
    found: 'mode 0640',
    plant: (world) => chmodSync(world.at('android.password'), 0o640),
  },
  {
    what: 'a state folder that cannot be made',
    check: 'state-writable',
    files: AGENT,
    found: 'cannot be made in',
    plant: (world) => {
      world.agent['state'] = 'policy/state';
    },
  },
  {
    what: 'a state folder in which others may write',
    check: 'state-mode',
    files: AGENT,
    found: 'mode 0777',
    plant: (world) => chmodSync(world.at('state'), 0o777),
  },
  {
    what: 'a folder of the control socket in which others may write',
    check: 'control-folder',
    files: HOST,
    found: 'mode 0777',
    plant: (world) => chmodSync(world.folder, 0o777),
  },
  {
    what: 'a control socket of mode 0666',
    check: 'control-mode',
    files: AGENT,
    found: 'mode 0666',
    plant: (world) => chmodSync(world.at('agent.sock'), 0o666),
  },
  {
    what: 'a file in place of the control socket',
    check: 'control-mode',
    files: AGENT,
    found: 'no socket',
    plant: (world) => {
      rmSync(world.at('agent.sock'));
      world.write('agent.sock', '');
    },
  },
  {
    what: 'an audit log for which the disk has no room',
    check: 'disk-space',
    files: HOST,
    found: 'MiB free',
    plant: (world) => {
      world.host['audit'] = { fileBytes: 1_073_741_824, files: 10_000 };
    },
  },
  {
    what: 'a table that is gone',
    check: 'table-there',
    files: HOST,
    found: 'no table',
    plant: (world) => rmSync(world.at('host-state/table.journal')),
  },
  {
    what: 'an emptied table',
    check: 'table-there',
    files: HOST,
    found: 'an empty one',
    plant: (world) => writeFileSync(world.at('host-state/table.journal'), ''),
  },
  {
    what: 'a clock that was set back an hour',
    check: 'clock-wall',
    files: AGENT,
    found: /3600 s in the future/,
    plant: (world) =>
      utimesSync(world.at('state/agent.journal'), new Date(), new Date(Date.now() + 3_600_400)),
  },
];
