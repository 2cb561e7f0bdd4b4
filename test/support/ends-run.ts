/** Before a run of vitest: whatever its tests start ends with it, also when the run itself is killed. */

import { Started } from '../../targets/node/system/started.ts';

export default function setup(): () => Promise<void> {
  const started = new Started();
  // The guardian comes first: it is not marked itself.
  started.guard();
  // The threads of the tests have this environment, and so has what they start.
  Object.assign(process.env, started.env);
  return () => started.end(0);
}
