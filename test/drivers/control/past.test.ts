/** The last events of a daemon. */

import { expect, it } from 'vitest';
import { Past } from '../../../src/drivers/control/past.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';

it('keeps the last hundred, with how long ago each was', () => {
  const clock = new VirtualClock();
  const past = new Past(clock);
  for (let number = 0; number < 150; number++) {
    past.add({ event: 'e', number });
    clock.advance(10);
  }
  const listed = past.list();
  expect(listed).toHaveLength(100);
  expect(listed[0]).toEqual({ event: 'e', number: 50, agoMs: 1_000 });
  expect(listed.at(-1)).toEqual({ event: 'e', number: 149, agoMs: 10 });
});

it('answers with no more than a line takes, the newest', () => {
  const past = new Past(new VirtualClock());
  for (let number = 0; number < 100; number++) past.add({ number, reason: '\u202e'.repeat(1_000) });
  const listed = past.list();
  expect(listed.length).toBeGreaterThan(10);
  expect(listed.length).toBeLessThan(100);
  expect(listed.at(-1)).toMatchObject({ number: 99 });
});
