/** Every check of `baton doctor`, in the order in which they are made: those that others depend on come first. */

import { BROKER_CHECKS } from './broker.ts';
import type { Check, Finding } from './check.ts';
import { COMPARING_CHECKS } from './compare.ts';
import { DAEMON_CHECKS } from './daemon.ts';
import { DEVICE_CHECKS } from './devices.ts';
import { ENFORCER_CHECKS } from './enforcer.ts';
import { FILE_CHECKS } from './files.ts';
import { HOOK_CHECKS } from './hooks.ts';
import { within } from './machine.ts';
import { SERVICE_CHECKS } from './service.ts';
import { STREAM_CHECKS } from './streams.ts';
import type { Subject } from './subject.ts';
import { TRIAL_CHECKS } from './trial.ts';

/** Checks of one configuration. */
export const CHECKS: readonly Check[] = [
  ...FILE_CHECKS,
  ...DAEMON_CHECKS,
  ...BROKER_CHECKS,
  ...STREAM_CHECKS,
  ...HOOK_CHECKS,
  ...TRIAL_CHECKS,
  ...DEVICE_CHECKS,
  ...SERVICE_CHECKS,
  ...ENFORCER_CHECKS,
];

/** Names of all checks. */
export const CHECK_NAMES: readonly string[] = [...CHECKS, ...COMPARING_CHECKS].map(({ name }) => name);

/** Longest time of one check, in ms: the conformance suite has a minute, and what hangs is told by then. */
const CHECK_MS = 90_000;

/** A finding, and where it comes from. */
export type Line = Finding & {
  readonly check: string;
  /** The party whose configuration it is; absent: several. */
  readonly party?: string;
};

/** Makes every check of the given configurations; with `only`, those of these names. */
export async function examine(
  subjects: readonly Subject[],
  only: readonly string[] = CHECK_NAMES,
): Promise<readonly Line[]> {
  const lines: Line[] = [];
  for (const subject of subjects) {
    const { party, isHost } = subject;
    for (const { name, of, run } of CHECKS) {
      if (!only.includes(name) || (of !== 'both' && (of === 'host') !== isHost)) continue;
      const findings = await made(subject, async () => run(subject));
      lines.push(...findings.map((finding) => ({ check: name, party, ...finding })));
    }
  }
  const [first] = subjects;
  if (!first || subjects.length < 2) return lines;
  for (const { name, run } of COMPARING_CHECKS) {
    if (!only.includes(name)) continue;
    const findings = await made(first, async () => run(subjects));
    lines.push(...findings.map((finding) => ({ check: name, ...finding })));
  }
  return lines;
}

/** A check that fails itself says nothing about the machine. */
async function made(
  { machine, daemon }: Subject,
  run: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await within(machine, CHECK_MS, `not done within ${CHECK_MS} ms`, run());
  } catch (error) {
    return [
      { result: 'skipped', about: daemon.file, why: `it could not be made: ${(error as Error).message}` },
    ];
  }
}
