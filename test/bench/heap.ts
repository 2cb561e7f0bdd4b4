/**
 * The slope of memory over handovers, in a process of its own: what host, owner and borrower keep for each.
 *
 * Two figures. The heap in use holds the engine's notes on its compiled code too (lists of weak references to code
 * that was thrown away), which go on growing by about a byte a handover while functions are compiled again. So the
 * bar is on what programs make: objects, strings, arrays, closures, as heap snapshots list them.
 */

import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeHeapSnapshot } from 'node:v8';
import { MemoryWorld } from './memory-world.ts';
import type { Report } from './report.ts';
import { type Slope, slopeOf } from './statistics.ts';

/** Handovers that are watched, each with its way back. */
const ROUNDS = 10_000;
const ROUNDS_FULL = 100_000;
/** Looks at the heap, evenly spread. A snapshot takes about half a second. */
const LOOKS = 25;
/** Rounds before the first look: code is compiled, lists of last events are full, journals have been compacted. */
const WARM_UP_ROUNDS = 10_000;

/**
 * Bytes a handover that are nothing: one smallest object (16 bytes) in a thousand handovers. Looking itself leaves
 * some 20 bytes a look, which so many looks at so steady a heap tell from zero.
 */
const NOTHING_BYTES = 0.016;

/** What the process that is watched says at each look. */
interface Look {
  readonly rounds: number;
  readonly heapBytes: number;
  readonly snapshot: string;
}

/** Memory over many handovers. */
export async function benchMemorySlope(report: Report, isFull: boolean): Promise<void> {
  const rounds = isFull ? ROUNDS_FULL : ROUNDS;
  const folder = mkdtempSync(join(tmpdir(), 'baton-heap-'));
  try {
    const looks = await watch(rounds, folder);
    const done = looks.map((look) => look.rounds);
    const heap = looks.map((look) => look.heapBytes);
    const made = looks.map((look) => look.madeBytes);
    add(report, `objects, ${rounds} handovers`, slopeOf(done, made), true);
    add(report, `heap in use, ${rounds} handovers`, slopeOf(done, heap), false);
    report.add({
      bench: 'memory-slope',
      case: 'objects at the end',
      value: made.at(-1)! / 1024,
      unit: 'KiB',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function add(report: Report, which: string, { slope, halfWidth }: Slope, hasBar: boolean): void {
  const unit = `± ${halfWidth.toFixed(3)} bytes a handover`;
  const holds = Math.abs(slope) <= Math.max(halfWidth, NOTHING_BYTES);
  const bar = { text: `0 within 95 %, or < ${NOTHING_BYTES}`, holds };
  report.add({ bench: 'memory-slope', case: which, value: slope, unit, ...(hasBar ? { bar } : {}) });
}

function watch(rounds: number, folder: string): Promise<(Look & { readonly madeBytes: number })[]> {
  const child = fork(process.argv[1]!, ['--slope', `${rounds} ${folder}`], { execArgv: ['--expose-gc'] });
  const looks: (Look & { madeBytes: number })[] = [];
  return new Promise((resolve, reject) => {
    child.on('message', (look: Look) => {
      looks.push({ ...look, madeBytes: bytesMade(readFileSync(look.snapshot, 'utf8')) });
      rmSync(look.snapshot);
    });
    child.once('exit', (status) => {
      if (looks.length === LOOKS) resolve(looks);
      else reject(new Error(`the process that was watched ended with ${status} after ${looks.length} looks`));
    });
  });
}

/** The process that is watched. `text` has the number of rounds and a folder for snapshots. */
export function runSlope(text: string): void {
  const [rounds = '', folder = ''] = text.split(' ');
  const collect = (globalThis as { gc?: () => void }).gc;
  if (!collect) throw new Error('started without --expose-gc');
  const world = new MemoryWorld();
  for (let round = 0; round < WARM_UP_ROUNDS; round++) world.round();
  const each = Number(rounds) / LOOKS;
  for (let look = 1; look <= LOOKS; look++) {
    for (let round = 0; round < each; round++) world.round();
    // Once more for what the first collection has let go of.
    collect();
    collect();
    const heapBytes = process.memoryUsage().heapUsed;
    const snapshot = writeHeapSnapshot(join(folder, `${look}.heapsnapshot`));
    process.send?.({ rounds: look * each, heapBytes, snapshot } satisfies Look);
  }
  process.disconnect?.();
}

/** Kinds of nodes that are the engine's own: code, hidden classes, what belongs to neither program nor library. */
const ENGINE_KINDS = ['code', 'hidden', 'object shape', 'synthetic'];

/** Bytes of all nodes of a heap snapshot that a program made. */
function bytesMade(snapshot: string): number {
  const { snapshot: head, nodes } = JSON.parse(snapshot) as {
    snapshot: { meta: { node_fields: string[]; node_types: [string[]] } };
    nodes: number[];
  };
  const { node_fields: fields, node_types: types } = head.meta;
  const [kindAt, sizeAt] = [fields.indexOf('type'), fields.indexOf('self_size')];
  let bytes = 0;
  for (let node = 0; node < nodes.length; node += fields.length) {
    const kind = types[0][nodes[node + kindAt]!]!;
    if (!ENGINE_KINDS.includes(kind)) bytes += nodes[node + sizeAt]!;
  }
  return bytes;
}
