/** What `baton` says of sockets, views and events. */

import { expect, it, test } from 'vitest';
import { describe as describeBundle } from '../../src/cli/verbs/describe.ts';
import { events } from '../../src/cli/verbs/events.ts';
import { recall } from '../../src/cli/verbs/recall.ts';
import { causeText, connectText, fullReason, guardSocket } from '../../src/cli/words.ts';
import type { CliWorld, ControlClient } from '../../src/cli/world.ts';
import type { Json } from '../../src/common/lines.ts';

const PATH = '/run/baton/agent.sock';

it.each([
  [
    'connect EACCES x',
    'no agent at /run/baton/agent.sock: this user may not connect; run this as the user of baton-agent, or as root',
  ],
  [
    'connect ENOENT x',
    'no such socket; start baton-agent --config FILE, or name another socket with --socket',
  ],
  ['connect ECONNREFUSED x', 'nobody listens there any more; start baton-agent'],
  ['no answer', 'no agent at /run/baton/agent.sock: no answer; start baton-agent'],
])('of a connection that fails with %s: %s', (error, words) => {
  expect(connectText(error, 'agent', PATH)).toContain(words);
});

it.each([
  ['borrow', 'agent', 'the socket of the host: baton borrow takes that of an agent, by --socket'],
  ['lift', 'host', 'the socket of an agent: baton lift takes that of the host, by --socket'],
] as const)('of %s on the wrong socket', async (command, kind, words) => {
  const message = `"do" is ${JSON.stringify(command)}: expected status, describe, watch or another`;
  const client = { request: async () => ({ ok: false, error: { code: 'notPossible', message } }) };
  const guarded = guardSocket(client as unknown as ControlClient, command, kind, PATH);
  await expect(guarded.request({ do: command })).rejects.toThrow(`${PATH} is ${words}`);
});

it('passes other answers on', async () => {
  const answer = { ok: false, error: { code: 'unknownBundle', message: 'no bundle "do" is here' } };
  const client = { request: async () => answer } as unknown as ControlClient;
  expect(await guardSocket(client, 'borrow', 'agent', PATH).request({})).toBe(answer);
});

test.each([
  ['tableLost, isolation proved', ' (the host lost its table; the last holder is unknown)'],
  ['parked: expiry', ' (the lease is over)'],
  ['declined: quarantined', ' (the bundle is in quarantine; an operator must lift it)'],
  ['confirmed', ''],
])('describe has the sentence behind the reason %s', (reason, sentence) => {
  expect(fullReason({ evidence: 'observed', reason })).toBe(`${reason}${sentence}`);
});

test.each([
  ['reclaim', 'reclaim: the owner reclaimed it'],
  ['unheard-of', 'unheard-of'],
  [undefined, 'cause not told'],
])('the cause %s in words', (cause, words) => {
  expect(causeText(cause)).toBe(words);
});

/** Runs a command against a client that answers `answer`, then tells `event`. Returns what was printed. */
async function printed(
  run: (world: CliWorld, client: ControlClient, args: readonly string[]) => Promise<number>,
  args: readonly string[],
  answer: Json,
  event?: Json,
): Promise<string[]> {
  const lines: string[] = [];
  let tell: (event: Json) => void = () => {};
  const client = {
    request: async () => {
      if (event) tell(event);
      return answer;
    },
    onEvent: (listener: typeof tell) => {
      tell = listener;
    },
    ended: Promise.resolve('it ended'),
  };
  const world = {
    out: (line: string) => lines.push(line),
    err: (line: string) => lines.push(line),
    timeOfDay: () => '15:04:05.678',
    onSignal: () => () => {},
  };
  await run(world as unknown as CliWorld, client as unknown as ControlClient, args);
  return lines;
}

test('events have the time of day, round numbers, and texts in quotes', async () => {
  const event = { event: 'phase', bundle: 'panel', ms: 1.10000123, phases: { fence: 0.912345 }, cause: null };
  expect((await printed(events, ['--host', '-f'], { ok: true }, event))[0]).toBe(
    '15:04:05.678 phase bundle=panel ms=1.1 phases="fence 0.9 ms"',
  );
});

test('describe shows phases with their unit, and times without broken milliseconds', async () => {
  const view = {
    id: 1,
    ok: true,
    bundle: 'panel',
    leaseLeftMs: null,
    phases: { fence: 0.912345, settle: 1 },
    events: ['6513730.123456 parked (epoch 2)'],
  };
  expect(await printed(describeBundle, ['panel'], view)).toEqual([
    'bundle       panel',
    'leaseLeftMs  -',
    'phases       fence 0.9 ms, settle 1 ms',
    'last events (ms of the monotonic clock):',
    '  6513730 parked (epoch 2)',
  ]);
});

test('describe shows the time of day of its events, beside what the daemon’s clock said', async () => {
  const lines: string[] = [];
  const asked: (number | undefined)[] = [];
  const world = {
    out: (line: string) => lines.push(line),
    timeOfDay: (agoMs?: number) => {
      asked.push(agoMs);
      return '15:04:05.678';
    },
  };
  const events = ['6513730.5 parked (epoch 2)', '6514000 lent (epoch 3)', 'of no time'];
  const client = { request: async () => ({ ok: true, bundle: 'panel', nowMs: 6_514_010, events }) };
  await describeBundle(world as unknown as CliWorld, client as unknown as ControlClient, ['panel']);
  expect(lines.slice(1)).toEqual([
    'last events (time of day, ms of the monotonic clock):',
    '  15:04:05.678 6513731 parked (epoch 2)',
    '  15:04:05.678 6514000 lent (epoch 3)',
    '  of no time',
  ]);
  expect(asked).toEqual([279.5, 10]);
});

test.each([
  [[], true, 'asked back: its borrower has 2000 ms'],
  [
    ['--force', '--grace', '30s'],
    true,
    'recalled: by force after 30 s and the agreed notice, but not before the agreed minimum hold time is over',
  ],
  [
    ['--force'],
    null,
    'recalled: by force after 2000 ms and the agreed notice, where the enforcer can, but not before ' +
      'the agreed minimum hold time is over',
  ],
  [
    ['--force'],
    false,
    'asked back: its borrower has 2000 ms; this enforcer cannot force a return: it comes ' +
      'back when the borrower releases it, or its VM ends',
  ],
])('recall with %j promises what the enforcer can: %j', async (args, forceRevoke, said) => {
  expect(await printed(recall, ['panel', ...args], { ok: true, forceRevoke })).toEqual([
    `baton: panel: ${said}`,
  ]);
});

test('a word that every object knows has no sentence', () => {
  expect(fullReason({ evidence: 'observed', reason: 'vault rejected it: constructor' })).toBe(
    'vault rejected it: constructor',
  );
  expect(causeText('toString')).toBe('toString');
});
