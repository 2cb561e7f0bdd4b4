/**
 * An uncaught exception or rejection ends the process with status 1 and its stack, as on Node. By default the engine
 * continues after an exception in a callback, and ends at once for a rejection that is handled a moment later.
 */

import * as os from 'qjs:os';
import * as std from 'qjs:std';
import { plainLines } from '../../src/common/plain-text.ts';
import { NATIVE } from './native.ts';

/** Ends the process because of an uncaught exception or rejection. */
export function die(error: unknown): never {
  const text =
    error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ''}` : String(error);
  const bytes = NATIVE.bytesOf(`uncaught ${plainLines(text)}\n`);
  os.write(2, bytes, 0, bytes.byteLength);
  return std.exit(1);
}

/** Returns a callback for the engine that never throws. */
export function guarded(call: () => void): () => void {
  return () => {
    try {
      call();
    } catch (error) {
      die(error);
    }
  };
}

/** Unhandled rejections: they may be handled until the engine has no other job. */
const unheard = new Map<Promise<unknown>, unknown>();

/** Makes unhandled rejections end the process. Called once, at the start. */
export function watchRejections(): void {
  NATIVE.onRejection((promise, reason, isHandled) => {
    if (isHandled) return void unheard.delete(promise);
    if (unheard.size === 0) {
      os.setTimeout(() => {
        for (const [, late] of unheard) die(late);
      }, 0);
    }
    unheard.set(promise, reason);
  });
}
