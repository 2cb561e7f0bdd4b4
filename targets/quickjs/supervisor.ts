/** sd_notify(3) through the native core. Replaces the file of the same name in targets/node. */

import type { Log } from '../../src/ports/world.ts';
import { type Supervisor, supervisorOf } from '../native/supervisor.ts';
import { CLOCK } from '../node/system/clock.ts';
import { NATIVE } from './native.ts';
import { PROCESS } from './node/process.ts';

/** Returns the supervisor of the environment. */
export function openSupervisor(log: Log): Supervisor {
  return supervisorOf({ core: NATIVE, clock: CLOCK, environment: PROCESS.env, pid: PROCESS.pid, log });
}
