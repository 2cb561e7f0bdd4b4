/**
 * The slope of memory over handovers, in a process of its own: what host, owner and borrower keep for each.
 *
 * Two figures. The heap in use holds the engine's notes on its compiled code too (lists of weak references to code
 * that was thrown away), which go on growing by about a byte a handover while functions are compiled again. So the
 * bar is on what programs make: objects, strings, arrays, closures, as heap snapshots list them.
 *
 * Looking leaves something behind as well, some 20 bytes a look. So every other look follows the one before with
 * nothing in between: what it finds is the look's own, and what is told apart from that is the handovers'.
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
/** Looks at the heap after the first: half of them after handovers, half after none. One takes about half a second. */
const LOOKS = 48;
/** Rounds before the first look: code is compiled, lists of last events are full, journals have been compacted. */
const WARM_UP_ROUNDS = 10_000;

/** What the process that is watched says at each look. */
interface Look {
  /** Handovers since the look before. */
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
    const made = looks.map((look) => look.madeBytes);
    const since = looks.slice(1).map((look) => look.rounds);
    add(report, `objects, ${rounds} handovers`, slopeOf(since, growth(made)), true);
    // The engine lets go of some of its notes only at the second look after they were made.
    const rested = looks.filter((look) => look.rounds === 0);
    const each = Math.max(...since);
    const done = rested.map((_, index) => index * each);
    add(
      report,
      `heap in use, ${rounds} handovers`,
      slopeOf(
        done,
        rested.map((look) => look.heapBytes),
      ),
      false,
    );
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
  const bar = { text: '0 within its 95 % interval', holds: Math.abs(slope) <= halfWidth };
  report.add({ bench: 'memory-slope', case: which, value: slope, unit, ...(hasBar ? { bar } : {}) });
}

/** What each look but the first finds more than the one before. */
function growth(bytes: readonly number[]): number[] {
  return bytes.slice(1).map((value, index) => value - bytes[index]!);
}

function watch(rounds: number, folder: string): Promise<(Look & { readonly madeBytes: number })[]> {
  const child = fork(process.argv[1]!, ['--slope', `${rounds} ${folder}`], {
    execArgv: ['--expose-gc'],
  });
  const looks: (Look & { madeBytes: number })[] = [];
  return new Promise((resolve, reject) => {
    child.on('message', (look: Look) => {
      looks.push({ ...look, madeBytes: bytesMade(readFileSync(look.snapshot, 'utf8')) });
      rmSync(look.snapshot);
    });
    child.once('exit', (status) => {
      if (looks.length === LOOKS + 1) resolve(looks);
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
  const each = Math.ceil(Number(rounds) / (LOOKS / 2));
  for (let look = 0; look <= LOOKS; look++) {
    const due = look % 2 === 1 ? each : 0;
    for (let round = 0; round < due; round++) world.round();
    // Once more for what the first collection has let go of.
    collect();
    collect();
    const heapBytes = process.memoryUsage().heapUsed;
    const snapshot = writeHeapSnapshot(join(folder, `${look}.heapsnapshot`));
    process.send?.({ rounds: due, heapBytes, snapshot } satisfies Look);
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
