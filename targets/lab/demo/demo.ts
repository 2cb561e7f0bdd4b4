/** `baton demo`: a handover on the simulated machine, every party a process of its own. */

import { parseWords } from '../../../src/cli/arguments.ts';
import { type CliWorld, EXIT, UsageError } from '../../../src/cli/world.ts';
import { DemoReport } from './demo-report.ts';
import { DemoStory } from './demo-story.ts';
import { DemoTestbed, type Sabotages } from './demo-testbed.ts';
import { REAL_SABOTAGES, tellReal } from './real-demo.ts';

/** Sabotages of the demo, with the process that has each. */
const SABOTAGES: Readonly<Record<string, keyof Sabotages>> = {
  'skip-unmap': 'machine',
  'skip-sync': 'machine',
  'skip-reset': 'machine',
  'skip-drain': 'machine',
  'skip-epoch-check': 'host',
  'resume-early': 'vault',
};

export const DEMO_HELP = `baton demo [--json] [--seed N] [--sabotage NAME]
baton demo --real [--json] [--sabotage NAME]

Android lends touch screen and display to Vault for a PIN entry and gets them back. Then the handover goes wrong in
several ways. Broker, simulated machine, host, agents and drivers are separate processes; nothing is installed, and
nothing is left behind.

  --json        JSON lines; the last is {"event":"summary","ok":…,"expectations":…,"held":…}
  --seed N      seed of the simulated hardware (default 1)
  --sabotage NAME
                switch one safeguard off; the demo must then fail and say what went wrong, and ends there:
                ${Object.keys(SABOTAGES).join(', ')}
  --real        under a real hypervisor: KVM in an emulated machine, with QEMU's device edu in place of touch and
                display; lines with # are from its kernel. Needs a checkout of Baton, QEMU and a cross compiler, and
                reports what is missing; the first run fetches Debian's kernel. Its sabotages:
                ${REAL_SABOTAGES.join(', ')}

Exit status: 0 only if every expectation held.
`;

/** Time limit of a part of the demo, in ms, on a quiet machine: many times its usual duration. */
const LIMIT_MS = 90_000;

export async function demo(world: CliWorld, args: readonly string[]): Promise<number> {
  const { flags, values } = parseWords(args, { '--seed': 'value', '--sabotage': 'value', '--real': 'flag' });
  const isReal = flags.has('--real');
  const sabotage = values.get('--sabotage');
  const known = isReal ? REAL_SABOTAGES : Object.keys(SABOTAGES);
  if (sabotage !== undefined && !known.includes(sabotage))
    throw new UsageError(`no sabotage ${sabotage}; there are ${known.join(', ')}`);
  const seed = Number(values.get('--seed') ?? 1);
  if (!Number.isSafeInteger(seed)) throw new UsageError('--seed takes an integer');
  if (isReal && values.has('--seed')) throw new UsageError('--seed is only for the simulated hardware');
  const report = new DemoReport(world, flags.has('--json'));
  if (sabotage)
    report.step(`SABOTAGE ${sabotage}: one safeguard is switched off on purpose; this run must fail`);
  if (isReal) await tellReal(world, report, sabotage);
  else await tellSimulated(world, report, seed, sabotage);
  return report.summary(sabotage) ? EXIT.ok : EXIT.failed;
}

async function tellSimulated(
  world: CliWorld,
  report: DemoReport,
  seed: number,
  sabotage: string | undefined,
): Promise<void> {
  const saboteur = sabotage === undefined ? undefined : SABOTAGES[sabotage];
  const sabotages: Sabotages = {
    machine: [],
    host: [],
    vault: [],
    ...(sabotage && saboteur ? { [saboteur]: [sabotage] } : {}),
  };
  const testbed = new DemoTestbed();
  testbed.onTold = ({ by, event }) => report.follow(by, event);
  const stopSignal = world.onSignal(() => void testbed.stop().then(() => process.exit(EXIT.failed)));
  try {
    report.step(
      `starting broker, simulated machine (seed ${seed}), host, two agents and two drivers as processes`,
    );
    await within(LIMIT_MS, testbed.start(seed, sabotages));
    const devices = testbed.bundle.devices.map(
      ({ id, resources }) => `${id} (${resources.length} registers, lines and streams)`,
    );
    report.step(`the bundle was planned from the board’s device tree: ${devices.join(', ')}`);
    report.step('all of them run, and the host has granted the panel to its owner');
    await tell(testbed, report, sabotage !== undefined);
  } catch (error) {
    report.expect('everything starts', false, (error as Error).message);
  } finally {
    await testbed.stop();
    stopSignal();
  }
}

/** Plays the story. However it ends, the checker of the machine reports last. */
async function tell(testbed: DemoTestbed, report: DemoReport, isSabotaged: boolean): Promise<void> {
  const story = new DemoStory(testbed, report, isSabotaged);
  try {
    await within(testbed.pacedMs(LIMIT_MS), story.run());
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
