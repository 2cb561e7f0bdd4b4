/** In each file of tests: whatever its tests start has ended when the file is over, whichever testbed failed where. */

import { afterAll } from 'vitest';
import { Started } from '../../targets/node/system/started.ts';

const started = new Started();
Object.assign(process.env, started.env);

// Hooks of the file itself come before this one: they end in order what they know of.
afterAll(() => started.end(0));
