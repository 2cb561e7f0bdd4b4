/**
 * How long `baton plan` takes, from the start of the command to its end: per board, the node whose plan costs most.
 * Boards are data beside the repository (BATON_BOARDS, else ../shared/boards); without them that is said.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readBlob } from '../../../src/planner/blob.ts';
import { Board } from '../../../src/planner/board.ts';
import { planBundle } from '../../../src/planner/plan.ts';
import { Tree } from '../../../src/planner/tree.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

/** The built programs are where this one is. */
const DIST = dirname(fileURLToPath(import.meta.url));
const RUNS = 7;
/** So that a person who asks does not wait. */
const LIMIT_MS = 200;

export function benchPlan(report: Report): void {
  const folder = process.env['BATON_BOARDS'] ?? join(DIST, '../../shared/boards');
  const boards = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.dtb')) : [];
  if (boards.length === 0) report.skip('plan', 'all boards', `no device trees in ${folder}`);
  const bare = timed([join(DIST, 'baton.mjs'), '--version']);
  for (const name of boards) {
    const file = join(folder, name);
    const node = costliest(file);
    const value = timed([join(DIST, 'baton.mjs'), 'plan', file, node]);
    report.add({
      bench: 'plan',
      case: `${name} ${node}`,
      value,
      unit: 'ms',
      baseline: { name: 'baton --version', value: bare },
      ratio: value / bare,
      bar: { text: `< ${LIMIT_MS} ms`, holds: value < LIMIT_MS },
    });
  }
}

/** Path of the enabled node whose plan takes longest. */
function costliest(file: string): string {
  const board = new Board(new Tree(readBlob(readFileSync(file))));
  const cost = (node: (typeof board.enabled)[number]) => {
    const start = performance.now();
    planBundle(board, [node]);
    return performance.now() - start;
  };
  return [...board.enabled].map((node) => ({ node, ms: cost(node) })).reduce((a, b) => (b.ms > a.ms ? b : a))
    .node.path;
}

/** Median time of a whole command, in ms. A plan with blockers ends with status 1. */
function timed(args: readonly string[]): number {
  const times = Array.from({ length: RUNS }, () => {
    const start = performance.now();
    try {
      execFileSync(process.execPath, args, { stdio: 'ignore' });
    } catch (error) {
      if ((error as { status?: number }).status !== 1) throw error;
    }
    return performance.now() - start;
  });
  return median(times);
}
