/** Checks of driver hooks without a change: places that exist, attributes that may be written, programs that run. */

import { closeSync, constants, openSync } from 'node:fs';
import { isInPath } from '../../../../src/config/follow.ts';
import { programsOfAgent } from '../../../../src/config/programs.ts';
import { kindOf } from '../../../../src/edges/hooks/kinds.ts';
import { placesOf } from '../../../../src/edges/hooks/sys-look.ts';
import { STREAMS } from '../../net/streams.ts';
import { type Check, type Finding, fault, ok, skipped } from './check.ts';
import { type PlacedStep, stepsOf, writtenBy } from './hook-steps.ts';
import { within } from './machine.ts';
import { answered, type Subject } from './subject.ts';

/** Longest wait for a program to take a connection, in ms: it is on this machine. */
const CONNECT_MS = 1_000;

/** Whether a device of the bundle may be without its driver now: `unbind` takes what it registers away. */
async function isUnbound(subject: Subject, { bundle, hooks }: PlacedStep): Promise<boolean> {
  if (!(hooks.suspend ?? []).some(({ kind }) => kind === 'unbind')) return false;
  const status = await subject.status();
  if (!answered(status)) return true;
  const views = (status['bundles'] ?? []) as readonly { bundle: string; driver?: string }[];
  return views.find((view) => view.bundle === bundle)?.driver !== 'active';
}

const EXISTS: Check = {
  name: 'attribute-exists',
  of: 'agent',
  run: async (subject) => {
    const found: Finding[] = [];
    for (const placed of stepsOf(subject)) {
      for (const [key, path] of kindOf(placed.step).places?.(placed.step) ?? [])
        found.push(...(await existsAt(subject, placed, key, path)));
      if (placed.step.kind === 'input-inhibit') found.push(...(await inputExists(placed)));
    }
    return found;
  },
};

async function existsAt(subject: Subject, placed: PlacedStep, key: string, path: string) {
  const about = `${placed.about}, ${key}`;
  const dark = new Set<string>();
  const places = placesOf(path, subject.machine.files, dark);
  if (places.length === 1) return ok(about, places[0]!);
  if (places.length > 1)
    return fault(about, `${path}: ${places.length} fit`, 'exactly one', 'name the device above it');
  const [folder] = dark;
  if (folder !== undefined) return skipped(about, `this user may not look into ${folder}`);
  if (await isUnbound(subject, placed)) return skipped(about, 'its driver is unbound now');
  return fault(
    about,
    `${path} is not on this machine now`,
    'a place that is there while the driver is bound',
    `mend the path: ls ${path.replace(/\/[^/]*$/, '')}; or bind the driver`,
  );
}

/** The folder may be there, and no input device in it. */
async function inputExists({ step, about }: PlacedStep) {
  try {
    return ok(`${about}, inhibited`, (await writtenBy(step, (path) => path)).join(', '));
  } catch (error) {
    return fault(
      `${about}, inhibited`,
      (error as Error).message,
      'an input device with the attribute inhibited',
      'grep . /sys/class/input/input*/name; a kernel from 5.11 on',
    );
  }
}

const WRITABLE: Check = {
  name: 'attribute-writable',
  of: 'agent',
  run: async (subject) => {
    const found: Finding[] = [];
    for (const { step, about } of stepsOf(subject)) {
      const pathOf = (path: string) => placesOf(path, subject.machine.files)[0] ?? path;
      // What is missing is told by another check.
      const paths = await writtenBy(step, pathOf).catch(() => []);
      for (const path of paths) found.push(...writableAt(subject, about, path));
    }
    return found;
  },
};

/** It is opened for writing, and nothing is written: the driver does not hear of that. */
function writableAt({ machine }: Subject, about: string, path: string) {
  const mode = machine.files.look(path)?.mode;
  if (mode === undefined) return [];
  const words = 'an attribute that the user of the agent may write';
  const mend = `the user of the agent: ls -l ${path}; ProtectKernelTunables=no and ReadWritePaths= of its unit`;
  // Root may open any file; the kernel has no store function for an attribute without a bit for writing.
  if ((mode & 0o222) === 0)
    return fault(
      about,
      `${path}: mode ${mode.toString(8).padStart(4, '0')}: its driver takes no writes`,
      words,
      mend,
    );
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY));
    return ok(about, path);
  } catch (error) {
    return fault(about, (error as Error).message, words, mend);
  }
}

const PROGRAMS: Check = {
  name: 'program-runs',
  of: 'agent',
  run: ({ daemon, machine: { files } }) =>
    programsOfAgent(daemon.agent!).flatMap(({ path, command: [name = ''] }) => {
      const about = path.join('.');
      const look = name.includes('/') ? files.look(daemon.beside(name)) : undefined;
      const isThere = name.includes('/') ? look?.isFile && look.isExecutable : isInPath(name, files);
      if (isThere) return ok(about, name);
      const found = !name.includes('/') ? 'not in PATH' : look ? 'this user may not run it' : 'no such file';
      const mend = look ? `chmod +x ${daemon.beside(name)}` : 'install it, or mend the path';
      return fault(about, `${name}: ${found}`, 'a program that the user of the agent may run', mend);
    }),
};

/** A connection is made and closed; nothing is asked. */
const SOCKETS: Check = {
  name: 'hook-socket',
  of: 'agent',
  run: async (subject) => {
    const inspects = stepsOf(subject).flatMap(({ hooks }) => hooks.inspect ?? []);
    const steps = [...stepsOf(subject).map(({ step }) => step), ...inspects];
    const paths = new Set(steps.flatMap((step) => (step.kind === 'socket' ? [step.path] : [])));
    const found: Finding[] = [];
    for (const path of paths) {
      const error = await listens(subject, path);
      if (error === undefined) found.push(...ok(path, 'a program listens'));
      else {
        const mend = 'start the program before the agent (After= of its unit)';
        found.push(...fault(path, error, 'a program that listens', mend));
      }
    }
    return found;
  },
};

function listens({ machine }: Subject, path: string): Promise<string | undefined> {
  const wait = new Promise<string | undefined>((resolve) =>
    STREAMS.connect(`unix:${path}`, (stream) => {
      if (stream instanceof Error) return resolve(stream.message);
      stream.close();
      resolve(undefined);
    }),
  );
  return within(machine, CONNECT_MS, 'no answer', wait).catch((error) => (error as Error).message);
}

/** Checks of hooks that change nothing. */
export const HOOK_CHECKS: readonly Check[] = [EXISTS, WRITABLE, PROGRAMS, SOCKETS];
