/**
 * Globals that npm mqtt and its dependencies expect. Imported before that library, and after our codec, which would
 * behave differently with a global Buffer.
 */

import { Buffer } from 'buffer';
import { PROCESS } from './node/process.ts';

const globals = globalThis as unknown as Record<string, unknown>;

globals['Buffer'] = Buffer;
Object.assign(PROCESS, {
  nextTick: (call: (...values: unknown[]) => void, ...values: unknown[]) =>
    void Promise.resolve().then(() => call(...values)),
  version: 'v20.19.0',
  versions: {},
});
const { setTimeout, clearTimeout } = globalThis;
globals['setInterval'] = (fire: () => void, ms: number) => {
  const interval = { timer: undefined as unknown as ReturnType<typeof setTimeout> };
  const again = () => {
    interval.timer = setTimeout(again, ms);
    fire();
  };
  interval.timer = setTimeout(again, ms);
  return interval;
};
globals['clearInterval'] = (interval: { timer: ReturnType<typeof setTimeout> } | undefined) => {
  if (interval) clearTimeout(interval.timer);
};
