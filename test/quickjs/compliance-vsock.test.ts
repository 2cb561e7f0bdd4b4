/** Every engine with every engine over the UNIX form of vsock. */

import { complianceSuite } from './compliance.suite.ts';

complianceSuite('vsock-unix');
