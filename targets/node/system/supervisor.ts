/** sd_notify(3) on Node, whose sockets do not support UNIX datagrams: through the addon, which is optional. */

import type { Log } from '../../../src/ports/world.ts';
import { NOBODY, type Supervisor, supervisorOf } from '../../native/supervisor.ts';
import { addonPath, loadAddon } from '../net/native-streams.ts';
import { CLOCK } from './clock.ts';

/** Returns the supervisor that the environment names; without the addon none, which is logged. */
export function openSupervisor(log: Log): Supervisor {
  if (!process.env['NOTIFY_SOCKET']) return NOBODY;
  try {
    const core = loadAddon(addonPath(), 'notification of systemd (Type=notify, WatchdogSec)');
    return supervisorOf({ core, clock: CLOCK, environment: process.env, pid: process.pid, log });
  } catch (error) {
    log('warn', (error as Error).message);
    return NOBODY;
  }
}
