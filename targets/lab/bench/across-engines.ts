/**
 * The same on every engine: a round trip of one message between a borrower on that engine and a host on Node, and
 * whole handovers with owner and borrower on it, against relays on the same engine, and against a program in C that
 * sends the bytes back.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HOST } from '../../../src/core/protocol/ids.ts';
import { VAULT } from '../machine/board.ts';
import { compileC } from './c-program.ts';
import { type BuiltParties, buildParties, NODE, SMALL, type Small } from './engines.ts';
import { Fleet, type Medium } from './fleet.ts';
import type { Kind } from './party.ts';
import type { Report } from './report.ts';
import { addSpans, playRounds } from './rounds.ts';
import { type Script, type Sending, takeScript } from './script.ts';
import { median } from './statistics.ts';

/** One of MQTT, and both forms of a stream that a guest may have. */
const MEDIA: readonly Medium[] = ['mqtt-tcp', 'stream-unix', 'vsock-unix'];
/**
 * What a handover may cost against the enveloped relay on the same engine (design, section 7), and over a UNIX stream
 * in ms.
 */
const RATIO_MAX = 1.5;
const SMALL_STREAM_MS = 6;
/**
 * Rounds. The host on Node has to warm up; engines without a compiler do not. Under an emulator a round takes ten
 * times as long.
 */
const ROUNDS = { warmUp: 600, counted: 200 };
const ROUNDS_EMULATED = { warmUp: 100, counted: 60 };
const TRIPS = { warmUp: 500, counted: 1_000 };

/** Runs every engine on every medium. */
export async function benchEngines(report: Report, isFull: boolean): Promise<void> {
  const built = buildParties();
  const script = takeScript();
  const times = isFull ? 4 : 1;
  for (const medium of MEDIA) {
    const whyNot = Fleet.whyNot(medium);
    if (whyNot !== undefined) {
      report.skip('engines', medium, whyNot);
      continue;
    }
    await benchTrips(report, medium, 'node', NODE, pingScript(script));
    if (typeof built !== 'string')
      for (const engine of SMALL) await benchEngine(report, medium, engine, built, script, times);
  }
  if (typeof built === 'string') report.skip('engines', SMALL.join(', '), built);
  else built.remove();
}

async function benchEngine(
  report: Report,
  medium: Medium,
  engine: Small,
  built: BuiltParties,
  script: Script,
  times: number,
): Promise<void> {
  const words = built.words[engine];
  process.stderr.write(`  ${medium} ${engine}\n`);
  await benchTrips(report, medium, engine, words, pingScript(script));
  const { warmUp, counted } = engine === 'aarch64' ? ROUNDS_EMULATED : ROUNDS;
  const medians = await playRounds({ medium, engine: words, script, warmUp, counted: counted * times });
  addSpans(report, `${medium} ${engine}`, medians, { enveloped: RATIO_MAX });
  if (medium === 'stream-unix' && engine !== 'aarch64') {
    const value = medians.product.handover;
    report.limit({ bench: 'handover', case: `${medium} on ${engine}`, value, unit: 'ms' }, SMALL_STREAM_MS);
  }
}

/** A message to the host and one back: bytes of the same length, the same messages sealed, and in C. */
async function benchTrips(
  report: Report,
  medium: Medium,
  name: string,
  engine: readonly string[],
  script: Script,
): Promise<void> {
  const value = await tripMs('enveloped', medium, engine, script);
  const bare = await tripMs('bare', medium, engine, script);
  const row = { bench: 'round trip', case: `${medium} ${name}`, value, unit: 'ms' };
  report.compare({ ...row, baseline: { name: 'bare relay', value: bare } });
  if (medium !== 'stream-unix') return;
  const inC = echoMs(script.sendings.map(({ frameBytes }) => frameBytes));
  if (typeof inC === 'string') report.skip('round trip', `${row.case} against C`, inC);
  else report.compare({ ...row, baseline: { name: 'echo in C', value: inC } });
}

async function tripMs(
  kind: Kind,
  medium: Medium,
  engine: readonly string[],
  script: Script,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-bench-'));
  const fleet = new Fleet();
  try {
    await fleet.start({ kind, medium, engine, folder, script });
    for (let trip = 0; trip < TRIPS.warmUp + TRIPS.counted; trip++) await fleet.lend(0);
    const asked = await fleet.moments('asked', TRIPS.warmUp);
    const granted = await fleet.moments('granted', TRIPS.warmUp);
    return median(granted.map((end, trip) => end - asked[trip]!));
  } finally {
    fleet.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A script of one message of the borrower to the host, and one back, taken from a handover. Nothing is made durable.
 */
function pingScript({ sendings }: Script): Script {
  const first = (from: Sending['from'], to: Sending['to'], number: number) => ({
    ...sendings.find((each) => each.from === from && each.to === to)!,
    number,
  });
  const there = first(VAULT, HOST, 0);
  const back = first(HOST, VAULT, 1);
  return {
    sendings: [there, back],
    asked: [{ do: 'send', sending: there }],
    returned: [],
    reactions: [[{ do: 'send', sending: back }], []],
    marks: { lend: -1, granted: back.number, back: -1, over: -1 },
  };
}

/** Median of a round trip over a UNIX stream between two processes in C, in ms; or why it cannot be measured. */
function echoMs([thereBytes = 0, backBytes = 0]: readonly number[]): number | string {
  const source = join(dirname(fileURLToPath(import.meta.url)), '../targets/lab/bench/echo.c');
  const program = compileC(source);
  if ('missing' in program) return program.missing;
  const { counted, warmUp } = TRIPS;
  const words = [thereBytes, backBytes, warmUp, counted].map(String);
  try {
    return Number(execFileSync(program.path, words, { encoding: 'utf8' })) / 1e6;
  } finally {
    program.remove();
  }
}
