/** `baton` on Node, with the demo. */

import { runCommand } from '../../node/cli/cli.ts';
import { COMMANDS } from '../../node/cli/commands.ts';
import { DEMO_HELP, demo } from './demo.ts';

const DEMO = { says: 'watch a handover, and ways in which one goes wrong', help: DEMO_HELP, alone: demo };

process.exitCode = await runCommand({ ...COMMANDS, demo: DEMO }, process.argv.slice(2));
