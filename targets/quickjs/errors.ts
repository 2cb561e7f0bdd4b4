/** Errors of the system as Node throws them: with `code`, and a message that begins with it. */

import { errorName } from '../native/core.ts';
import { NATIVE } from './native.ts';

/** An error of the system. */
export interface SystemError extends Error {
  readonly code: string;
}

/** Returns the error of a call that returned `result`, a negative errno. `about`: what was called, and on what. */
export function systemError(result: number, about: string): SystemError {
  const code = errorName(result);
  const words = NATIVE.errorText(-result).toLowerCase();
  return Object.assign(new Error(`${code}: ${words}, ${about}`), { code });
}

/** Returns a result that is none; throws when it is one. */
export function checked(result: number, about: string): number {
  if (result < 0) throw systemError(result, about);
  return result;
}
