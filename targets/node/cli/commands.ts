/** Every verb of `baton` on Node: the shared ones, and those that need Node's files. */

import type { Verbs } from '../../../src/cli/verb.ts';
import { auditVerb } from '../../../src/cli/verbs/audit.ts';
import { AGENT_VERBS, HOST_VERBS } from '../../../src/cli/verbs.ts';
import { auditFiles } from '../host/audit-file.ts';
import { readParts } from '../host/rotated-file.ts';
import { CHECK_CONFIG } from './verbs/check-config.ts';
import { DOCTOR } from './verbs/doctor.ts';
import { ENFORCER_TEST } from './verbs/enforcer-test.ts';
import { HISTORY } from './verbs/history.ts';
import { INIT } from './verbs/init.ts';
import { PLAN } from './verbs/plan.ts';
import type { FileWorld } from './world.ts';

export const COMMANDS: Verbs<FileWorld> = {
  ...AGENT_VERBS,
  ...HOST_VERBS,
  audit: auditVerb({ files: auditFiles, readParts }),
  history: HISTORY,
  'check-config': CHECK_CONFIG,
  doctor: DOCTOR,
  'enforcer-test': ENFORCER_TEST,
  plan: PLAN,
  init: INIT,
};
