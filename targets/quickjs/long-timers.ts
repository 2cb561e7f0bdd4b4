/**
 * Timers that run for long. While any timer of the engine runs, its loop wakes every 10 s (`min_delay` of `js_os_poll`
 * in quickjs-libc.c), and so wakes a guest that sleeps. These are kept by a descriptor of the kernel, whose loop is
 * woken only when the first of them runs out.
 */

import * as os from 'qjs:os';
import { NATIVE } from './native.ts';
import { POLLER } from './poller.ts';

/** Beyond this, in ms, the engine's loop would wake before the timer runs out. */
export const ENGINE_MAX_MS = 10_000;

interface LongTimer {
  readonly endMs: number;
  readonly fire: () => void;
}

const running = new Set<LongTimer>();
/** When the descriptor becomes readable, on the clock of `os.now`. */
let armedMs = Number.POSITIVE_INFINITY;
let descriptor: number | undefined;

/** Calls `fire` once after `ms`. Returns the function that cancels it. */
export function longTimer(fire: () => void, ms: number): () => void {
  const timer = { endMs: os.now() + ms, fire };
  running.add(timer);
  arm();
  return () => {
    if (running.delete(timer)) arm();
  };
}

/** Has the descriptor wait for the first timer, or for none. */
function arm(): void {
  const firstMs = [...running].reduce((least, { endMs }) => Math.min(least, endMs), Number.POSITIVE_INFINITY);
  if (firstMs === armedMs) return;
  armedMs = firstMs;
  if (descriptor === undefined) {
    descriptor = NATIVE.timer();
    POLLER.onReadable(descriptor, runOut);
  }
  // Never before its time, and 0 would be never.
  const leftMs = firstMs === Number.POSITIVE_INFINITY ? 0 : Math.max(1, Math.ceil(firstMs - os.now()));
  NATIVE.setTimer(descriptor, leftMs);
}

function runOut(): void {
  const nowMs = os.now();
  const due = [...running].filter(({ endMs }) => endMs <= nowMs).sort((a, b) => a.endMs - b.endMs);
  // It is readable until it is set again.
  armedMs = Number.NaN;
  // Each of them may cancel another.
  for (const timer of due) if (running.delete(timer)) timer.fire();
  arm();
}
