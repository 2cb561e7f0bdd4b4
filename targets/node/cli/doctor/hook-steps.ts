/** The hooks of an agent's configuration as a flat list, with the machine as hooks see it. */

import type { DeviceHooksConfig, HooksConfig } from '../../../../src/edges/hooks/hooks-config.ts';
import type { HookStep } from '../../../../src/edges/hooks/kinds.ts';
import { Limit } from '../../../../src/edges/hooks/limit.ts';
import { inputsOf } from '../../../../src/edges/hooks/places.ts';
import type { HookWorld } from '../../../../src/edges/hooks/world.ts';
import { ATTRIBUTES } from '../../agent/attributes.ts';
import { STREAMS } from '../../net/streams.ts';
import { CLOCK } from '../../system/clock.ts';
import type { Subject } from './subject.ts';

/** One step, and where it stands. */
export interface PlacedStep {
  readonly bundle: string;
  readonly device: string;
  readonly list: 'prepare' | 'holdSupplies' | 'suspend' | 'resume';
  readonly step: HookStep;
  /** All hooks of its device. */
  readonly hooks: DeviceHooksConfig;
  /** For people: `panel.touch suspend 1`. */
  readonly about: string;
}

const LISTS = ['prepare', 'holdSupplies', 'suspend', 'resume'] as const;

/** Returns every step of an agent. */
export function stepsOf({ daemon: { agent } }: Subject): readonly PlacedStep[] {
  return Object.entries((agent?.hooks ?? {}) as HooksConfig).flatMap(([bundle, devices]) =>
    Object.entries(devices).flatMap(([device, hooks]) =>
      LISTS.flatMap((list) =>
        (hooks[list] ?? []).map((step, index) => ({
          bundle,
          device,
          list,
          step,
          hooks,
          about: `${bundle}.${device} ${list} ${index + 1}, ${step.kind}`,
        })),
      ),
    ),
  );
}

/** Longest look at names below /sys, in ms: a hundred times what a slow bus takes. */
const LOOK_MS = 1_000;

/** A limit for looks that change nothing. */
export function lookLimit(): Limit {
  return new Limit(CLOCK, LOOK_MS, new Set());
}

/** The machine as hooks see it, for steps that neither start programs nor take locks: those are refused. */
export const LOOKING: HookWorld = {
  clock: CLOCK,
  sys: '/sys',
  attributes: ATTRIBUTES,
  streams: STREAMS,
  locks: { take: async () => ({ ok: false, by: 'run' }), evict: async () => 0 },
  notes: { boot: '', load: () => undefined, save: () => {} },
};

/** Returns the attributes that a step writes, of those kinds that write one. Rejects when they are not found. */
export async function writtenBy(
  step: HookStep,
  pathOf: (path: string) => string,
): Promise<readonly string[]> {
  if (step.kind === 'sysfs') return [pathOf(step.path)];
  if (step.kind !== 'input-inhibit') return [];
  return (await inputsOf(LOOKING, lookLimit(), step)).map((input) => `${input}/inhibited`);
}
