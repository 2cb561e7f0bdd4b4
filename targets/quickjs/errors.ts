/** System errors in the form of Node: with `code`, and a message that begins with it. */

import { errorName } from '../native/core.ts';
import { NATIVE } from './native.ts';

/** A system error. */
export interface SystemError extends Error {
  readonly code: string;
}

/** Returns the error for `result`, a negative errno. `about`: the call and its subject. */
export function systemError(result: number, about: string): SystemError {
  const code = errorName(result);
  const words = NATIVE.errorText(-result).toLowerCase();
  return Object.assign(new Error(`${code}: ${words}, ${about}`), { code });
}

/** Returns `result` if it is not an error; throws the error otherwise. */
export function checked(result: number, about: string): number {
  if (result < 0) throw systemError(result, about);
  return result;
}
