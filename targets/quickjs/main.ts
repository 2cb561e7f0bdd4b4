/**
 * The one program: `baton-agent`, or `baton` with the commands of a program in a VM, by the name that it is called
 * by. As a script it is the same, `baton-agent.js` and `baton.js`.
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
  // Not awaited: while a module is, the engine carries out one job each time that something happens, and no more.
  void runCommand({ ...AGENT_VERBS, 'check-config': CHECK_CONFIG }, words).then(PROCESS.exit);
} else {
  runAgent(words);
}
