/**
 * Word to systemd from Node, whose own sockets know no datagrams of the UNIX kind: by the addon, which need not be
 * there.
 */

import type { Log } from '../../../src/ports/world.ts';
import { NOBODY, type Supervisor, supervisorOf } from '../../native/supervisor.ts';
import { addonPath, loadAddon } from '../net/native-streams.ts';
import { CLOCK } from './clock.ts';

/** Returns whom the environment names. Where the addon is missing it is nobody, and the log says so. */
export function openSupervisor(log: Log): Supervisor {
  if (!process.env['NOTIFY_SOCKET']) return NOBODY;
  try {
    const core = loadAddon(addonPath(), 'word to systemd (Type=notify, WatchdogSec)');
    return supervisorOf({ core, clock: CLOCK, environment: process.env, pid: process.pid, log });
  } catch (error) {
    log('warn', (error as Error).message);
    return NOBODY;
  }
}
