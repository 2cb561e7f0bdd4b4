/** Real processes that are killed with SIGKILL: the host while a bundle is lent, a program that borrowed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '../../src/common/lines.ts';
import { type Cast, DemoTestbed } from '../../targets/lab/demo/demo-testbed.ts';
import { checkAudit } from '../support/check-audit.ts';
import { paced } from '../support/pace.ts';

const DIST = join(import.meta.dirname, '../../dist');
const LIMIT_MS = paced(30_000);
const STEP_MS = paced(6_000);

/** `cast`: which agents, over what. */
export function restartSuite(name: string, cast: Cast): void {
  let testbed: DemoTestbed;
  const view = async () => ((await testbed.ask('host', { do: 'status' }))['bundles'] as Json[])[0]!;
  const stateOf = async (vm: string) =>
    ((await testbed.ask(vm, { do: 'status' }))['bundles'] as Json[])[0]!['state'];

  /** A host serves as soon as it asks the machine who reaches what, and before it has the answer. */
  const untilRead = () =>
    testbed.until(
      'the host has read the machine',
      STEP_MS,
      async () => (await view())['state'] !== 'starting',
    );

  async function borrow() {
    const client = await testbed.program('vault' as never);
    const answer = await client.request({ do: 'borrow', bundle: 'panel', purpose: 'pin', leaseMs: 20_000 });
    expect(answer['ok']).toBe(true);
    return { client, epoch: answer['epoch'] };
  }

  describe.sequential(`killed with SIGKILL, ${name}:`, () => {
    beforeEach(async () => {
      testbed = new DemoTestbed(DIST, cast);
      await testbed.start(3, { machine: [], host: [], vault: [] });
    }, LIMIT_MS);
    afterEach(() => testbed.stop());

    it(
      'the host while a borrower holds: its next run reads the machine, and the lease goes on',
      async () => {
        const { client, epoch } = await borrow();
        await testbed.until('confirmed', STEP_MS, async () => (await view())['confirmed'] === true);
        await testbed.killHost();
        await testbed.startHost([]);
        await untilRead();
        expect(await view()).toMatchObject({ state: 'held', holder: 'vault', epoch });
        expect(Number((await view())['leaseLeftMs'])).toBeLessThan(20_000);
        await testbed.until('vault may talk to the host again', STEP_MS, async () => {
          const back = await client.request({ do: 'return', bundle: 'panel' });
          return back['ok'] === true;
        });
        await testbed.until('android is back', STEP_MS, async () => (await stateOf('android')) === 'held');
        expect(await view()).toMatchObject({ holder: 'android' });
        const log = readFileSync(join(testbed.folder, 'host-state/audit.jsonl'), 'utf8');
        expect(checkAudit(log)).toMatchObject({ ok: true });
      },
      LIMIT_MS,
    );

    it(
      'the host with its table lost: quarantine until an operator lifts it',
      async () => {
        await testbed.killHost();
        const { rmSync } = await import('node:fs');
        rmSync(join(testbed.folder, 'host-state/table.journal'));
        await testbed.startHost([]);
        await untilRead();
        expect(await view()).toMatchObject({ state: 'quarantined', holder: null });
        await testbed.ask('host', { do: 'lift', bundle: 'panel' });
        await testbed.until(
          'android has claimed it',
          STEP_MS,
          async () => (await view())['holder'] === 'android',
        );
        await testbed.until('android resumed', STEP_MS, async () => (await stateOf('android')) === 'held');
        expect(await view()).toMatchObject({ state: 'held', holder: 'android' });
      },
      LIMIT_MS,
    );

    it(
      'the program that borrowed: the connection was the lease, the bundle goes back',
      async () => {
        const { client } = await borrow();
        client.close();
        await testbed.until('android is back', STEP_MS, async () => (await stateOf('android')) === 'held');
        expect(await view()).toMatchObject({ holder: 'android' });
      },
      LIMIT_MS,
    );
  });
}
