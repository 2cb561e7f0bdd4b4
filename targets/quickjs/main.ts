/**
 * The one program: `baton-agent`, or `baton` with the commands of a program in a VM, by the name that it is called
 * by. As a script it is the same, `baton-agent.js` and `baton.js`.
 */

import './globals.ts';
import { runAgent } from '../node/agent/agent.ts';
import { AGENT_COMMANDS, CHECK_COMMANDS } from '../node/cli/agent-commands.ts';
import { runCommand } from '../node/cli/cli.ts';
import { watchRejections } from './guard.ts';
import { basename } from './node/path.ts';
import { PROCESS } from './node/process.ts';

watchRejections();
const [, name = '', ...words] = PROCESS.argv;
if (/^baton(\.js)?$/.test(basename(name))) {
  // Not awaited: while a module is, the engine carries out one job each time that something happens, and no more.
  void runCommand({ ...AGENT_COMMANDS, ...CHECK_COMMANDS }, words).then(PROCESS.exit);
} else {
  runAgent(words);
}
