/**
 * Word to systemd, as sd_notify(3) has it, once for both engines: that a daemon serves, that it is alive, that it
 * ends. Alive means that its event loop still comes round to a timer; whoever hangs sends nothing, and systemd ends
 * it after WatchdogSec.
 */

import type { Clock, Log } from '../../src/ports/world.ts';
import { errorName, type NativeCore } from './core.ts';

/** What a daemon tells whoever supervises it. Nothing where nobody does. */
export interface Supervisor {
  /** It serves. From now on it tells as often as it was asked to that it is alive. */
  ready(): void;
  stopping(): void;
}

export const NOBODY: Supervisor = { ready: () => {}, stopping: () => {} };

/** What the word is sent by. */
export interface SupervisedWorld {
  readonly core: Pick<NativeCore, 'sendDatagram'>;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly log: Log;
}

/** Returns whom the environment names: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
export function supervisorOf({ core, clock, environment, pid, log }: SupervisedWorld): Supervisor {
  const { NOTIFY_SOCKET: socket = '', WATCHDOG_USEC: limitUs, WATCHDOG_PID: watched } = environment;
  if (socket === '') return NOBODY;
  // A name of the abstract name space is written with @ in place of its zero byte.
  const where = socket.replace(/^@/, '\0');
  // Half of the limit, as sd_watchdog_enabled(3) advises: one word may be late.
  const everyMs = watched === undefined || watched === String(pid) ? Number(limitUs ?? 0) / 2_000 : 0;
  let isHeard = true;
  const tell = (word: string) => {
    const bytes = Uint8Array.from(word, (character) => character.charCodeAt(0));
    const result = core.sendDatagram(where, bytes.buffer, 0, bytes.length);
    if (result < 0 && isHeard)
      log('warn', `systemd does not hear us: ${errorName(result)}`, { word, socket });
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
