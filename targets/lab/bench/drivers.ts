/**
 * What a hook costs against unbinding and binding the same device's driver: in an emulated guest with a real kernel,
 * in turns. Unbind and bind are timed in the guest until the device's node opens again.
 *
 * `drivers`: the agent's hook runs (suspend and resume) by its own clock, as its log has them. The guest's clock
 * counts instructions, so that neither emulation nor other work on this machine is measured. `driver-handovers`: the
 * whole handover, from the request to the borrower's resumed driver, and the way back, from here. Three parties take
 * part, so that the clock has to be ours, and the emulation is in it.
 */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DriverBundle, DriverTestbed, missingForDrivers } from '../testbed/driver-testbed.ts';
import { ANDROID } from '../testbed/hardware.ts';
import type { PlainGuest } from '../testbed/plain-guest.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

/** From dist. */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const ROUNDS = 50;
/** Longest wait for a consumer to have its device open, in ms. */
const OPEN_MS = 10_000;

const TOOL = '/baton/guest-drivers';
/** What a probe of our touch screens costs unless told otherwise, in ms: driver/baton-touch.c says why. */
const PROBE_MS = 60;

interface Case {
  readonly name: string;
  readonly bundle: DriverBundle;
  /**
   * How many times as long unbind and bind must take: 10, and 5 where a probe costs nothing. Absent: nothing is
   * promised.
   */
  readonly bar?: number;
  readonly probeMs?: number;
  /** Name of the input device that a program has open meanwhile. */
  readonly open?: string;
  /**
   * Name of the driver that is unbound and bound, with its bus, and the node by which the device is used; absent: our
   * own.
   */
  readonly driver?: readonly [string, string];
  /** Run after each bind. */
  readonly after?: string;
}

const touch = (name: string, bundle: DriverBundle, bar = 10, more: Partial<Case> = {}): Case => ({
  ...{ name, bundle, bar },
  ...more,
});
const DISPLAY = { bundle: 'display', driver: ['virtio/drivers/virtio_gpu', 'fb0'] } as const;

const CASES: readonly Case[] = [
  touch('input-inhibit, touch, open', 'inhibit', 10, { open: 'touch-inhibit' }),
  touch('input-inhibit, touch, open, probe 0', 'inhibit', 5, { open: 'touch-inhibit', probeMs: 0 }),
  {
    ...{ name: 'input-inhibit, virtio tablet, open', bundle: 'tablet', bar: 5, open: 'QEMU Virtio Tablet' },
    driver: ['virtio/drivers/virtio_input', 'input/event'],
  },
  touch('runtime-pm, touch', 'runtime'),
  touch('input-inhibit + runtime-pm, touch, open', 'off', 10, { open: 'touch-off' }),
  touch('sysfs, touch', 'attribute'),
  touch('socket, touch, open', 'socket', 10, { open: 'touch-socket' }),
  touch('command, program in C, touch, open', 'command', 10, { open: 'touch-command' }),
  touch('command, shell, touch, open', 'shell', 10, { open: 'touch-shell' }),
  touch('trusted-touch, stand-in', 'trusted'),
  { ...DISPLAY, name: 'fb-blank, virtio display', bar: 10 },
  { ...DISPLAY, name: 'fb-blank, with a text console on it', after: `${TOOL} console` },
  { name: 'unbind, touch', bundle: 'unbind' },
];

/** What one case took, in ms, a figure a round. */
interface Times {
  readonly rebind: number[];
  readonly driver: number[];
  readonly handover: number[];
  readonly giveBack: number[];
}

export function benchDrivers(report: Report): Promise<void> {
  return benchCases(report, 'drivers', true, (each, { rebind, driver }) => {
    const value = median(driver);
    const row = { bench: 'drivers', case: each.name, value, unit: 'ms', baseline: baselineOf(rebind) };
    report.compare(row, each.bar === undefined ? undefined : 1 / each.bar);
  });
}

export function benchDriverHandovers(report: Report): Promise<void> {
  const bench = 'driver-handovers';
  return benchCases(report, bench, false, (each, { rebind, handover, giveBack }) => {
    const row = (what: string, ms: number[]) =>
      ({ bench, case: `${each.name}: ${what}`, value: median(ms), unit: 'ms' }) as const;
    report.compare(
      { ...row('handover', handover), baseline: baselineOf(rebind) },
      each.bar === undefined ? undefined : 1,
    );
    report.add(row('give-back', giveBack));
  });
}

const baselineOf = (rebind: number[]) => ({ name: 'unbind + bind', value: median(rebind) });

async function benchCases(
  report: Report,
  bench: string,
  counts: boolean,
  tell: (each: Case, times: Times) => void,
): Promise<void> {
  const agent = join(ROOT, 'dist/quickjs/aarch64/baton-agent');
  const missing = missingForDrivers() ?? (existsSync(agent) ? undefined : 'needs npm run build:quickjs');
  if (missing !== undefined) return report.skip(bench, 'all kinds of hooks', missing);
  const testbed = new DriverTestbed(ROOT, counts);
  try {
    await testbed.start();
    for (const each of CASES) tell(each, await timesOf(testbed, each));
  } finally {
    await testbed.stop();
  }
}

async function timesOf(testbed: DriverTestbed, each: Case): Promise<Times> {
  const guest = testbed.guest(ANDROID);
  const times: Times = { rebind: [], driver: [], handover: [], giveBack: [] };
  const { bundle, probeMs = PROBE_MS } = each;
  await guest.tell(`echo ${probeMs} > /sys/module/baton_touch/parameters/probe_ms`);
  const rebind = await rebindOf(guest, each);
  for (let round = 0; round < ROUNDS; round++) {
    const [, total] = /^rebound \d+ \d+ \d+ (\d+)$/m.exec(await guest.tell(rebind)) ?? [];
    times.rebind.push(Number(total) / 1_000);
    const consumer =
      each.open === undefined ? undefined : await guest.command(`${TOOL} events '${each.open}'`);
    if (consumer) await guest.until(`${each.open} is open`, OPEN_MS, () => consumer.lines.includes('open'));
    const start = performance.now();
    await testbed.borrow(bundle);
    const held = performance.now();
    await testbed.giveBack(bundle);
    times.handover.push(held - start);
    times.giveBack.push(performance.now() - held);
    consumer?.close();
    await consumer?.ended;
  }
  const suspended = (await testbed.tookMs(ANDROID, bundle, 'suspend')).slice(-ROUNDS);
  const resumed = (await testbed.tookMs(ANDROID, bundle, 'resume')).slice(-ROUNDS);
  if (suspended.length !== ROUNDS || resumed.length !== ROUNDS)
    throw new Error(`${bundle}: the log has ${suspended.length} and ${resumed.length} runs of ${ROUNDS}`);
  times.driver.push(...suspended.map((ms, round) => ms + resumed[round]!));
  return times;
}

/** The command that unbinds and binds a device of a case. */
async function rebindOf(guest: PlainGuest, { bundle, driver, after = 'true' }: Case): Promise<string> {
  const [folder, node] = driver ?? (['platform/drivers/baton-touch', 'input/event'] as const);
  const device = driver ? await guest.tell(`cd /sys/bus/${folder}; ls -d virtio[0-9]*`) : `touch-${bundle}`;
  return `${TOOL} rebind /sys/bus/${folder} ${device} ${node} && ${after}`;
}
