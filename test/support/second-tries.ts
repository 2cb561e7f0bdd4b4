/**
 * A reporter that names each test which passed at its second try only, with what it said at its first.
 *
 * `.ci/run` gives tests of real processes a second try (BATON_TRIES=2): they depend on the scheduling of a machine that
 * nobody has seen before. Such a test has a race, or the product has; it is printed so that it can be mended, and more
 * than LIMIT of them fail the run.
 */

import type { Reporter, TestCase } from 'vitest/node';

/** More than this many in one run are no accident of one machine. */
const LIMIT = 3;

export class SecondTries implements Reporter {
  readonly #names: string[] = [];

  onTestCaseResult(test: TestCase): void {
    const { state, errors } = test.result();
    if (state !== 'passed' || !test.diagnostic()?.retryCount) return;
    this.#names.push(
      `${test.module.relativeModuleId}: ${test.fullName}: ${errors?.[0]?.message ?? 'no message'}`,
    );
  }

  onTestRunEnd(): void {
    for (const name of this.#names) console.log(`passed at the second try: ${name}`);
    if (this.#names.length <= LIMIT) return;
    console.log(`${this.#names.length} tests passed at the second try; more than ${LIMIT} fail the run`);
    process.exitCode = 1;
  }
}
