/** Planted faults of units, access control, the enforcer, and between configurations. */

import { chmodSync, rmSync } from 'node:fs';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import { PANEL } from '../../../targets/lab/machine/board.ts';
import { AGENT, BOTH, HOST, hostBundle, type Planted } from './planted.ts';
import { enforcerProgram } from './world.ts';

/** Each is found by a check of the system, of the enforcer, or of several configurations. */
export const SYSTEM: readonly Planted[] = [
  {
    what: 'a start limit that is too low',
    check: 'start-limit',
    files: AGENT,
    found: '5 starts in 10s',
    plant: (world) => {
      world.unit = { StartLimitIntervalUSec: '10s' };
    },
  },
  {
    what: 'a unit that has reached its limit',
    check: 'start-limit',
    files: HOST,
    found: 'starts it no more',
    plant: (world) => {
      world.unit = { Result: 'start-limit-hit' };
    },
  },
  {
    what: 'a unit that is not started again',
    check: 'unit-restart',
    files: HOST,
    found: 'Restart=no',
    plant: (world) => {
      world.unit = { Restart: 'no' };
    },
  },
  {
    what: 'an access that AppArmor denied',
    check: 'access-denied',
    files: AGENT,
    found: '1 denied',
    plant: (world) =>
      world.write('denied.log', 'audit: type=1400 apparmor="DENIED" operation="open" comm="baton-agent"\n'),
  },
  {
    what: 'an access that SELinux denied',
    check: 'access-denied',
    files: HOST,
    found: 'avc:  denied',
    plant: (world) =>
      world.write('denied.log', 'type=AVC msg=audit(1): avc:  denied  { write } for comm="baton-host"\n'),
  },
  {
    what: 'a program of the enforcer that is missing',
    check: 'enforcer-answers',
    files: HOST,
    found: 'ENOENT',
    plant: async (world) => {
      await world.hostControl.close();
      rmSync(world.at('enforcer'));
    },
  },
  {
    what: 'a program of the enforcer that is not executable',
    check: 'enforcer-answers',
    files: HOST,
    found: 'EACCES',
    plant: async (world) => {
      await world.hostControl.close();
      chmodSync(world.at('enforcer'), 0o644);
    },
  },
  {
    what: 'a program of the enforcer that answers wrongly',
    check: 'enforcer-answers',
    files: HOST,
    found: 'evidence is none of',
    plant: async (world) => {
      await world.hostControl.close();
      world.write('enforcer', enforcerProgram('certain'), 0o755);
    },
  },
  {
    what: 'evidence weaker than borrowers ask for, by the host',
    check: 'evidence-enough',
    files: HOST,
    found: 'asserted',
    plant: (world) => hostBundle(world, { evidence: 'asserted' }),
  },
  {
    what: 'evidence weaker than borrowers ask for, by the enforcer',
    check: 'evidence-enough',
    files: HOST,
    options: ['--min-evidence', 'attested'],
    found: 'observed',
    plant: (world) => world.hostControl.close(),
  },
  {
    what: 'an enforcer that answers no order',
    check: 'enforcer-conforms',
    files: HOST,
    options: ['--enforcer'],
    found: /empty list/,
    plant: (world) => world.hostControl.close(),
  },
  {
    what: 'keys that differ',
    check: 'key-fingerprint',
    files: BOTH,
    found: /1:[0-9a-f]{16} at host, 1:[0-9a-f]{16} at android/,
    plant: (world) => world.write('android.keys.json', JSON.stringify({ host: 'd'.repeat(64) }), 0o600),
  },
  {
    what: 'bundle files that differ',
    check: 'bundle-digest',
    files: BOTH,
    found: /[0-9a-f]{16} at host, [0-9a-f]{16} at android/,
    plant: (world) => {
      const [first, ...others] = PANEL.devices;
      const residualStates = [{ what: 'a report', clearedBy: 'reset' as const }];
      const other = { ...PANEL, devices: [{ ...first!, residualStates }, ...others] };
      world.write('bundles.json', bundleFileText([other]));
    },
  },
  {
    what: 'daemons of two versions',
    check: 'version-agreed',
    files: BOTH,
    found: '0.0.9 at host',
    plant: (world) => {
      world.hostControl.status['version'] = '0.0.9';
    },
  },
  {
    what: 'an agent of an earlier incarnation',
    check: 'incarnation-agreed',
    files: BOTH,
    found: '2 at the host, 1 at the agent',
    plant: (world) => {
      world.hostControl.status['vms'] = { android: 2, vault: 1 };
    },
  },
];
