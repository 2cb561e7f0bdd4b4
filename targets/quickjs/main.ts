/**
 * The static program: `baton-agent`, or `baton` with the commands of a program in a VM, depending on the name it is
 * called by. The script is the same, as `baton-agent.js` and `baton.js`.
 */

import './globals.ts';
import { AGENT_VERBS } from '../../src/cli/verbs.ts';
import { runAgent } from '../node/agent/agent.ts';
import { runCommand } from '../node/cli/cli.ts';
import { CHECK_CONFIG } from '../node/cli/verbs/check-config.ts';
import { watchRejections } from './guard.ts';
import { basename } from './node/path.ts';
import { PROCESS } from './node/process.ts';

watchRejections();
const [, name = '', ...words] = PROCESS.argv;
if (/^baton(\.js)?$/.test(basename(name))) {
  // Not awaited: while a module awaits, the engine runs only one job per event.
  void runCommand({ ...AGENT_VERBS, 'check-config': CHECK_CONFIG }, words).then(PROCESS.exit);
} else {
  runAgent(words);
}
