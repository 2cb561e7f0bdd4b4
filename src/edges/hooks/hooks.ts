/**
 * The DriverHooks of an agent: one run at a time per bundle, each under the bundle's lock (M17).
 *
 * A run starts only when nothing of an earlier one is alive: neither a program of a former agent nor a write of ours
 * that is blocked in a driver. The wait is bounded; then proven leftovers are killed; if that fails, the run ends as
 * `unknown` with the error hookStuck, and nothing was run.
 *
 * A failed suspend of an owner is undone. That of a borrower is not: the bundle leaves it in any case, and resuming a
 * device that is about to leave would only cause faults.
 */

import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { BundleId, Epoch, VmId } from '../../core/protocol/ids.ts';
import type { DriverHooks, DriverStatus, HookName, HookResult, Log } from '../../ports/world.ts';
import { type HooksConfig, hookComplaints } from './hooks-config.ts';
import { messageOf, pause, tookMs } from './limit.ts';
import { BundleNote } from './note.ts';
import { type BundlePlan, planOf } from './plan.ts';
import { inspect, leave, lend, prepare, type RunContext, resume, type TookStep } from './run.ts';
import type { HookLock, HookWorld, LockAnswer } from './world.ts';

/** Most waiting runs: one of each hook, and an inspect. More indicate a bug. */
export const RUNS_WAITING_MAX = 4;
/** Longest wait for leftovers of an earlier run, in ms: the limit of one step. */
export const LEFTOVER_WAIT_MS = 1_000;
/** Longest wait for their end after they were killed, in ms. */
export const EVICT_WAIT_MS = 500;
/** Pause between two attempts to take the lock, in ms. */
const LOCK_RETRY_MS = 10;

/** The parts of hooks. */
export interface HooksParts {
  readonly self: VmId;
  readonly bundles: readonly BundleDefinition[];
  readonly config: HooksConfig;
  readonly world: HookWorld;
  readonly log: Log;
}

/** Returns the hooks of an agent. Throws an Error on a configuration that `hookComplaints` rejects. */
export function createHooks(parts: HooksParts): DriverHooks {
  const [complaint] = hookComplaints(parts.config, parts.bundles, parts.self);
  if (complaint) throw new Error(`hooks.${complaint.path.join('.')}: ${complaint.message}`);
  const agent = { self: parts.self, world: parts.world, ofAgent: new Map() };
  const all = new Map<BundleId, BundleHooks>();
  for (const bundle of parts.bundles) {
    const plan = planOf(bundle, parts.config, agent);
    if (plan.length === 0) {
      parts.log('warn', 'no hooks: its drivers are assumed to need none, and their state is unknown', {
        bundle: bundle.id,
      });
    }
    all.set(bundle.id, new BundleHooks(parts, bundle, plan));
  }
  const hooksOf = (bundle: BundleId) => {
    const found = all.get(bundle);
    if (!found) throw new Error(`${bundle}: no bundle of this name`);
    return found;
  };
  return {
    run: (bundle, hook, epoch, done) => {
      const took: TookStep[] = [];
      void hooksOf(bundle)
        .run(hook, epoch, took)
        .then((result) => done(result, took));
    },
    inspect: (bundle, done) => void hooksOf(bundle).inspect().then(done),
  };
}

/** The hooks of one bundle. */
class BundleHooks {
  readonly #parts: HooksParts;
  readonly #bundle: BundleDefinition;
  readonly #plan: BundlePlan;
  #last: Promise<unknown> = Promise.resolve();
  #unfinished = 0;
  /** Read under the first lock, when no other agent has it. */
  #note: BundleNote | undefined;

  constructor(parts: HooksParts, bundle: BundleDefinition, plan: BundlePlan) {
    this.#parts = parts;
    this.#bundle = bundle;
    this.#plan = plan;
  }

