/** Checks of what the system does with a daemon: how systemd starts it, and what SELinux or AppArmor denied it. */

import { Buffer } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { timeOf } from '../../../../src/cli/world.ts';
import { runOnce } from '../../system/run-once.ts';
import { type Check, type Finding, fault, ok, skipped } from './check.ts';
import { stepsOf } from './hook-steps.ts';
import type { Subject } from './subject.ts';

/** Longest wait for systemd, in ms. */
const SYSTEMD_MS = 3_000;
const PROPERTIES = [
  'LoadState',
  'ExecStart',
  'Result',
  'Restart',
  'RestartUSec',
  'StartLimitBurst',
  'StartLimitIntervalUSec',
] as const;
type Unit = Readonly<Partial<Record<(typeof PROPERTIES)[number], string>>>;
/** Bytes of the end of a log that are looked at: some thousand lines. */
const TAIL_BYTES = 1024 * 1024;
/** Longest record of the kernel's log, in bytes (CONSOLE_EXT_LOG_MAX). */
const RECORD_BYTES = 8_192;
/** Longest part of a line of a log that is shown. */
const SHOWN_CHARS = 300;
const DENIED = /apparmor="DENIED"|avc: +denied/;

/** Returns what systemd has of the daemon's unit, or why there is none. */
function unitOf(subject: Subject): Promise<Unit | string> {
  return subject.once('unit', async () => {
    const name = `${subject.program}.service`;
    const command = [subject.machine.systemctl, 'show', name, `--property=${PROPERTIES.join(',')}`];
    const order = { command, input: '', limitMs: SYSTEMD_MS, outputCharsMax: 65_536 };
    const end = await new Promise<{ ok: true; output: string } | { ok: false; error: string }>((resolve) =>
      runOnce(order, resolve),
    );
    if (!end.ok) return `systemd cannot be asked: ${end.error.split('\n')[0]}`;
    const unit: Unit = Object.fromEntries(
      end.output
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    if (unit.LoadState !== 'loaded') return `systemd has no ${name}`;
    const real = subject.machine.files.realPath(subject.daemon.file) ?? subject.daemon.file;
    const isOurs = unit.ExecStart?.split(/\s+/).some((word) => word === subject.daemon.file || word === real);
    return isOurs ? unit : `${name} runs another configuration`;
  });
}

function unitCheck(name: string, say: (unit: Unit, about: string) => readonly Finding[]): Check {
  return {
    name,
    of: 'both',
    run: async (subject) => {
      const about = `${subject.program}.service`;
      const unit = await unitOf(subject);
      return typeof unit === 'string' ? skipped(about, unit) : say(unit, about);
    },
  };
}

/** A daemon that ends with 75 asks for another start, a second later each time: no number of those is too many. */
const START_LIMIT = unitCheck('start-limit', (unit, about) => {
  const { Result: result, StartLimitBurst: burst = '0', StartLimitIntervalUSec: interval = '0' } = unit;
  const intervalMs = interval === 'infinity' ? Number.POSITIVE_INFINITY : msOf(interval);
  const gapMs = msOf(unit.RestartUSec ?? '0');
  const words = `${burst} starts in ${interval}, RestartSec=${unit.RestartUSec ?? '0'}`;
  const isLimited = intervalMs > 0 && Number(burst) > 0 && Number(burst) * gapMs < intervalMs;
  if (result !== 'start-limit-hit' && !isLimited) return ok(about, intervalMs > 0 ? words : 'no limit');
  return fault(
    about,
    result === 'start-limit-hit' ? `${words}: reached, and systemd starts it no more` : words,
    'no limit: status 75 promises that another start may go better',
    `StartLimitIntervalSec=0 in [Unit]: systemctl edit ${about}; systemctl reset-failed ${about}`,
  );
});

const RESTARTS = unitCheck('unit-restart', ({ Restart: restart = 'no' }, about) =>
  ['on-failure', 'always'].includes(restart)
    ? ok(about, `Restart=${restart}`)
    : fault(
        about,
        `Restart=${restart}: one that ends with 75 stays away`,
        'Restart=on-failure',
        `Restart=on-failure and RestartSec=1 in [Service]: systemctl edit ${about}`,
      ),
);

/** Times of `systemctl show`: `10s`, `1min 40s`, `100ms`, `0`. */
function msOf(text: string): number {
  const plain = text.replace(/(\d)min/g, '$1m').replace(/\s+/g, '');
  return timeOf(plain) ?? 0;
}

const ACCESS_DENIED: Check = {
  name: 'access-denied',
  of: 'both',
  run: (subject) => {
    const ours = namesOf(subject);
    const read = subject.machine.logs.flatMap((path) => {
      const text = endOf(path);
      return text === undefined ? [] : [{ path, text }];
    });
    if (read.length === 0) return skipped(subject.machine.logs.join(', '), 'this user may read none of them');
    const denied = read.flatMap(({ path, text }) =>
      text
        .split('\n')
        .filter((line) => DENIED.test(line) && ours.some((name) => line.includes(name)))
        .map((line) => ({ path, line })),
    );
    const last = denied.at(-1);
    if (!last) return ok(read.map(({ path }) => path).join(', '), 'nothing of this daemon was denied');
    return fault(
      last.path,
      `${denied.length} denied, the last: ${last.line.trim().slice(0, SHOWN_CHARS)}`,
      'no denied access of the daemon, its files and attributes',
      last.line.includes('apparmor')
        ? 'allow it in the profile, then apparmor_parser -r; aa-logprof'
        : 'audit2allow -w -a; restorecon -Rv on its folders',
    );
  },
};

/** Names by which a line is about this daemon: its program, its folders, the attributes of its hooks. */
function namesOf(subject: Subject): readonly string[] {
  const paths = stepsOf(subject).flatMap(({ step }) => ('path' in step ? [step.path] : []));
  return [subject.program, subject.state, subject.control, ...paths];
}

/** Returns the end of a log; of /dev/kmsg all that the kernel has. Undefined when it cannot be read. */
function endOf(path: string): string | undefined {
  let file: number | undefined;
  const parts: Buffer[] = [];
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(file);
    if (stat.isFile()) {
      const bytes = Buffer.alloc(Math.min(stat.size, TAIL_BYTES));
      readSync(file, bytes, 0, bytes.length, stat.size - bytes.length);
      return bytes.toString();
    }
    // A record at a time; without one it fails with EAGAIN, and with EPIPE when the kernel has overwritten the next.
    for (let total = 0; total < TAIL_BYTES; total += parts.at(-1)?.length ?? 1) {
      const record = Buffer.alloc(RECORD_BYTES);
      parts.push(record.subarray(0, readSync(file, record, 0, RECORD_BYTES, null)));
      if (parts.at(-1)!.length === 0) break;
    }
    return Buffer.concat(parts).toString();
  } catch (error) {
    const isEnd = ['EAGAIN', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '');
    return isEnd ? Buffer.concat(parts).toString() : undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Every check of the system around a daemon. */
export const SERVICE_CHECKS: readonly Check[] = [START_LIMIT, RESTARTS, ACCESS_DENIED];
