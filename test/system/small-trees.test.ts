/**
 * Small trees, each with one trap: expect.json says what is asked for, why, and what a plan has to come to
 * (`severity`: what a mistake costs). Needs dtc.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readBlob } from '../../src/planner/blob.ts';
import type { Acceptable, Blocker } from '../../src/planner/blockers.ts';
import { Board } from '../../src/planner/board.ts';
import { type Plan, planBundle } from '../../src/planner/plan.ts';
import { Tree } from '../../src/planner/tree.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/small-trees');

/** One thing that a plan has to come to. */
interface Demand {
  readonly ok?: boolean;
  readonly kind?: string;
  readonly noKind?: string;
  readonly stream?: number;
  readonly line?: readonly [string, number];
  readonly noLine?: readonly [string, number];
  readonly member?: string;
  readonly noNote?: string;
  readonly noUser?: string;
  readonly way?: string;
  readonly noWay?: string;
}

interface Case {
  readonly node: string;
  readonly why: string;
  readonly accept?: readonly Acceptable[];
  readonly expect: { readonly anyOf?: readonly Demand[]; readonly all?: readonly Demand[] };
}

/** Whether a plan comes to what is demanded. Throws an Error for a demand that it does not know. */
function holds({ members, blockers, notes }: Plan, demand: Demand): boolean {
  const has = (which: (blocker: Blocker) => boolean) => blockers.some(which);
  const lines = members.flatMap(({ access }) => access.lines.flatMap(({ gic }) => (gic ? [gic] : [])));
  const hasLine = ([kind, number]: readonly [string, number]) =>
    lines.some((line) => line.kind === kind && line.number === number);
  const { ok, kind, noKind, stream, line, noLine, member, noNote, noUser, way, noWay } = demand;
  if (ok !== undefined) return (blockers.length === 0) === ok;
  if (kind !== undefined) return has((each) => each.kind === kind);
  if (noKind !== undefined) return !has((each) => each.kind === noKind);
  if (stream !== undefined)
    return members.some(({ access }) => access.streams.some(({ id }) => id === stream));
  if (line) return hasLine(line);
  if (noLine) return !hasLine(noLine);
  if (member !== undefined) return members.some(({ node }) => node.path === member);
  if (noNote !== undefined) return !notes.some((note) => note.includes(noNote));
  if (noUser !== undefined) return !has(({ users }) => users.some((user) => user.includes(noUser)));
  if (way !== undefined) return has(({ ways }) => ways.some((each) => each.includes(way)));
  if (noWay !== undefined) return !has(({ ways }) => ways.some((each) => each.includes(noWay)));
  throw new Error(`an unknown demand: ${JSON.stringify(demand)}`);
}

it.each(readdirSync(FOLDER))('%s', (name) => {
  const wanted = JSON.parse(readFileSync(join(FOLDER, name, 'expect.json'), 'utf8')) as Case;
  const source = join(FOLDER, name, 'board.dts');
  const blob = execFileSync('dtc', ['-q', '-I', 'dts', '-O', 'dtb', source], { stdio: 'pipe' });
  const board = new Board(new Tree(readBlob(blob)));
  const plan = planBundle(board, [board.tree.find(wanted.node)!], { accept: wanted.accept ?? [] });
  const found = plan.blockers.map(({ kind, node }) => `${kind} ${node}`).join(', ');
  const { anyOf, all = [] } = wanted.expect;
  const isMet = anyOf ? anyOf.some((each) => holds(plan, each)) : all.every((each) => holds(plan, each));
  expect(isMet, `${wanted.why}; found: ${found || 'nothing in the way'}`).toBe(true);
});
