/** `baton demo`: a handover on the simulated machine, every party a process of its own. */

import { parseWords } from '../../../src/cli/arguments.ts';
import { type CliWorld, EXIT, UsageError } from '../../../src/cli/world.ts';
import { DemoBed, type Lies } from './demo-bed.ts';
import { DemoReport } from './demo-report.ts';
import { DemoStory } from './demo-story.ts';
import { REAL_LIES, tellReal } from './real-demo.ts';

/** Lies that the demo knows, and which process tells them. */
const LIES: Readonly<Record<string, keyof Lies>> = {
  'skip-unmap': 'machine',
  'skip-sync': 'machine',
  'skip-reset': 'machine',
  'skip-drain': 'machine',
  'skip-epoch-check': 'host',
  'resume-early': 'vault',
};

export const DEMO_HELP = `baton demo [--json] [--seed N] [--lie NAME]
baton demo --real [--json] [--lie NAME]

Android lends touch screen and display to Vault for a PIN entry and gets them back; then everything goes wrong that
can. Broker, simulated machine, host, agents and drivers are processes of their own; nothing is installed or left.

  --json        JSON lines; the last is {"event":"summary","ok":…,"expectations":…,"held":…}
  --seed N      seed of the simulated hardware (default 1)
  --lie NAME    switch one safeguard off; the demo must then fail and say what went wrong, and ends there:
                ${Object.keys(LIES).join(', ')}
  --real        under a real hypervisor, KVM in an emulated machine, with QEMU's device edu in place of touch and
                display: lines with # are its kernel's own. Needs a checkout of Baton, QEMU and a cross compiler, and
                says so; the first time it fetches Debian's kernel. Its lies: ${REAL_LIES.join(', ')}

Exit status 0 only if every expectation held.
`;

/** Time after which a part of the demo gives up, in ms, on a quiet machine: many times what it takes. */
const LIMIT_MS = 90_000;

export async function demo(world: CliWorld, args: readonly string[]): Promise<number> {
  const { flags, values } = parseWords(args, { '--seed': 'value', '--lie': 'value', '--real': 'flag' });
  const isReal = flags.has('--real');
  const lie = values.get('--lie');
  const known = isReal ? REAL_LIES : Object.keys(LIES);
  if (lie !== undefined && !known.includes(lie))
    throw new UsageError(`no lie ${lie}; there are ${known.join(', ')}`);
  const seed = Number(values.get('--seed') ?? 1);
  if (!Number.isSafeInteger(seed)) throw new UsageError('--seed takes an integer');
  if (isReal && values.has('--seed')) throw new UsageError('--seed is of the simulated hardware');
  const report = new DemoReport(world, flags.has('--json'));
  if (lie) report.step(`LIE ${lie}: one safeguard is switched off on purpose; this run must fail`);
  if (isReal) await tellReal(world, report, lie);
  else await tellSimulated(world, report, seed, lie);
  return report.summary(lie) ? EXIT.ok : EXIT.failed;
}

async function tellSimulated(
  world: CliWorld,
  report: DemoReport,
  seed: number,
  lie: string | undefined,
): Promise<void> {
  const teller = lie === undefined ? undefined : LIES[lie];
  const lies: Lies = { machine: [], host: [], vault: [], ...(lie && teller ? { [teller]: [lie] } : {}) };
  const bed = new DemoBed();
  bed.onTold = ({ by, event }) => report.follow(by, event);
  const stopSignal = world.onSignal(() => void bed.stop().then(() => process.exit(EXIT.failed)));
  try {
    report.step(
      `starting broker, simulated machine (seed ${seed}), host, two agents and two drivers as processes`,
    );
    await within(LIMIT_MS, bed.start(seed, lies));
    const devices = bed.bundle.devices.map(
      ({ id, resources }) => `${id} (${resources.length} registers, lines and streams)`,
    );
    report.step(`the bundle was planned from the board’s device tree: ${devices.join(', ')}`);
    report.step('all of them run, and the host has granted the panel to its owner');
    await tell(bed, report, lie !== undefined);
  } catch (error) {
    report.expect('everything starts', false, (error as Error).message);
  } finally {
    await bed.stop();
    stopSignal();
  }
}

/** Tells the story; however it ends, the machine's own checker has the last word. */
async function tell(bed: DemoBed, report: DemoReport, isLie: boolean): Promise<void> {
  const story = new DemoStory(bed, report, isLie);
  try {
    await within(bed.pacedMs(LIMIT_MS), story.run());
  } catch (error) {
    report.expect('the story goes on to its end', false, (error as Error).message);
  }
  await story
    .judge()
    .catch((error: Error) => report.expect('the machine’s checker answers', false, error.message));
  story.figures();
}

function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`no end within ${limitMs} ms`)), limitMs);
    work.then(resolve, reject).finally(() => clearTimeout(limit));
  });
}
