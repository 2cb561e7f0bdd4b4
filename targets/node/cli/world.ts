/** The additional needs of the commands of this folder: files of this machine. */

import type { CliWorld } from '../../../src/cli/world.ts';
import type { ConfigFiles } from '../../../src/config/follow.ts';

/** The world of a command that reads configurations or device trees. */
export type FileWorld = ConfigFiles & CliWorld;
