/** Before the tests, which share it: an engine as a system has it. */

import { join } from 'node:path';
import { Engine, HOST } from '../../targets/quickjs/build/engine.ts';

export default function setup(): void {
  new Engine(join(import.meta.dirname, '../..'), HOST).interpreter();
}
