/** What a reader of configurations complains of. */

import { ConfigError } from '../../src/config/read.ts';

/** Returns the words of the ConfigError that `read` throws. Throws when it throws none. */
export function complaint(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('nothing was found wrong');
}
