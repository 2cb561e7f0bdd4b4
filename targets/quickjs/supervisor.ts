/** Word to systemd by the native core. Stands in place of the file of the same name of targets/node. */

import type { Log } from '../../src/ports/world.ts';
import { type Supervisor, supervisorOf } from '../native/supervisor.ts';
import { CLOCK } from '../node/system/clock.ts';
import { NATIVE } from './native.ts';
import { PROCESS } from './node/process.ts';

/** Returns whom the environment names. */
export function openSupervisor(log: Log): Supervisor {
  return supervisorOf({ core: NATIVE, clock: CLOCK, environment: PROCESS.env, pid: PROCESS.pid, log });
}
