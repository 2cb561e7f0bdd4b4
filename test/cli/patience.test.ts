/** Commands of which each is one question, against a daemon that takes the connection and answers nothing. */

import { expect, it } from 'vitest';
import { events } from '../../src/cli/events.ts';
import { describe } from '../../src/cli/inspect.ts';
import type { CliWorld, ControlClient } from '../../src/cli/world.ts';
import { VirtualClock } from '../../src/simulation/virtual-clock.ts';

it.each([
  ['describe', describe, ['panel']],
  ['events', events, []],
  ['events -f', events, ['-f']],
] as const)('%s ends with a sentence', async (_, run, args) => {
  const clock = new VirtualClock();
  const world = { after: (ms: number, fire: () => void) => clock.after(ms, fire) };
  const client = { request: () => new Promise(() => {}), onEvent: () => {} };
  const done = run(world as unknown as CliWorld, client as unknown as ControlClient, args);
  const told = expect(done).rejects.toThrow('the daemon does not answer: is it stopped?');
  clock.advance(5_000);
  await told;
});

it('a question that is answered leaves no timer behind', async () => {
  const clock = new VirtualClock();
  const world = { after: (ms: number, fire: () => void) => clock.after(ms, fire), out: () => {} };
  const client = { request: async () => ({ ok: true, events: [] }), onEvent: () => {} };
  await events(world as unknown as CliWorld, client as unknown as ControlClient, []);
  expect(clock.nextMs()).toBeUndefined();
});
