/** Processes that are killed, with the static program as owner, as borrower, and as both. */

import { restartSuite } from '../processes/restart.suite.ts';
import { castOf } from './cells.ts';

restartSuite('static with a borrower on Node', castOf('x86_64', 'node'));
restartSuite('static with an owner on Node', castOf('node', 'x86_64'));
