/** `baton status` of a host that cannot write. */

import { expect, it } from 'vitest';
import { status } from '../../src/cli/verbs/status.ts';
import type { CliWorld, ControlClient } from '../../src/cli/world.ts';

it.each([
  ['EFBIG: file too large', ['NOT WRITTEN: EFBIG: file too large']],
  [null, []],
])('status with the write fault %s shows %j below the table', async (writeFault, shown) => {
  const lines: string[] = [];
  const world = { out: (line: string) => lines.push(line), after: () => () => {} } as unknown as CliWorld;
  const client = { request: async () => ({ ok: true, bundles: [], writeFault }) };
  await status(world, client as unknown as ControlClient, []);
  expect(lines.slice(1)).toEqual(shown);
});

it('status says what is amiss with a party that has a session', async () => {
  const lines: string[] = [];
  const world = { out: (line: string) => lines.push(line), after: () => () => {} } as unknown as CliWorld;
  const peers = [
    { peer: 'vault', up: true, forMs: 5, hint: 'two processes with its name and keys take turns' },
    { peer: 'lidar', up: true, forMs: 5 },
  ];
  const client = { request: async () => ({ ok: true, bundles: [], peers }) };
  await status(world, client as unknown as ControlClient, []);
  expect(lines.slice(1)).toEqual(['vault: two processes with its name and keys take turns']);
});
