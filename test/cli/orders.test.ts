/** What `baton lift`, `recall` and `borrow` say that they did, or wait for: one line each. */

import { expect, test } from 'vitest';
import { Holding } from '../../src/cli/holding.ts';
import { lift } from '../../src/cli/verbs/lift.ts';
import { recall } from '../../src/cli/verbs/recall.ts';
import type { CliWorld, ControlClient } from '../../src/cli/world.ts';
import type { Json } from '../../src/common/lines.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';

type Order = typeof lift;

/** Runs an order against a daemon that answers `answers` in turn, and the last one ever after. */
async function run(order: Order, answers: readonly Json[], ...args: string[]) {
  const clock = new VirtualClock();
  const said: string[] = [];
  const left = [...answers];
  const world = {
    nowMs: () => clock.nowMs(),
    after: (ms: number, fire: () => void) => clock.after(ms, fire),
    out: (line: string) => said.push(line),
    err: (line: string) => said.push(line),
  };
  const client = { request: async () => ({ ok: true, ...(left.length > 1 ? left.shift() : left[0]) }) };
  let status: number | undefined;
  void order(world as unknown as CliWorld, client as unknown as ControlClient, ['panel', ...args]).then(
    (given) => {
      status = given;
    },
  );
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  for (await settled(); status === undefined && clock.step(600_000); ) await settled();
  return { status, said };
}

const BEGUN = { lifted: 'quarantine', state: 'moving', reason: 'lift' };
test.each<[string, readonly Json[], number, string]>([
  [
    'to its owner',
    [BEGUN, { state: 'moving' }, { state: 'held', holder: 'android' }],
    0,
    'lifted: android holds it',
  ],
  ['to nobody', [BEGUN, { state: 'parked' }], 0, 'lifted: nobody holds it, its owner gets it'],
  [
    'and fails',
    [BEGUN, { state: 'quarantined', reason: 'resetFailed, isolation proved' }],
    1,
    'not lifted, in quarantine again: resetFailed, isolation proved',
  ],
  [
    'and takes its time',
    [BEGUN],
    0,
    'the lift is not finished: moving; baton status --host shows its outcome',
  ],
  [
    'of rejections',
    [{ lifted: 'rejections', state: 'held', holder: 'android' }],
    0,
    'borrowers that rejected its evidence may borrow again',
  ],
  [
    'of nothing',
    [{ lifted: 'nothing', state: 'held' }],
    0,
    'nothing to lift: it is not in quarantine, and no borrower is barred',
  ],
])('a lift %s', async (_, answers, status, text) => {
  const ran = await run(lift, answers);
  expect(ran.status).toBe(status);
  expect(ran.said).toEqual([expect.stringContaining(`baton: panel: ${text}`)]);
});

test('a lift as JSON is the view at its end', async () => {
  const { said } = await run(lift, [BEGUN, { state: 'parked', bundle: 'panel', events: ['x'] }], '--json');
  expect(said.map((line) => JSON.parse(line))).toEqual([
    { ok: true, state: 'parked', bundle: 'panel', lifted: 'quarantine' },
  ]);
});

test('recall --wait says what it waits for, and how that ended', async () => {
  expect(
    await run(recall, [{ forceRevoke: true }, { state: 'lent' }, { state: 'held' }], '--wait', '3s'),
  ).toEqual({
    status: 0,
    said: [
      'baton: panel: asked back: its borrower has 2000 ms; waiting until it is back, 3000 ms at most',
      'baton: panel: back',
    ],
  });
  const notLent = { ok: false, error: { code: 'notLent', message: 'panel: it is resuming, not lent' } };
  expect((await run(recall, [notLent, { state: 'held' }], '-w')).said).toEqual([
    'baton: panel: waiting until it is back, 12 s at most',
    'baton: panel: back',
  ]);
});

test('a recall of what was only offered says that nobody had it', async () => {
  expect(await run(recall, [{ isOffer: true }])).toEqual({
    status: 0,
    said: ['baton: panel: the offer is withdrawn: no borrower had it'],
  });
});

const SILENT = { forceRevoke: true, hostSilent: { peer: 'host', up: false, forMs: 9_000, heardMs: 9_400 } };
test('a recall while the host is silent says so at once, and is no success', async () => {
  const silent =
    'baton: panel: the borrower was asked, but the host is silent, and nothing comes back before it answers: ' +
    'no session with host for 9000 ms, last heard 9400 ms ago';
  expect(await run(recall, [SILENT], '--force')).toEqual({ status: 1, said: [silent] });
  expect(await run(recall, [SILENT, { state: 'lent' }], '--wait', '1s')).toEqual({
    status: 124,
    said: [
      `${silent}; waiting until it is back, 1000 ms at most`,
      'baton: panel: not back within the wait: lent',
    ],
  });
});

test.each([
  [undefined, 'baton: panel: held at epoch 2 for 30 s; Ctrl-C gives it back'],
  [['true'], 'baton: panel: held at epoch 2 for 30 s'],
])('what is held says how it is given back, where no command ends it: %j', (rest, text) => {
  const said: string[] = [];
  const child = { ended: new Promise(() => {}), left: () => [], release: () => {} };
  const world = { err: (line: string) => said.push(line), onSignal: () => () => {}, spawn: () => child };
  const words = { flags: new Set(), values: new Map(), rest };
  const client = { ended: new Promise(() => {}) };
  void new Holding(world as never, client as never, 'panel', words as never).run(
    { epoch: 2, leaseMs: 30_000 },
    '',
  );
  expect(said).toEqual([text]);
});
