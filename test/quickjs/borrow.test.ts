/** `baton borrow` with the static program on both sides, and as the command line. */

import { borrowSuite } from '../processes/borrow.suite.ts';
import { castOf, ENGINES } from './cells.ts';

borrowSuite('static on both sides', castOf('x86_64', 'x86_64'), ENGINES.x86_64.baton);
