/** Tests that passed at their second try only are named, and too many of them fail the run. */

import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TestCase } from 'vitest/node';
import { SecondTries } from './second-tries.ts';

let before: typeof process.exitCode;
let said: string[];
const log = console.log;
beforeEach(() => {
  before = process.exitCode;
  said = [];
  console.log = (line: string) => void said.push(line);
});
afterEach(() => {
  console.log = log;
  process.exitCode = before;
});

const ended = (name: string, retryCount: number, state = 'passed') =>
  ({
    fullName: name,
    module: { relativeModuleId: 'test/x.test.ts' },
    result: () => ({ state, errors: [{ message: 'too late' }] }),
    diagnostic: () => ({ retryCount }),
  }) as unknown as TestCase;

function runOf(...tests: readonly TestCase[]): typeof process.exitCode {
  process.exitCode = undefined;
  const reporter = new SecondTries();
  for (const test of tests) reporter.onTestCaseResult(test);
  reporter.onTestRunEnd();
  return process.exitCode;
}

it('names those that needed it, with what they said first', () => {
  expect(runOf(ended('a', 1), ended('b', 0), ended('c', 1, 'failed'))).toBeUndefined();
  expect(said).toEqual(['passed at the second try: test/x.test.ts: a: too late']);
});

it('fails the run with more than three', () => {
  expect(runOf(...['a', 'b', 'c'].map((name) => ended(name, 1)))).toBeUndefined();
  expect(runOf(...['a', 'b', 'c', 'd'].map((name) => ended(name, 1)))).toBe(1);
  expect(said.at(-1)).toBe('4 tests passed at the second try; more than 3 fail the run');
});
