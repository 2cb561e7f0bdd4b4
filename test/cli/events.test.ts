/** `baton events` and `baton recall --wait` against a daemon that answers what the test says, on a virtual clock. */

import { expect, test } from 'vitest';
import { events } from '../../src/cli/verbs/events.ts';
import { recall } from '../../src/cli/verbs/recall.ts';
import type { CliWorld, ControlClient } from '../../src/cli/world.ts';
import type { Json } from '../../src/common/lines.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';

const DAY_MS = 86_400_000;
/** It is noon. */
function worldOf(lines: string[], clock = new VirtualClock()): CliWorld {
  const time = (agoMs = 0) => new Date(DAY_MS / 2 - agoMs + 10 * DAY_MS).toISOString();
  return {
    out: (line: string) => lines.push(line),
    err: (line: string) => lines.push(line),
    timeOfDay: (agoMs = 0) => time(agoMs).slice(11, 23),
    isoTime: time,
    onSignal: () => () => {},
    nowMs: () => clock.nowMs(),
    after: (ms: number, fire: () => void) => clock.after(ms, fire),
  } as unknown as CliWorld;
}

const PAST = Array.from({ length: 30 }, (_, index) => ({ event: `e${index}`, agoMs: (30 - index) * 60_000 }));

/** What `baton events` prints of 30 events, one a minute, and of one that happens while it is asked. */
async function printed(...args: string[]): Promise<{ lines: string[]; asked: Json; status: number }> {
  const lines: string[] = [];
  let asked: Json = {};
  let tell: (event: Json) => void = () => {};
  const client = {
    request: async (request: Json) => {
      asked = request;
      tell({ event: 'now' });
      return { ok: true, past: PAST, events: PAST };
    },
    onEvent: (listener: typeof tell) => {
      tell = listener;
    },
    ended: Promise.resolve('it ended'),
  };
  const status = await events(worldOf(lines), client as unknown as ControlClient, args);
  return { lines, asked, status };
}

test('events prints what the daemon still has, and ends', async () => {
  const { lines, asked, status } = await printed();
  expect([lines.length, lines[0], lines.at(-1)]).toEqual([30, '11:30:00.000 e0 ', '11:59:00.000 e29 ']);
  expect([asked, status]).toEqual([{ do: 'events' }, 0]);
});

test('events -f begins with the last ten, and goes on with what happens', async () => {
  const { lines, asked, status } = await printed('-f');
  expect(asked).toEqual({ do: 'watch', past: true });
  expect([lines.length, lines[0], lines.at(-2)]).toEqual([12, '11:50:00.000 e20 ', '12:00:00.000 now ']);
  expect([lines.at(-1), status]).toEqual(['baton: the daemon ended: it ended', 69]);
});

test.each([
  [['--since', '5m'], 5],
  [['--since', '90'], 1],
  [['--since', '11:50'], 10],
  [['--since', '11:50:01'], 9],
  // Of yesterday.
  [['--since', '13:00'], 30],
  [['--since', '10m', '-n', '2'], 2],
  [['-n', '3'], 3],
  [['-n', '0'], 0],
])('events %j prints %i of them', async (args, count) => {
  expect((await printed(...args)).lines).toHaveLength(count);
});

test('events --json has the time of each', async () => {
  const [first] = (await printed('--json')).lines;
  expect(JSON.parse(first!)).toEqual({ time: '1970-01-11T11:30:00.000Z', event: 'e0' });
});

test.each([
  [['--since', 'noon'], '--since "noon": expected a time ago'],
  [['--since', '24:00'], 'or a time of day, as 14:30 or 14:30:05'],
  [['-n', 'all'], '--lines "all": expected a number'],
  [['panel'], 'events takes no further word'],
])('events %j is refused: %s', async (args, message) => {
  await expect(printed(...args)).rejects.toThrow(message);
});

/** `baton recall panel` of a bundle that has each of these states in turn, one at each look. */
async function recalled(answer: Json, states: readonly string[], ...args: string[]) {
  const lines: string[] = [];
  const clock = new VirtualClock();
  const left = [...states];
  const client = {
    request: async (request: Json): Promise<Json> =>
      request['do'] === 'recall' ? answer : { ok: true, state: left.length > 1 ? left.shift() : left[0] },
  };
  let status: number | undefined;
  const done = recall(worldOf(lines, clock), client as unknown as ControlClient, ['panel', ...args]);
  void done.then((ended) => {
    status = ended;
  });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  await settled();
  while (status === undefined && clock.step(600_000)) await settled();
  return { status, said: lines.at(-1), ms: clock.nowMs() };
}

const OK = { ok: true };
const NOT_LENT = { ok: false, error: { code: 'notLent', message: 'panel: it is held, not lent' } };
const NOT_OWNER = {
  ok: false,
  error: { code: 'notOwner', message: 'panel: only its owner recalls a bundle' },
};
test.each([
  ['comes back', OK, ['lent', 'resuming', 'held'], ['-w'], { status: 0, said: 'baton: panel: back' }],
  ['is there already', NOT_LENT, ['held'], ['-w'], { status: 0, said: 'baton: panel: back' }],
  ['is on its way back', NOT_LENT, ['resuming', 'held'], ['-w'], { status: 0, said: 'baton: panel: back' }],
  [
    'does not come',
    OK,
    ['lent'],
    ['--wait', '3s'],
    { status: 124, said: 'baton: panel: not back within the wait: lent', ms: 3_000 },
  ],
  ['does not come, by default', OK, ['lent'], ['-w', '--grace', '5'], { status: 124, ms: 15_000 }],
  ['comes to quarantine', OK, ['lent', 'quarantined'], ['-w'], { status: 1 }],
  ['comes back to a driver that fails', OK, ['lent', 'failed'], ['-w'], { status: 1 }],
  [
    'is another’s',
    NOT_OWNER,
    ['held'],
    ['-w'],
    { status: 1, said: 'baton: panel: only its owner recalls a bundle' },
  ],
  ['is not lent, without a wait', NOT_LENT, ['held'], [], { status: 1 }],
])('recall of a bundle that %s', async (_, answer, states, args, end) => {
  expect(await recalled(answer, states, ...args)).toMatchObject(end);
});
