/**
 * A borrower whose device tree is no longer what the bundle file says, all parties real processes: the grant is
 * rejected, nothing resumes, `baton` says why on both sides, and a lift after the tree was mended lets it borrow
 * again.
 */

import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Json } from '../../src/common/lines.ts';
import { DemoTestbed } from '../../targets/lab/demo/demo-testbed.ts';
import { VAULT } from '../../targets/lab/machine/board.ts';
import { paced } from '../support/pace.ts';

const DIST = join(import.meta.dirname, '../../dist');
const STEP_MS = paced(6_000);
const trees = mkdtempSync(join(tmpdir(), 'baton-trees-'));
cpSync(join(import.meta.dirname, '../fixtures'), trees, { recursive: true });
const testbed = new DemoTestbed(DIST, { trees });
beforeAll(() => testbed.start(3, { machine: [], host: [], vault: [] }));
afterAll(async () => {
  await testbed.stop();
  rmSync(trees, { recursive: true });
});

/** Vault's touch interrupt in its tree: SPI 45, by level or by edge. */
function setTrigger(trigger: 'level' | 'edge'): void {
  const file = join(trees, 'vault.dtb');
  const blob = readFileSync(file);
  const at = ['level', 'edge'].map((each) => blob.indexOf(line(each))).find((found) => found >= 0)!;
  line(trigger).copy(blob, at);
  writeFileSync(file, blob);
}
function line(trigger: string): Buffer {
  const cells = Buffer.alloc(12);
  cells.writeUInt32BE(45, 4);
  cells.writeUInt32BE(trigger === 'level' ? 4 : 1, 8);
  return cells;
}

/** Ends vault's VM and starts it again, with whatever its tree says now. */
async function restartVault(): Promise<void> {
  await testbed.ask('bench', { do: 'killVm', vm: VAULT });
  await testbed.startVm(VAULT);
}

/** `baton` at the socket of a party: its status, and all that it printed. */
function baton(party: string, ...words: string[]): Promise<{ status: number; output: string }> {
  const [verb = '', ...rest] = words;
  const socket = ['--socket', join(testbed.folder, `${party}.sock`)];
  return new Promise((resolve) => {
    const args = [join(DIST, 'baton.mjs'), verb, ...socket, ...rest];
    execFile(process.execPath, args, { timeout: STEP_MS }, (error, out, err) =>
      resolve({ status: error ? Number(error.code ?? -1) : 0, output: out + err }),
    );
  });
}

it('rejects what its tree does not say, and borrows again after tree and bar are mended', async () => {
  const why = 'touch.interrupt0 trigger level, expected edge';
  setTrigger('edge');
  await restartVault();
  const checked = await baton('vault', 'check-config', join(testbed.folder, 'vault.json'));
  expect(checked.status).toBe(0);
  expect(checked.output).toContain(
    `each grant of panel will be rejected: the bundle file is not what the tree says: ${why} by `,
  );

  const refused = await baton('vault', 'borrow', 'panel', '--purpose', 'pin', '--', 'true');
  expect(refused).toMatchObject({ status: 80, output: expect.stringContaining(why) });
  const host = async () => ((await testbed.ask('host', { do: 'status' }))['bundles'] as Json[])[0]!;
  await testbed.until('android has it back', STEP_MS, async () => {
    const { holder, confirmed } = await host();
    return holder === 'android' && confirmed === true;
  });
  expect((await baton('vault', 'status')).output).toContain(`rejected: ${why}`);
  expect((await baton('host', 'status', '--host')).output).toContain(`vault rejected it: ${why}`);
  const { driver } = ((await testbed.ask('vault', { do: 'status' }))['bundles'] as Json[])[0]!;
  expect(driver).toBe('suspended');

  // No second try: it is barred.
  const barred = await baton('vault', 'borrow', 'panel', '--purpose', 'pin', '-n', '--', 'true');
  expect(barred.status).toBe(75);
  expect(barred.output).toContain('rejected its last grant');

  setTrigger('level');
  await restartVault();
  expect((await baton('host', 'lift', 'panel')).status).toBe(0);
  expect(await baton('vault', 'borrow', 'panel', '--purpose', 'pin', '--', 'true')).toMatchObject({
    status: 0,
  });
});

it('--host at the socket of an agent is refused, not answered with the agent’s view', async () => {
  expect(await baton('vault', 'status', '--host')).toMatchObject({
    status: 64,
    output: expect.stringContaining('--host takes the socket of the host'),
  });
  expect((await baton('host', 'status', '--host')).status).toBe(0);
});
