/**
 * The remap over the Enforcer port: turns one phase order of the host's table into calls, and their answers into the
 * phase's result.
 *
 * Pure. Safety depends on the order of the calls: a call of a later phase is never in the same batch as one of an
 * earlier phase, and every call may be repeated after a crash.
 */

import type { EnforcerAnswer, EnforcerCall } from '../../ports/enforcer.ts';
import { type BundleDefinition, resourcesOf } from '../protocol/bundle.ts';
import type { EvidenceLevel } from '../protocol/codes.ts';
import { grantedForm } from '../protocol/evidence.ts';
import type { VmId } from '../protocol/ids.ts';
import { ENTRY_BYTES_MAX } from '../protocol/messages.ts';
import type { PhaseResult, RemapPhase } from './host-state.ts';

/** Syncs and resets so far in one attempt, for the proof. */
export interface Tally {
  readonly syncs: number;
  readonly resets: readonly string[];
}

export const NO_TALLY: Tally = { syncs: 0, resets: [] };

/** One phase as calls to the enforcer. */
export interface PhaseRun {
  readonly bundle: BundleDefinition;
  readonly phase: RemapPhase;
  /** The new holder, for a grant. */
  readonly to: VmId | undefined;
  /** The calls, in this order. */
  readonly calls: readonly EnforcerCall[];
}

/** The runs of one bundle. The calls depend only on bundle, phase and new holder, so they are made once for each. */
export class PhaseRuns {
  readonly #bundle: BundleDefinition;
  readonly #known = new Map<string, PhaseRun>();

  constructor(bundle: BundleDefinition) {
    this.#bundle = bundle;
  }

  of(phase: RemapPhase, to: VmId | undefined): PhaseRun {
    const name = `${phase} ${to ?? ''}`;
    const run = this.#known.get(name) ?? phaseRun(this.#bundle, phase, to);
    this.#known.set(name, run);
    return run;
  }
}

/** Returns the calls of `phase`. `to` is the new holder; throws when a grant has none. */
export function phaseRun(bundle: BundleDefinition, phase: RemapPhase, to: VmId | undefined): PhaseRun {
  return { bundle, phase, to, calls: callsOf(bundle, phase, to) };
}

function callsOf(bundle: BundleDefinition, phase: RemapPhase, to: VmId | undefined): EnforcerCall[] {
  const resources = resourcesOf(bundle);
  switch (phase) {
    case 'fence':
      // Interrupts first, so that no new one is signalled; then DMA; registers last, since the old holder
      // could still stop its device with them.
      return byKind(bundle, ['interrupt', 'stream', 'mmio']).map((resource) => ({ op: 'fence', resource }));
    case 'settle':
      return [{ op: 'settle' }];
    case 'clean':
      return [
        ...bundle.devices.map((device): EnforcerCall => ({ op: 'reset', device: device.id })),
        ...bundle.devices.map((device): EnforcerCall => ({ op: 'drained', device: device.id })),
      ];
    case 'grant':
      if (to === undefined) throw new Error('a grant needs a new holder');
      return [
        // Interrupts last: none is signalled before its registers can be reached.
        ...byKind(bundle, ['stream', 'mmio', 'interrupt']).map(
          (resource): EnforcerCall => ({ op: 'grant', resource, vm: to }),
        ),
        ...resources.map((resource): EnforcerCall => ({ op: 'inspect', resource: resource.id })),
      ];
    case 'inspect':
      return resources.map((resource) => ({ op: 'inspect', resource: resource.id }));
  }
}

function byKind(bundle: BundleDefinition, kinds: readonly string[]) {
  const resources = resourcesOf(bundle);
  return kinds.flatMap((kind) => resources.filter((resource) => resource.kind === kind).map(({ id }) => id));
}

/** Result of a phase. */
export interface Folded {
  readonly result: PhaseResult;
  readonly tally: Tally;
}

/**
 * Returns the result of a phase from the answers to its calls. Fewer answers than calls mean that the last answer is
 * a failure, or that the enforcer stopped. An enforcer that cannot reset (`canReset`) proves no reset.
 */
