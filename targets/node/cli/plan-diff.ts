/** `baton plan --diff`: two revisions of a board's device tree. */

import { EXIT, UsageError } from '../../../src/cli/world.ts';
import type { Board } from '../../../src/planner/board.ts';
import { diffBoards, diffBundle, diffJson, diffLines, isSound } from '../../../src/planner/diff.ts';
import type { Paint } from '../../../src/planner/paint.ts';
import type { Choices } from '../../../src/planner/plan.ts';
import type { FileWorld } from './world.ts';

/**
 * Compares and prints. `paint`: colours for text; undefined: JSON. `names`: the devices of one bundle to compare;
 * empty: every device. Returns the exit status.
 */
export function planDiff(
  world: FileWorld,
  [before, after]: readonly [Board, Board],
  names: readonly string[],
  choices: Choices,
  paint: Paint | undefined,
): number {
  const [old, now] = [before, after].map(({ tree }) => names.map((name) => tree.find(name)));
  names.forEach((name, index) => {
    if (!old![index] && !now![index])
      throw new UsageError(`${name}: expected a name of exactly one node in one of the trees`);
  });
  const paths = names.map((name, index) => (now![index] ?? old![index])?.path ?? name);
  const found =
    names.length === 0
      ? diffBoards(before, after, choices)
      : [diffBundle(paths, [before, old!], [after, now!], choices)];
  if (paint === undefined) world.out(JSON.stringify(diffJson(found)));
  else for (const line of diffLines(found, paint)) world.out(line);
  return isSound(found) ? EXIT.ok : EXIT.failed;
}
