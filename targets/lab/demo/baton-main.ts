/** `baton` on Node. */

import { runCommand } from '../../node/cli/cli.ts';
import { COMMANDS } from '../../node/cli/commands.ts';

process.exitCode = await runCommand(COMMANDS, process.argv.slice(2));
