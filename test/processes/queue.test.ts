/** The owner's queue with agents on Node (queue.suite.ts). */

import { join } from 'node:path';
import { queueSuite } from './queue.suite.ts';

const program = (name: string) => [process.execPath, join(import.meta.dirname, `../../dist/${name}.mjs`)];

queueSuite('on Node', { agent: program('baton-agent'), baton: program('baton') });
