/** `npm run bench`: runs the benches, or is one of the processes that they start. */

import { parseArgs } from 'node:util';
import { answerFace, refuseWords } from '../../node/program/program.ts';
import { Started } from '../../node/system/started.ts';
import { benchEngines } from './across-engines.ts';
import { benchDriverHandovers, benchDrivers } from './drivers.ts';
import { benchFlood, runFlood } from './flood.ts';
import { benchFootprint } from './footprint.ts';
import { benchHandover } from './handover.ts';
import { benchMemorySlope, runSlope } from './heap.ts';
import { benchIdle } from './idle.ts';
import { benchCodec, benchMac, benchRemap, benchSession, benchStep } from './parts.ts';
import { runParty } from './party.ts';
import { benchPlan } from './plan.ts';
import { Report } from './report.ts';
import { benchScale } from './scale.ts';
import { benchStart } from './start.ts';

const HELP = `npm run bench -- [--json] [--full] [--only NAME[,NAME...]]

  --json    rows as JSON lines: bench, case, value, unit, baseline, ratio, bar, holds
  --full    more rounds, and the memory slope over 100,000 handovers: about half an hour
  --only    only these benchmarks: NAMES
`;

/** EX_USAGE of sysexits.h. */
const EXIT_USAGE = 64;

type Bench = (report: Report, isFull: boolean) => void | Promise<void>;

const BENCHES: Readonly<Record<string, Bench>> = {
  handover: benchHandover,
  engines: benchEngines,
  flood: benchFlood,
  footprint: benchFootprint,
  idle: benchIdle,
  remap: benchRemap,
  codec: benchCodec,
  mac: benchMac,
  session: benchSession,
  step: benchStep,
  'memory-slope': benchMemorySlope,
  scale: benchScale,
  start: benchStart,
  plan: benchPlan,
  drivers: benchDrivers,
  'driver-handovers': benchDriverHandovers,
};

const FACE = { name: 'bench', help: HELP.replace('NAMES', Object.keys(BENCHES).join(', ')) };
answerFace(FACE, process.argv.slice(2));
const { values } = orRefuse(() =>
  parseArgs({
    options: {
      json: { type: 'boolean' },
      full: { type: 'boolean' },
      only: { type: 'string' },
      // For the processes that benches start.
      party: { type: 'string' },
      slope: { type: 'string' },
      flood: { type: 'string' },
    },
  }),
);

if (values.party) runParty(values.party);
else if (values.slope) runSlope(values.slope);
else if (values.flood) runFlood(values.flood);
else await runBenches(values.only?.split(',') ?? Object.keys(BENCHES));

function orRefuse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    return refuseWords(FACE.name, (error as Error).message.split('\n', 1)[0]!);
  }
}

async function runBenches(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !BENCHES[name]);
  if (unknown.length > 0) {
    process.stderr.write(`no bench ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}\n`);
    process.exit(EXIT_USAGE);
  }
  // Whatever a bench has started ends with this process, also when its start fails midway.
  const started = new Started();
  started.guard();
  Object.assign(process.env, started.env);
  const report = new Report();
  for (const name of names) {
    if (!values.json) process.stderr.write(`${name} …\n`);
    await BENCHES[name]!(report, values.full ?? false);
  }
  process.stdout.write(values.json ? report.json() : report.table());
  // A bar that is missed fails the run, as a test would.
  process.exit(report.rows.some(({ bar }) => bar && !bar.holds) ? 1 : 0);
}
