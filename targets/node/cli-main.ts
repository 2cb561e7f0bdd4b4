/** `baton` on Node. */

import { runCommand } from './cli.ts';
import { COMMANDS } from './commands.ts';

process.exitCode = await runCommand(COMMANDS, process.argv.slice(2));