  /** Adds the completed steps to `took`. */
  async run(hook: HookName, epoch: Epoch, took: TookStep[]): Promise<HookResult> {
    if (this.#plan.length === 0) return { ok: true };
    const { world, log } = this.#parts;
    const startMs = world.clock.nowMs();
    const result = await this.#inTurn<HookResult>(
      epoch,
      (run) => this.#runOf(hook)({ ...run, took }, this.#plan),
      (error, outcome) => ({ ok: false, outcome, error }),
    );
    const ms = tookMs(world.clock, startMs);
    // One line at the end: a line costs as much as a step.
    if ((log.level ?? 'debug') === 'debug')
      log('debug', `hook ${hook}: ${result.ok ? 'done' : result.outcome}`, {
        bundle: this.#bundle.id,
        ms,
        steps: took.map((step) => `${step.hook} ${step.device}/${step.name}: ${step.ms}`),
      });
    return result;
  }

  inspect(): Promise<DriverStatus> {
    if (this.#plan.length === 0) return Promise.resolve('unknown');
    return this.#inTurn<DriverStatus>(
      undefined,
      (run) => inspect(run, this.#plan),
      (error) => {
        this.#parts.log('warn', 'cannot determine the state of the driver', {
          bundle: this.#bundle.id,
          error,
        });
        return 'unknown';
      },
    );
  }

  #runOf(hook: HookName): (run: RunContext, plan: BundlePlan) => Promise<HookResult> {
    if (hook === 'prepare') return prepare;
    if (hook === 'resume') return resume;
    return hook === 'suspend' && this.#bundle.owner === this.#parts.self ? lend : leave;
  }

  /** Waits until the earlier runs are over. Never rejects. */
  async #inTurn<T>(
    epoch: Epoch | undefined,
    work: (run: RunContext) => Promise<T>,
    refuse: (error: string, outcome: 'failed' | 'unknown') => T,
  ): Promise<T> {
    if (this.#unfinished > RUNS_WAITING_MAX) {
      return refuse(`${this.#bundle.id}: ${RUNS_WAITING_MAX} runs wait already`, 'failed');
    }
    this.#unfinished += 1;
    const mine = this.#last.then(() => this.#locked(epoch, work, refuse));
    this.#last = mine;
    try {
      return await mine;
    } finally {
      this.#unfinished -= 1;
    }
  }

  async #locked<T>(
    epoch: Epoch | undefined,
    work: (run: RunContext) => Promise<T>,
    refuse: (error: string, outcome: 'unknown') => T,
  ): Promise<T> {
    const { world, log } = this.#parts;
    const bundle = this.#bundle.id;
    const lock = await this.#takeLock().catch((error) => `its lock cannot be taken: ${messageOf(error)}`);
    if (typeof lock === 'string') return refuse(`hookStuck: ${bundle}: ${lock}`, 'unknown');
    const leftovers = new Set<Promise<unknown>>();
    try {
      this.#note ??= new BundleNote(world.notes, bundle, log);
      const isOwner = this.#bundle.owner === this.#parts.self;
      const note = this.#note;
      return await work({ world, log, bundle, epoch, lock, leftovers, note, isOwner, took: [] });
    } catch (error) {
      // Steps reject with a StepError; any other error is a bug of ours, and the driver's state is unknown.
      return refuse(`${bundle}: ${messageOf(error)}`, 'unknown');
    } finally {
      if (leftovers.size === 0) lock.release();
      else void Promise.all(leftovers).then(() => lock.release());
    }
  }

  /** Takes the lock, or returns why it is not available. */
  async #takeLock(): Promise<HookLock | string> {
    const { clock, locks } = this.#parts.world;
    const startMs = clock.nowMs();
    for (;;) {
      const answer: LockAnswer = await locks.take(this.#bundle.id);
      if (answer.ok) return answer.lock;
      const waitedMs = clock.nowMs() - startMs;
      if (waitedMs >= LEFTOVER_WAIT_MS && answer.by === 'agent') return 'another agent runs its hooks';
      if (waitedMs >= LEFTOVER_WAIT_MS + EVICT_WAIT_MS) return 'processes of an earlier run do not end';
      if (waitedMs >= LEFTOVER_WAIT_MS) await this.#evict();
      await pause(clock, LOCK_RETRY_MS);
    }
  }

  async #evict(): Promise<void> {
    const { world, log } = this.#parts;
    const groups = await world.locks.evict(this.#bundle.id);
    if (groups > 0) log('warn', 'killed processes of an earlier run', { bundle: this.#bundle.id, groups });
  }
}
