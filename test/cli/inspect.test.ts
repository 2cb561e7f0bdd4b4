/** `baton status` of a host that cannot write. */

import { expect, it } from 'vitest';
import { status } from '../../src/cli/inspect.ts';
import type { CliWorld, ControlClient } from '../../src/cli/world.ts';

it.each([
  ['EFBIG: file too large', ['NOT WRITTEN: EFBIG: file too large']],
  [null, []],
])('status with the write fault %s shows %j below the table', async (writeFault, shown) => {
  const lines: string[] = [];
  const world = { out: (line: string) => lines.push(line) } as unknown as CliWorld;
  const client = { request: async () => ({ ok: true, bundles: [], writeFault }) };
  await status(world, client as unknown as ControlClient, []);
  expect(lines.slice(1)).toEqual(shown);
});
