/**
 * A testbed for the enforcer `qmp`: two fake QEMUs on fake streams and a virtual clock. `reset` makes all of it anew.
 */

import type { RemapPhase } from '../../../src/core/host/host-state.ts';
import { foldAnswers, NO_TALLY, phaseRun } from '../../../src/core/host/remap.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import type { BundleId, VmId } from '../../../src/core/protocol/ids.ts';
import { openQmpEnforcer, type QmpEnforcer } from '../../../src/edges/enforcer/kinds/qmp/qmp-enforcer.ts';
import type { EnforcerAnswer, EnforcerCall, EnforcerEvent } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { FakeQemu, FakeStreams } from './fake-qmp.ts';

export const LIMIT_MS = 700; // Longer than the pause before a redial, so that timers of both can cross.
export const ADDRESS = { android: 'unix:/android.qmp', vault: 'unix:/vault.qmp', input: 'unix:/panel.input' };

export const inputOf = (id: BundleId) => `unix:/${id}.input`;

export let clock: VirtualClock;
export let streams: FakeStreams;
export let android: FakeQemu;
export let vault: FakeQemu;
export let events: EnforcerEvent[];
export let logs: string[];

/** Everything anew, at the beginning of a test. */
export function reset(at = new VirtualClock()): void {
  clock = at;
  streams = new FakeStreams(clock);
  android = new FakeQemu(streams, ADDRESS.android);
  vault = new FakeQemu(streams, ADDRESS.vault);
  events = [];
  logs = [];
}

export function options(bundles: readonly BundleDefinition[] = [PANEL]) {
  return {
    bundles,
    vms: new Map([
      [ANDROID, ADDRESS.android],
      [VAULT, ADDRESS.vault],
    ]),
    inputs: new Map(bundles.map(({ id }) => [id, inputOf(id)])),
    limitMs: LIMIT_MS,
    machineBoot: 'one',
    network: streams,
    clock,
    log: (level: string, message: string, fields?: object) =>
      void logs.push(`${level} ${message} ${JSON.stringify(fields)}`),
  };
}

/** Opens the enforcer and listens. Returns it and how long the opening took. */
export function open(bundles = [PANEL]): QmpEnforcer {
  let result: QmpEnforcer | Error | undefined;
  openQmpEnforcer(options(bundles), (opened) => {
    result = opened;
  });
  for (let ms = 0; ms < 2 * LIMIT_MS && !result; ms++) clock.advance(1);
  if (result === undefined || result instanceof Error) throw result ?? new Error('not opened in time');
  result.onEvent((event) => events.push(event));
  return result;
}

export function run(
  enforcer: QmpEnforcer,
  calls: readonly EnforcerCall[],
  bundle = PANEL.id,
): readonly EnforcerAnswer[] {
  let answers: readonly EnforcerAnswer[] | undefined;
  enforcer.run(bundle, calls, (given) => {
    answers = given;
  });
  for (let ms = 0; ms < 3 * LIMIT_MS && !answers; ms++) clock.advance(1);
  if (!answers) throw new Error('no answers in time');
  return answers;
}

/** A phase as the host orders it. */
export function phase(enforcer: QmpEnforcer, name: RemapPhase, to?: VmId, bundle = PANEL) {
  const asked = phaseRun(bundle, name, to);
  return foldAnswers(asked, 'asserted', run(enforcer, asked.calls, bundle.id), NO_TALLY).result;
}

export function move(enforcer: QmpEnforcer, to: VmId, bundle = PANEL): boolean[] {
  return (['fence', 'settle', 'clean', 'grant'] as const).map((name) => phase(enforcer, name, to, bundle).ok);
}

/** Bundles alike, each with an input of its own. */
export const several = (count: number): BundleDefinition[] =>
  Array.from({ length: count }, (_, i) => ({ ...PANEL, id: `b${i}` as BundleId }));

export const MOVED = [true, true, true, true];
