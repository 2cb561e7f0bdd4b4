/** The last line of the demo: what held, and whether a sabotage was caught. */

import { expect, it } from 'vitest';
import type { CliWorld } from '../../src/cli/world.ts';
import { DemoReport } from '../../targets/lab/demo/demo-report.ts';

it.each([
  [[true, true], undefined, true, '2 of 2 expectations held'],
  [[true, false], undefined, false, '1 of 2 expectations held'],
  [
    [true, false],
    'skip-sync',
    false,
    '1 of 2 expectations held: failed, as it must under sabotage skip-sync',
  ],
  [[true, true], 'skip-sync', true, '2 of 2 expectations held: the sabotage skip-sync was NOT caught'],
])('of %j under sabotage %s', (held, sabotage, ok, last) => {
  const lines: string[] = [];
  const report = new DemoReport({ out: (line: string) => lines.push(line) } as unknown as CliWorld, false);
  for (const each of held) report.expect('a thing', each, 'a reason');
  expect(report.summary(sabotage)).toBe(ok);
  expect(lines.at(-1)).toBe(last);
  // A reason stands where it was found, not again at the end.
  expect(lines.filter((line) => line.includes('a reason'))).toHaveLength(held.filter((each) => !each).length);
});
