/**
 * sd_notify(3) without libsystemd, for both engines: a daemon reports that it serves, is alive, or ends. It is alive
 * while its event loop runs a timer; a hung daemon sends nothing, and systemd ends it after WatchdogSec.
 */

import type { Clock, Log } from '../../src/ports/world.ts';
import { errorName, type NativeCore } from './core.ts';

/** Reports of a daemon to its supervisor; without a supervisor they do nothing. */
export interface Supervisor {
  /** The daemon serves. From now on it reports periodically that it is alive, if requested. */
  ready(): void;
  stopping(): void;
}

export const NOBODY: Supervisor = { ready: () => {}, stopping: () => {} };

/** Sends the datagram. */
export interface SupervisedWorld {
  readonly core: Pick<NativeCore, 'sendDatagram'>;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly log: Log;
}

/** Returns the supervisor of the environment: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
export function supervisorOf({ core, clock, environment, pid, log }: SupervisedWorld): Supervisor {
  const { NOTIFY_SOCKET: socket = '', WATCHDOG_USEC: limitUs, WATCHDOG_PID: watched } = environment;
  if (socket === '') return NOBODY;
  // An abstract name is written with @ in place of its zero byte.
  const where = socket.replace(/^@/, '\0');
  // Half of the limit, as sd_watchdog_enabled(3) advises: one report may be late.
  const everyMs = watched === undefined || watched === String(pid) ? Number(limitUs ?? 0) / 2_000 : 0;
  let isHeard = true;
  const tell = (word: string) => {
    const bytes = Uint8Array.from(word, (character) => character.charCodeAt(0));
    const result = core.sendDatagram(where, bytes.buffer, 0, bytes.length);
    if (result < 0 && isHeard) log('warn', `cannot notify systemd: ${errorName(result)}`, { word, socket });
    isHeard = result >= 0;
  };
  const beat = () => {
    tell('WATCHDOG=1');
    clock.after(everyMs, beat);
  };
  return {
    ready: () => {
      tell('READY=1');
      if (everyMs > 0) beat();
    },
    stopping: () => tell('STOPPING=1'),
  };
}
