/** What an agent reports of its policy and hooks in `steps` (R109). */

import { describe, expect, it } from 'vitest';
import { NO_TIMES, type StepTimes, timed, withSteps } from '../../../src/core/agent/step-times.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';

const hook = (name: string, epoch: number) => ({ do: 'hook', hook: name, epoch });
const done = (name: string, steps: readonly object[] = []) => ({ on: 'hookDone', hook: name, steps });
const other = { on: 'timer:lend' };
const message = (kind: string, epoch: number) => ({ kind, bundle: 'panel', epoch }) as unknown as Message;
const stepsOf = (times: StepTimes, kind: string, epoch: number) =>
  (withSteps(message(kind, epoch), times) as { steps?: readonly { step: string; ms: number }[] }).steps;

function run(times: StepTimes, name: string, epoch: number, fromMs: number, toMs: number): StepTimes {
  return timed(timed(times, other, [hook(name, epoch)], fromMs), done(name), [], toMs);
}

describe('steps', () => {
  it('of lend and release are those of the suspend hook under its epoch; a repetition has them, too', () => {
    const times = run(NO_TIMES, 'suspend', 7, 100, 112.4);
    for (let i = 0; i < 2; i++) expect(stepsOf(times, 'lend', 7)).toEqual([{ step: 'suspend', ms: 12 }]);
    expect(stepsOf(times, 'release', 7)).toEqual([{ step: 'suspend', ms: 12 }]);
    expect(stepsOf(times, 'lend', 8)).toBeUndefined();
    expect(stepsOf(times, 'confirm', 7)).toBeUndefined();
  });

  it('of confirm are prepare and resume; a hook that runs again counts anew', () => {
    let times = run(NO_TIMES, 'prepare', 7, 0, 5);
    times = run(times, 'resume', 7, 10, 13);
    expect(stepsOf(times, 'confirm', 7)).toEqual([
      { step: 'prepare', ms: 5 },
      { step: 'resume', ms: 3 },
    ]);
    times = timed(times, other, [hook('resume', 7)], 20);
    expect(stepsOf(times, 'confirm', 7)).toEqual([{ step: 'prepare', ms: 5 }]);
    times = timed(times, done('resume'), [], 30);
    expect(stepsOf(times, 'confirm', 7)?.at(-1)).toEqual({ step: 'resume', ms: 10 });
  });

  it('of prepare are the policy’s, of the request that it answered', () => {
    let times = timed(NO_TIMES, other, [{ do: 'decide', request: 1 } as never], 0);
    times = timed(times, other, [{ do: 'decide', request: 2 } as never], 10);
    times = timed(times, { on: 'policyDecided', request: 1 } as never, [], 30);
    expect(stepsOf(times, 'prepare', 6)).toBeUndefined();
    times = timed(times, { on: 'policyDecided', request: 2 } as never, [], 45);
    expect(stepsOf(times, 'prepare', 6)).toEqual([{ step: 'policy', ms: 35 }]);
  });

  it('have the slowest seven steps of a hook, in their order, and none that took no time', () => {
    const own = Array.from({ length: 20 }, (_, i) => ({
      device: 'd',
      name: `s${i}`,
      ms: i < 9 ? 0.2 : 30 - i,
    }));
    const begun = timed(NO_TIMES, other, [hook('resume', 1)], 0);
    const steps = stepsOf(timed(begun, done('resume', own), [], 50), 'confirm', 1)!;
    expect(steps.map(({ ms }) => ms)).toEqual([50, 21, 20, 19, 18, 17, 16, 15]);
    expect(steps[1]).toEqual({ step: 'hook', device: 'd', name: 's9', ms: 21 });
  });

  it('change nothing about other inputs, nor other messages', () => {
    const times = run(NO_TIMES, 'suspend', 7, 0, 1);
    expect(timed(times, other, [{ do: 'send' }], 9)).toBe(times);
    expect(timed(times, done('quiesce'), [], 9)).toBe(times);
    const cancel = message('cancel', 7);
    expect(withSteps(cancel, times)).toBe(cancel);
  });
});
