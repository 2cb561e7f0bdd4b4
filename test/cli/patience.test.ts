/** Every command that asks a daemon, against one that takes the connection and answers nothing, or no more. */

import { expect, it } from 'vitest';
import { hurried } from '../../src/cli/patience.ts';
import { type ControlClient, EXIT } from '../../src/cli/world.ts';
import type { Json } from '../../src/common/lines.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';
import { statusOf } from '../../targets/node/cli/cli.ts';
import { COMMANDS } from '../../targets/node/cli/commands.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';

/** What commands that ask no daemon ask. */
const ALONE = ['audit', 'check-config', 'doctor', 'enforcer-test', 'history', 'init', 'plan'];

const HUNG = [EXIT.unavailable, 5_000] as const;
/** The words of each command that asks a daemon, its exit status, and when it ends, in ms. */
const CASES: Readonly<Record<string, readonly (readonly [words: string, status: number, ms: number])[]>> = {
  // It waits as long as the agent was told to, and for a handover that has begun by then.
  borrow: [['panel -w 2s', EXIT.waited, 17_000]],
  return: [['panel', ...HUNG]],
  recall: [
    ['panel', ...HUNG],
    ['panel --wait', ...HUNG],
    ['panel --wait 20s', ...HUNG],
    ['panel --wait 2s', EXIT.waited, 2_000],
  ],
  offer: [['panel vault', ...HUNG]],
  sleep: [['', ...HUNG]],
  wake: [['', ...HUNG]],
  status: [
    ['', ...HUNG],
    ['-w', ...HUNG],
  ],
  describe: [['panel', ...HUNG]],
  events: [
    ['', ...HUNG],
    ['-f', ...HUNG],
  ],
  lift: [['panel', ...HUNG]],
};

/** Time between two looks, and after which a command that has not ended waits for ever, in ms. */
const STEP_MS = 50;
const EVER_MS = 120_000;

/** Runs a command against `answer`, which returns undefined where the daemon hangs. */
async function run(words: readonly string[], answer: (request: Json) => Json | undefined) {
  const clock = new VirtualClock();
  const err: string[] = [];
  const client: ControlClient = {
    request: (request) => {
      const given = answer(request);
      return given ? Promise.resolve(given) : new Promise(() => {});
    },
    onEvent: () => {},
    ended: new Promise(() => {}),
    close: () => {},
  };
  const world = {
    env: {},
    connect: async () => client,
    nowMs: () => clock.nowMs(),
    after: (ms: number, fire: () => void) => clock.after(ms, fire),
    onSignal: () => () => {},
    timeOfDay: () => '12:00:00.000',
    out: () => {},
    err: (line: string) => err.push(line),
  };
  let status: number | undefined;
  void statusOf(COMMANDS, words, world as unknown as FileWorld).then((given) => {
    status = given;
  });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  for (await settled(); status === undefined && clock.nowMs() < EVER_MS; await settled())
    clock.advance(STEP_MS);
  return { status, ms: clock.nowMs(), err };
}

it('there is a case for every command that asks a daemon, and no other asks one', () => {
  const asks = Object.keys(COMMANDS).filter((name) => COMMANDS[name]!.daemon !== undefined);
  expect(Object.keys(CASES).sort()).toEqual(asks.sort());
  expect(
    Object.keys(COMMANDS)
      .filter((name) => !asks.includes(name))
      .sort(),
  ).toEqual([...ALONE].sort());
});

it.each(
  // Of the table itself: a command without a case fails here.
  Object.entries(COMMANDS)
    .filter(([, { daemon }]) => daemon !== undefined)
    .flatMap(([name]) =>
      (CASES[name] ?? [['panel', ...HUNG] as const]).map((each) => [name, ...each] as const),
    ),
)('baton %s %s ends with %i after %i ms, and says why', async (name, words, status, ms) => {
  const ran = await run([name, ...words.split(' ').filter(Boolean)], () => undefined);
  expect(ran).toMatchObject({ status, ms });
  expect(ran.err).toHaveLength(1);
  expect(ran.err[0]).toMatch(/does not answer/);
});

it.each([
  ['20s', EXIT.unavailable, 5_000],
  ['3s', EXIT.waited, 3_000],
])('recall --wait %s of an agent that hangs after it has called in', async (wait, status, ms) => {
  const ran = await run(['recall', 'panel', '--wait', wait], (request) =>
    request['do'] === 'recall' ? { ok: true, forceRevoke: true } : undefined,
  );
  expect(ran).toMatchObject({ status, ms });
});

it('an order is waited for as long as the daemon lives, and no longer', async () => {
  let left = 7;
  const events = { ok: true, events: [] };
  const ran = await run(['return', 'panel'], ({ do: what }) =>
    what === 'events' && left-- > 0 ? events : undefined,
  );
  // It answers once a second, and then no more.
  expect(ran).toMatchObject({ status: EXIT.unavailable, ms: 7_000 + 5_000 });
  expect(ran.err[0]).toContain('What was asked for may still be done');
});

it('what is answered leaves no timer behind', async () => {
  for (const what of ['events', 'return']) {
    const clock = new VirtualClock();
    const world = { after: (ms: number, fire: () => void) => clock.after(ms, fire) };
    const client = { request: async () => ({ ok: true }) } as unknown as ControlClient;
    await hurried(world, client).request({ do: what });
    expect(clock.nextMs()).toBeUndefined();
  }
});
