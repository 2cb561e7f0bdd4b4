/**
 * Whether standard output may have colours: by --color, NO_COLOR (no-color.org), TERM, and whether it is a terminal.
 */

import { UsageError } from '../../../src/cli/world.ts';
import { type Paint, PLAIN, painted } from '../../../src/planner/paint.ts';
import { coloured } from '../program/terminal.ts';

const COLOURED = painted(coloured);

/** `choice`: the value of `--color`. Throws a UsageError on an unknown one. */
export function paintFor(
  choice: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): Paint {
  if (choice === 'always') return COLOURED;
  if (choice === 'never') return PLAIN;
  if (choice !== undefined && choice !== 'auto')
    throw new UsageError(`--color ${choice}: expected auto, always or never`);
  // An empty NO_COLOR counts as unset: no-color.org.
  const isWanted = isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  return isWanted ? COLOURED : PLAIN;
}
