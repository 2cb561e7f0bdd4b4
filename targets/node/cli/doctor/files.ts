/** Checks of the files that a configuration names: modes, room on the disk, whether they can be written. */

import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { AUDIT_LIMITS } from '../../host/audit-file.ts';
import { attempt } from '../../system/processes.ts';
import { type Check, fault, ok, skipped } from './check.ts';
import type { Subject } from './subject.ts';

/** Bits that let others read or write. */
const OTHERS = 0o077;
/** Bits that let others write. */
const OTHERS_WRITE = 0o022;
/**
 * Room that an agent needs, in bytes: its journal and the notes of its hooks, at most a MiB each, and as much again
 * while one is replaced.
 */
const AGENT_BYTES = 4 * 1024 * 1024;
/** Room that a host needs besides its audit log, in bytes: table and bounds, and as much again while replaced. */
const HOST_BYTES = 4 * 1024 * 1024;

function modeOf(path: string): number | undefined {
  return attempt(() => statSync(path).mode & 0o777);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

const CONFIG_SOUND: Check = {
  name: 'config-sound',
  of: 'both',
  run: ({ daemon: { file }, complaints }) =>
    complaints.length === 0
      ? ok(file, 'all that it names is sound')
      : complaints.flatMap((line) =>
          fault(file, line, 'what docs/CONFIG.md says', `mend that place; baton check-config ${file}`),
        ),
};

/** A check that others may not read a file with a secret. */
function secretMode(name: string, pathOf: (subject: Subject) => string | undefined): Check {
  return {
    name,
    of: 'both',
    run: (subject) => {
      const path = pathOf(subject);
      if (path === undefined) return [];
      const mode = modeOf(path);
      if (mode === undefined) return skipped(path, 'there is no such file, or this user may not see it');
      if ((mode & OTHERS) === 0) return ok(path, `mode ${octal(mode)}`);
      return fault(path, `mode ${octal(mode)}: others may read it`, 'mode 0600', `chmod 600 ${path}`);
    },
  };
}

const KEY_MODE = secretMode('key-mode', ({ daemon, config }) => daemon.beside(config.keys));
const PASSWORD_MODE = secretMode('password-mode', ({ daemon, config: { transport } }) =>
  transport.kind === 'mqtt' && transport.passwordFile !== undefined
    ? daemon.beside(transport.passwordFile)
    : undefined,
);

/** The folder itself, or the nearest one above it: that is where it will be made. */
function nearestFolder(folder: string): string {
  let at = folder;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

function mayMakeIn(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return statSync(folder).isDirectory();
  } catch {
    return false;
  }
}

/** A small file is made, made durable and removed. One of this name belongs to nobody else. */
const STATE_WRITABLE: Check = {
  name: 'state-writable',
  of: 'both',
  run: ({ state }) => {
    const words = 'a folder in which this user may write';
    const at = nearestFolder(state);
    if (at !== state) {
      if (mayMakeIn(at)) return skipped(state, 'the first start makes it');
      return fault(state, `missing, and it cannot be made in ${at}`, words, `mkdir -m 700 -p ${state}`);
    }
    const path = join(state, `.baton-doctor-${randomBytes(4).toString('hex')}`);
    try {
      const file = openSync(path, 'wx', 0o600);
      try {
        writeSync(file, 'baton doctor\n');
        fsyncSync(file);
      } finally {
        closeSync(file);
        rmSync(path, { force: true });
      }
      return ok(state, 'a file was written there, and removed');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const mend =
        code === 'ENOSPC' ? `free space: df ${state}` : `chown it to the user of the daemon: ls -ld ${state}`;
      return fault(state, message, words, mend);
    }
  },
};

const STATE_MODE: Check = {
  name: 'state-mode',
  of: 'both',
  run: ({ state }) => folderMode(state, 'what it says is believed'),
};

const CONTROL_FOLDER: Check = {
  name: 'control-folder',
  of: 'both',
  run: ({ control }) => folderMode(dirname(control), 'they may put a socket of their own there'),
};

function folderMode(folder: string, why: string) {
  const stat = attempt(() => statSync(folder));
  if (!stat) return skipped(folder, 'it does not exist yet, or this user may not see it');
  const mode = stat.mode & 0o777;
  if ((mode & OTHERS_WRITE) === 0) return ok(folder, `mode ${octal(mode)}`);
  return fault(
    folder,
    `mode ${octal(mode)}: others may write there, and ${why}`,
    'mode 0700',
    `chmod 700 ${folder}`,
  );
}

/** The daemon makes its socket with mode 0600: who connects may borrow, and lift at the host. */
const CONTROL_MODE: Check = {
  name: 'control-mode',
  of: 'both',
  run: ({ control, program }) => {
    const stat = attempt(() => statSync(control));
    if (!stat) return skipped(control, 'there is no socket: the daemon does not run');
    const mode = stat.mode & 0o777;
    if (!stat.isSocket())
      return fault(
        control,
        'a file that is no socket',
        'the socket of the daemon',
        `rm ${control}, then restart`,
      );
    if ((mode & OTHERS) === 0) return ok(control, `mode ${octal(mode)}`);
    return fault(
      control,
      `mode ${octal(mode)}: others may give orders`,
      'mode 0600, as the daemon makes it',
      `chmod 600 ${control}, and find what changed it; systemctl restart ${program}`,
    );
  },
};

const DISK_SPACE: Check = {
  name: 'disk-space',
  of: 'both',
  run: (subject) => {
    const at = nearestFolder(subject.state);
    const { bavail, bsize, ffree, files } = statfsSync(at);
    const free = bavail * bsize;
    const needed = roomNeeded(subject);
    const mend = `free space: df ${at}${subject.isHost ? '; or keep less: "audit" of the configuration' : ''}`;
    if (files > 0 && ffree === 0) return fault(at, 'no inode is left', 'room for new files', `df -i ${at}`);
    if (free >= needed) return ok(at, `${mib(free)} free`);
    return fault(at, `${mib(free)} free`, `${mib(needed)}: what the daemon may yet write`, mend);
  },
};

/** What a daemon may yet write: of the audit log what is not written so far. */
function roomNeeded({ daemon: { host }, state }: Subject): number {
  if (!host) return AGENT_BYTES;
  const { fileBytes, files } = { ...AUDIT_LIMITS, ...host.audit };
  const written = (attempt(() => statSync(join(state, 'audit.jsonl')).size) ?? 0) + olderBytes(state, files);
  return Math.max(0, fileBytes * (files + 1) - written) + HOST_BYTES;
}

function olderBytes(state: string, files: number): number {
  let sum = 0;
  // They are numbered upwards; the last ones are there.
  for (const name of attempt(() => auditNames(state)) ?? []) {
    if (files-- <= 0) break;
    sum += attempt(() => statSync(join(state, name)).size) ?? 0;
  }
  return sum;
}

function auditNames(state: string): readonly string[] {
  return readdirSync(state)
    .filter((name) => /^audit-\d+\.jsonl$/.test(name))
    .sort()
    .reverse();
}

function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** Without its table a host that starts has every bundle in quarantine. */
const TABLE_THERE: Check = {
  name: 'table-there',
  of: 'host',
  run: ({ state, daemon: { file } }) => {
    const names = ['table.journal', 'table.journal.after-loss'].map((name) => join(state, name));
    const there = names.find((name) => (attempt(() => statSync(name).size) ?? 0) > 0);
    if (there !== undefined) return ok(there, 'it is there');
    return fault(
      names[0]!,
      'no table, or an empty one: the next start has every bundle in quarantine',
      'the table of the last run',
      `on the first start: baton-host --config ${file} --create-table; else start it, and baton lift`,
    );
  },
};

/** A file that was written later than now: the clock was set back since. Audit log and journal have its time. */
const CLOCK_WALL: Check = {
  name: 'clock-wall',
  of: 'both',
  run: ({ state, machine }) => {
    const names = ['agent.journal', 'table.journal', 'audit.jsonl', 'bounds'].map((name) =>
      join(state, name),
    );
    const times = names.flatMap((name) => {
      const atMs = attempt(() => statSync(name).mtimeMs);
      return atMs === undefined ? [] : [{ name, aheadMs: atMs - machine.wallMs() }];
    });
    if (times.length === 0) return skipped(state, 'the daemon has written nothing yet');
    const last = times.reduce((a, b) => (a.aheadMs > b.aheadMs ? a : b));
    if (last.aheadMs <= WALL_SLACK_MS) return ok(last.name, 'no file is from the future');
    return fault(
      last.name,
      `written ${Math.round(last.aheadMs / 1_000)} s in the future: the clock jumped back`,
      'times that only rise; leases do not depend on it, but the order of logs does',
      'timedatectl status; let one program alone set the clock (NTP)',
    );
  },
};

/** Steps of an NTP client on a running machine are below this, in ms. */
const WALL_SLACK_MS = 2_000;

/** Every check of files. */
export const FILE_CHECKS: readonly Check[] = [
  CONFIG_SOUND,
  KEY_MODE,
  PASSWORD_MODE,
  STATE_WRITABLE,
  STATE_MODE,
  CONTROL_FOLDER,
  CONTROL_MODE,
  DISK_SPACE,
  TABLE_THERE,
  CLOCK_WALL,
];
