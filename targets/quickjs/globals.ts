/** Globals of Node that the shared sources use and the engine lacks. Imported before everything else. */

import * as os from 'qjs:os';
import { guarded } from './guard.ts';
import { PROCESS } from './node/process.ts';

const globals = globalThis as unknown as Record<string, unknown>;

/** The engine rounds times down to whole milliseconds, and a timer must never fire early. */
globals['setTimeout'] = (fire: () => void, ms = 0) =>
  os.setTimeout(guarded(fire), ms <= 0 ? 0 : Math.ceil(ms) + 1);
globals['clearTimeout'] = (timer: number | undefined) => {
  if (timer !== undefined) os.clearTimeout(timer);
};
globals['setImmediate'] = (fire: () => void) => os.setTimeout(guarded(fire), 0);
globals['clearImmediate'] = (timer: number) => os.clearTimeout(timer);
globals['process'] = PROCESS;
