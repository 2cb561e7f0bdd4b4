/**
 * Sleep of an owner's whole VM (system suspend): calls in what is lent, and lends nothing until the VM is awake
 * again. A kernel that sleeps drops the supplies that it keeps for a borrower, and answers nobody (M11).
 *
 * What notices that the system wants to sleep, and waits for us, is outside: docs/PLATFORMS.md, "When the owner
 * sleeps".
 */

import type { Clock } from '../../ports/world.ts';
import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import type { BundleId } from '../protocol/ids.ts';
import type { BundleView } from './agent-view.ts';
import type { Policy } from './policy.ts';

/** States of an owner in which nothing of its bundle is lent, or on its way to be. */
const AT_REST: ReadonlySet<string> = new Set(['held', 'parked', 'failed', 'quarantined']);
/** Time between two looks at the bundles, in ms: little beside what a recall takes. */
const LOOK_MS = 20;

/** What is needed of the agent. */
export interface SleepingAgent {
  views(): readonly BundleView[];
  recall(bundle: BundleId, graceMs: number, force: boolean): void;
}

/** Whether an agent's VM sleeps, or is about to. */
export class Sleep {
  readonly #agent: SleepingAgent;
  readonly #clock: Clock;
  #isAsleep = false;
  #stopLooking: () => void = () => {};

  constructor(agent: SleepingAgent, clock: Clock) {
    this.#agent = agent;
    this.#clock = clock;
  }

  /** Returns a policy that declines while the VM sleeps, and otherwise asks `policy`. */
  gate(policy: Policy): Policy {
    return (question, done) => {
      if (!this.#isAsleep) return policy(question, done);
      const detail = 'the owner’s system is about to sleep';
      done({ allow: false, reason: 'policy', retryAfterMs: BUSY_RETRY_MS, detail });
    };
  }

  /**
   * Calls every lent bundle in, by force after `graceMs`. Calls `done` once: asleep, when none is lent any more, which
   * stays so until `wake`; or else awake, with the bundles that were not back after `waitMs`, or when `wake` or
   * another `begin` ended this one.
   */
  begin(graceMs: number, waitMs: number, done: (isAsleep: boolean, lent: readonly BundleId[]) => void): void {
    this.wake();
    this.#isAsleep = true;
    const endMs = this.#clock.nowMs() + waitMs;
    const recalled = new Set<string>();
    const giveUp = () => {
      this.#isAsleep = false;
      done(
        false,
        this.#busy().map(({ bundle }) => bundle),
      );
    };
    const look = () => {
      this.#stopLooking = () => {};
      const busy = this.#busy();
      if (busy.length === 0) return done(true, []);
      if (this.#clock.nowMs() >= endMs) return giveUp();
      for (const { bundle, state, holder, epoch } of busy) {
        const loan = `${bundle} ${epoch}`;
        // Once for each loan: saying it again would give its borrower the grace again.
        if (state !== 'lent' || holder === null || recalled.has(loan)) continue;
        recalled.add(loan);
        this.#agent.recall(bundle, graceMs, true);
      }
      const cancel = this.#clock.after(LOOK_MS, look);
      this.#stopLooking = () => {
        cancel();
        giveUp();
      };
    };
    look();
  }

  #busy(): readonly BundleView[] {
    return this.#agent.views().filter(({ role, state }) => role === 'owner' && !AT_REST.has(state));
  }

  /** The VM is awake: requests are decided again. A `begin` under way is over. */
  wake(): void {
    this.#isAsleep = false;
    const stop = this.#stopLooking;
    this.#stopLooking = () => {};
    stop();
  }
}
