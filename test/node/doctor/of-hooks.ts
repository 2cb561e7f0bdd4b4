/** Planted faults of driver hooks and devices, in a folder in place of /sys. */

import { spawn } from 'node:child_process';
import { chmodSync, closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { AGENT, type Json, type Planted } from './planted.ts';
import type { DoctorWorld } from './world.ts';

/** A process that has a file open. */
function opens(world: DoctorWorld, path: string): void {
  const file = openSync(path, 'r');
  const child = spawn('sleep', ['60'], { stdio: [file, 'ignore', 'ignore'] });
  world.ending(() => child.kill('SIGKILL'));
  closeSync(file);
}

/** A driver: whenever the attribute reads `from`, it makes it read `to`, and another one `shown`. */
function driver(world: DoctorWorld, from: string, to: string, shown: string): void {
  const path = world.at('sys/display/blank');
  const timer = setInterval(() => {
    if (readFileSync(path, 'utf8').trim() !== from) return;
    writeFileSync(path, `${to}\n`);
    writeFileSync(world.at('sys/display/shown'), `${shown}\n`);
  }, 2);
  world.ending(() => clearInterval(timer));
}

const blank = (world: DoctorWorld, more: Json) => ({
  kind: 'sysfs',
  path: world.at('sys/display/blank'),
  write: '1',
  ...more,
});

/** Each is found by a check of hooks or devices. */
export const HOOKS: readonly Planted[] = [
  {
    what: 'an attribute that is missing',
    check: 'attribute-exists',
    files: AGENT,
    found: 'is not on this machine now',
    plant: (world) => world.suspend('display', blank(world, { path: world.at('sys/display/blnak') })),
  },
  {
    what: 'a pattern that fits two',
    check: 'attribute-exists',
    files: AGENT,
    found: '2 fit',
    plant: (world) => world.suspend('display', blank(world, { path: world.at('sys/*/power/control') })),
  },
  {
    what: 'a device without an input device',
    check: 'attribute-exists',
    files: AGENT,
    found: 'no input device below it',
    plant: (world) => rmSync(world.at('sys/touch/input'), { recursive: true }),
  },
  {
    what: 'an attribute that takes no writes',
    check: 'attribute-writable',
    files: AGENT,
    found: 'mode 0444',
    plant: (world) => chmodSync(world.at('sys/display/blank'), 0o444),
  },
  {
    what: 'a write that does not show where the step expects it',
    check: 'attribute-works',
    files: AGENT,
    found: 'still reads "on"',
    plant: (world) => {
      world.write('sys/display/shown', 'on\n');
      world.suspend(
        'display',
        blank(world, { expect: { path: world.at('sys/display/shown'), value: 'off' } }),
      );
    },
  },
  {
    what: 'an attribute that ignores the write',
    check: 'attribute-works',
    files: AGENT,
    found: 'took "1" and still reads ""',
    plant: (world) => world.suspend('display', blank(world, { path: '/dev/null' })),
  },
  {
    what: 'an undo that does not restore',
    check: 'attribute-restored',
    files: AGENT,
    found: 'LEFT CHANGED',
    plant: (world) => {
      world.write('sys/display/shown', 'on\n');
      driver(world, '1', 'enabled', 'off');
      world.suspend(
        'display',
        blank(world, { expect: { path: world.at('sys/display/shown'), value: 'off' } }),
      );
    },
  },
  {
    what: 'a program of the policy that is not executable',
    check: 'program-runs',
    files: AGENT,
    found: 'may not run it',
    plant: (world) => chmodSync(world.at('policy'), 0o644),
  },
  {
    what: 'a program of a hook that PATH does not have',
    check: 'program-runs',
    files: AGENT,
    found: 'not in PATH',
    plant: (world) => world.suspend('touch', { kind: 'command', command: ['no-such-program-of-baton'] }),
  },
  {
    what: 'a program of a hook that does not listen',
    check: 'hook-socket',
    files: AGENT,
    found: 'ENOENT',
    plant: (world) => world.suspend('touch', { kind: 'socket', path: world.at('nobody.sock') }),
  },
  {
    what: 'runtime power management switched off',
    check: 'runtime-pm',
    files: AGENT,
    found: 'reads on',
    plant: (world) => world.write('sys/touch/power/control', 'on\n'),
  },
  {
    what: 'a driver without runtime power management',
    check: 'runtime-pm',
    files: AGENT,
    found: 'reads unsupported',
    plant: (world) => world.write('sys/display/power/runtime_status', 'unsupported\n'),
  },
  {
    what: 'a device that another process has open',
    check: 'device-open',
    files: AGENT,
    found: /sleep \(\d+\) has .*card0 open/,
    plant: (world) => {
      world.suspend('display', { kind: 'runtime-pm', device: world.at('sys/display') });
      opens(world, world.at('dev/dri/card0'));
    },
  },
];
