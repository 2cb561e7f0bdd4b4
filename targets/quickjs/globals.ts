/** Globals of Node that the shared sources use and the engine lacks. Imported before everything else. */

import * as os from 'qjs:os';
import { guarded } from './guard.ts';
import { ENGINE_MAX_MS, longTimer } from './long-timers.ts';
import { PROCESS } from './node/process.ts';

const globals = globalThis as unknown as Record<string, unknown>;

/** A timer of the engine by its number, or a long one by what cancels it. */
type Timer = number | (() => void);

globals['setTimeout'] = (fire: () => void, ms = 0): Timer => {
  if (ms >= ENGINE_MAX_MS) return longTimer(guarded(fire), ms);
  // The engine rounds times down to whole milliseconds, and a timer must never fire early.
  return os.setTimeout(guarded(fire), ms <= 0 ? 0 : Math.ceil(ms) + 1);
};
globals['clearTimeout'] = (timer: Timer | undefined) => {
  if (typeof timer === 'function') timer();
  else if (timer !== undefined) os.clearTimeout(timer);
};
globals['setImmediate'] = (fire: () => void) => os.setTimeout(guarded(fire), 0);
globals['clearImmediate'] = (timer: number) => os.clearTimeout(timer);
globals['process'] = PROCESS;
