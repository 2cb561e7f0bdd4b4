/** `typebox/value`, in place of the library: a value fits when src/config/faults.ts has nothing against it. A test compares both. */

import { faultsOf } from '../../src/config/faults.ts';

export const Value = {
  Check: (schema: object, value: unknown): boolean => faultsOf(schema, value).length === 0,
  /** What does not fit has been told by then. */
  Errors: (): { instancePath: string; message: string }[] => [],
};
