/**
 * Checks the answers of an enforcer against all paths that the checker knows.
 *
 * `blocked` means that nobody reaches a resource, a VM's name that nobody else does. After a settle nobody reaches what
 * was fenced; once that is a whole bundle, it stays so until the next grant.
 */

import { resourcesOf } from '../../../src/core/protocol/bundle.ts';
import type { BundleId } from '../../../src/core/protocol/ids.ts';
import { SimulatedEnforcer, type SimulatedPlatform } from '../../../src/edges/enforcer/simulated.ts';
import type { Sabotage } from '../../../src/edges/enforcer/tables.ts';
import type { EnforcerAnswer, EnforcerCall } from '../../../src/ports/enforcer.ts';
import type { Checker } from './checker.ts';

/** The simulated enforcer, observed by the checker. */
export class JudgedEnforcer extends SimulatedEnforcer {
  readonly #checker: Checker;
  readonly #platform: SimulatedPlatform;
  /** Resources that were fenced and not granted since, by bundle. */
  readonly #fenced = new Map<BundleId, Set<string>>();

  constructor(platform: SimulatedPlatform, sabotages: ReadonlySet<Sabotage>, checker: Checker) {
    super(platform, sabotages);
    this.#checker = checker;
    this.#platform = platform;
    checker.takenOver();
  }

  override run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    if (calls.some(({ op }) => op === 'grant')) this.#checker.claim(bundle, undefined);
    super.run(bundle, calls, (answers) => {
      this.#judge(bundle, calls.slice(0, answers.length), answers);
      done(answers);
    });
  }

  #judge(bundle: BundleId, calls: readonly EnforcerCall[], answers: readonly EnforcerAnswer[]): void {
    const fenced = this.#fenced.get(bundle) ?? new Set<string>();
    this.#fenced.set(bundle, fenced);
    let settled = new Set<string>();
    calls.forEach((call, index) => {
      const answer = answers[index]!;
      if (call.op === 'grant') {
        fenced.delete(call.resource);
        settled.delete(call.resource);
      }
      if (!answer.ok) return;
      if (call.op === 'fence') fenced.add(call.resource);
      if (call.op === 'settle') settled = new Set(fenced);
      // What it read before a later call of the same batch may be over by now.
      const isLast = !calls.slice(index + 1).some(({ op }) => op === 'fence' || op === 'grant');
      if (call.op === 'inspect' && isLast) this.#inspected(bundle, call.resource, answer.reach);
    });
    for (const resource of settled) this.#inspected(bundle, resource, 'blocked', 'settled');
    const definition = this.#platform.bundles.find(({ id }) => id === bundle);
    if (definition && settled.size === resourcesOf(definition).length) this.#checker.claim(bundle, 'settled');
  }

  #inspected(
    bundle: BundleId,
    resource: string,
    reach: string | undefined,
    why = `read back as ${reach}`,
  ): void {
    if (reach === undefined || reach === 'unknown') return;
    for (const one of this.#checker.reaching(bundle, resource))
      if (one.vm !== reach) this.#checker.reachedThough(resource, one, why);
  }
}