export function foldAnswers(
  run: PhaseRun,
  evidence: EvidenceLevel,
  answers: readonly EnforcerAnswer[],
  before: Tally,
  canReset = true,
): Folded {
  const { bundle, phase, calls } = run;
  const failed = answers.find((answer) => !answer.ok);
  if (failed && !failed.ok) return { result: { ok: false, error: failed.error }, tally: before };
  if (answers.length !== calls.length) {
    return {
      result: { ok: false, error: `${answers.length} answers to ${calls.length} calls` },
      tally: before,
    };
  }
  const good = answers as readonly Extract<EnforcerAnswer, { ok: true }>[];
  const tally: Tally = {
    syncs: before.syncs + good.reduce((sum, answer) => sum + (answer.syncs ?? 0), 0),
    resets: phase === 'clean' && canReset ? resettableOf(bundle) : before.resets,
  };
  switch (phase) {
    case 'fence':
    case 'settle':
      return { result: { ok: true }, tally };
    case 'clean':
      return { result: { ok: true, idle: good.every((answer) => answer.idle !== false) }, tally };
    case 'inspect':
      return { result: inspectResult(bundle, evidence, commonReach(good)), tally };
    case 'grant':
      return { result: grantResult(run, evidence, good, tally), tally };
  }
}

/** Devices that the enforcer's reset fully clears. For the others it clears only the interrupts. */
function resettableOf(bundle: BundleDefinition): readonly string[] {
  return bundle.devices
    .filter((device) => device.residualStates.every((residualState) => residualState.clearedBy === 'reset'))
    .map((device) => device.id);
}

function commonReach(
  answers: readonly Extract<EnforcerAnswer, { ok: true }>[],
): NonNullable<Extract<PhaseResult, { ok: true }>['reach']> {
  const all = new Set(answers.map((answer) => answer.reach ?? 'unknown'));
  if (all.has('unknown') || all.size === 0) return 'unknown';
  return all.size === 1 ? [...all][0]! : 'mixed';
}

/** After a restart of the service: the granted resources, without the table entries, which are lost. */
function inspectResult(
  bundle: BundleDefinition,
  evidence: EvidenceLevel,
  reach: ReturnType<typeof commonReach>,
): PhaseResult {
  if (reach === 'blocked' || reach === 'mixed' || reach === 'unknown') return { ok: true, reach };
  const resources = resourcesOf(bundle).map((resource) => ({
    ...grantedForm(resource, reach),
    before: NOTHING,
    after: NOTHING,
  }));
  return { ok: true, reach, proof: { evidence, resources, syncs: 0, resets: [] } };
}

const NOTHING = new Uint8Array(0);

function grantResult(
  { bundle, to, calls }: PhaseRun,
  evidence: EvidenceLevel,
  answers: readonly Extract<EnforcerAnswer, { ok: true }>[],
  tally: Tally,
): PhaseResult {
  if (to === undefined) throw new Error('a grant needs a new holder');
  const resources = resourcesOf(bundle);
  const inspected = answers.slice(answers.length - resources.length);
  const wrong = resources.find((_, i) => inspected[i]!.reach !== to);
  if (wrong) {
    const index = resources.indexOf(wrong);
    return { ok: false, error: `${wrong.id} reads back as ${inspected[index]!.reach}, expected ${to}` };
  }
  const entry = (bytes: Uint8Array | undefined) => bytes?.slice(0, ENTRY_BYTES_MAX) ?? NOTHING;
  const answerTo = new Map(
    calls.map((call, i) => [call.op === 'grant' ? call.resource : undefined, answers[i]!]),
  );
  const granted = resources.map((resource) => {
    const { before, after } = answerTo.get(resource.id)!;
    return { ...grantedForm(resource, to), before: entry(before), after: entry(after) };
  });
  return {
    ok: true,
    proof: { evidence, resources: granted, syncs: tally.syncs, resets: tally.resets as never },
  };
}
