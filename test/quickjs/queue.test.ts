/** The owner's queue with the static program in all three VMs, and as the command line. */

import { queueSuite } from '../processes/queue.suite.ts';
import { ENGINES } from './cells.ts';

queueSuite('static in all VMs', ENGINES.x86_64);
