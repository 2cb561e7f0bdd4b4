/**
 * What nobody catches ends the process with status 1 and a line that says where it came from, as Node has it. The
 * engine by itself would go on after an exception in a callback, and end at once over a promise whose rejection is
 * heard a moment later.
 */

import * as os from 'qjs:os';
import * as std from 'qjs:std';
import { plainLines } from '../../src/common/plain-text.ts';
import { NATIVE } from './native.ts';

/** Ends the process over something that nobody caught. */
export function die(error: unknown): never {
  const text =
    error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ''}` : String(error);
  const bytes = NATIVE.bytesOf(`uncaught ${plainLines(text)}\n`);
  os.write(2, bytes, 0, bytes.byteLength);
  return std.exit(1);
}

/** Returns a callback for the engine that is never thrown out of. */
export function guarded(call: () => void): () => void {
  return () => {
    try {
      call();
    } catch (error) {
      die(error);
    }
  };
}

/** Rejections that nobody has heard yet: whoever wants to has to until the engine has nothing else to do. */
const unheard = new Map<Promise<unknown>, unknown>();

/** Has unheard rejections end the process. Once, at the start. */
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
