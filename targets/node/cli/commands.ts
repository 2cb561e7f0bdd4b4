/** Every command of `baton` on Node. */

import { AUDIT_HELP, audit } from '../../../src/cli/audit.ts';
import { LIFT_HELP, lift } from '../../../src/cli/orders.ts';
import { auditFiles, readParts } from '../host/audit-file.ts';
import { AGENT_COMMANDS, CHECK_COMMANDS } from './agent-commands.ts';
import type { Commands } from './cli.ts';
import { ENFORCER_TEST_HELP, enforcerTest } from './enforcer-test.ts';
import { PLAN_HELP, plan } from './plan.ts';

export const COMMANDS: Commands = {
  ...AGENT_COMMANDS,
  lift: { says: 'end a quarantine (host)', help: LIFT_HELP, daemon: ['host', lift] },
  audit: {
    says: 'check an audit log',
    help: AUDIT_HELP,
    alone: (world, args) => audit(world, { files: auditFiles, readParts }, args),
  },
  ...CHECK_COMMANDS,
  'enforcer-test': { says: 'check what an enforcer does', help: ENFORCER_TEST_HELP, alone: enforcerTest },
  plan: { says: 'what moves with a device of a board', help: PLAN_HELP, alone: plan },
};
