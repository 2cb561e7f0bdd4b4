/** What `baton offer` asks of the agent, and what it prints; how `borrow` and `status` show a place in the queue. */

import { expect, it } from 'vitest';
import { offer } from '../../src/cli/verbs/offer.ts';
import { queuedText, reasonText } from '../../src/cli/words.ts';
import { type CliWorld, type ControlClient, UsageError } from '../../src/cli/world.ts';
import type { Json } from '../../src/common/lines.ts';

async function run(answer: Json, ...args: string[]) {
  const asked: Json[] = [];
  const said: string[] = [];
  const world = { out: (line: string) => said.push(line), err: (line: string) => said.push(line) };
  const client = {
    request: async (request: Json) => {
      asked.push(request);
      return answer;
    },
  };
  const status = await offer(world as unknown as CliWorld, client as unknown as ControlClient, args);
  return { status, asked, said };
}

it('offers a bundle to a VM', async () => {
  const { status, asked, said } = await run(
    { ok: true },
    'panel',
    'vault',
    '--lease',
    '1m',
    '--reserve',
    '5',
  );
  expect(asked).toEqual([{ do: 'offer', bundle: 'panel', to: 'vault', leaseMs: 60_000, reservedMs: 5_000 }]);
  expect([status, said]).toEqual([0, ['baton: panel: offered to vault for 5000 ms']]);
});

it('says why it is not possible now', async () => {
  const no = { ok: false, error: { code: 'notNow', message: 'panel: somebody waits for it' } };
  const { status, said } = await run(no, 'panel', 'vault');
  expect([status, said]).toEqual([1, ['baton: panel: somebody waits for it']]);
});

it('needs a bundle and a VM', async () => {
  await expect(run({ ok: true }, 'panel')).rejects.toThrow(UsageError);
});

it('a place in the queue is told in words', () => {
  expect(queuedText(0, 28_400)).toBe('queued: next in turn, in 28 s at the latest');
  expect(queuedText(2, 61_000)).toMatch(/^queued: 2 before it, in 61 s at the latest/);
  const view = { reason: 'queued', place: { position: 0, expectedMs: 1_000 } };
  expect(reasonText(view)).toBe('queued: next in turn, in 1000 ms at the latest');
  expect(reasonText({ reason: 'lent to vault', waiting: ['kiosk', 'till'] })).toBe(
    'lent to vault; waiting: kiosk, till',
  );
});
