/** Every engine with every engine over UNIX sockets. */

import { complianceSuite } from './compliance.suite.ts';

complianceSuite('unix');
