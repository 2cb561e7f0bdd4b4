/**
 * `baton status` of real processes: who was killed or stopped is not shown as alive, and why there is no session is
 * said. All tests of a transport share a testbed, and come in an order in which each starts again what the last one
 * killed.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../../src/common/lines.ts';
import { DemoTestbed } from '../../targets/lab/demo/demo-testbed.ts';
import { connectControl } from '../../targets/node/cli/control-client.ts';
import { paced } from '../support/pace.ts';

const DIST = join(import.meta.dirname, '../../dist');
const LIMIT_MS = paced(30_000);
const STEP_MS = paced(6_000);

describe.sequential.each(['stream', 'mqtt'] as const)('over %s', (transport) => {
  const testbed = new DemoTestbed(DIST, { agents: {}, transport });
  beforeAll(() => testbed.start(3, { machine: [], host: [], vault: [] }), LIMIT_MS);
  afterAll(() => testbed.stop());

  const peer = async (of: string, name: string) =>
    ((await testbed.ask(of, { do: 'status' }))['peers'] as Json[]).find((each) => each['peer'] === name)!;
  const baton = (...args: string[]) => {
    const words = [join(DIST, 'baton.mjs'), ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
    return { status, out: stdout, err: stderr };
  };
  const socket = (of: string) => join(testbed.folder, `${of}.sock`);
  const borrowOneSecond = () =>
    baton('borrow', 'panel', '--purpose', 'pin', '-w', '1s', '--socket', socket('vault'), '--', 'true');
  const isWell = async () => {
    for (const [of, name] of [
      ['host', 'android'],
      ['host', 'vault'],
      ['vault', 'android'],
      ['vault', 'host'],
    ] as const)
      if ((await peer(of, name))['up'] !== true) return false;
    return true;
  };

  it('a name that is none is an error, with the one that was meant', () => {
    expect(baton('status', 'panle', '--socket', socket('vault'))).toMatchObject({
      status: 1,
      err: expect.stringContaining('did you mean "panel"?'),
    });
  });

  it(
    'a host that is stopped is silent in log and status, and says itself that it was',
    async () => {
      await testbed.until('everybody has a session with everybody', STEP_MS, isWell);
      // The host is watched while something is lent; idle parties send nothing.
      const lessee = await connectControl(socket('vault'));
      const terms = { leaseMs: 60_000, purpose: 'pin', evidence: 'none' };
      expect(await lessee.request({ do: 'borrow', bundle: 'panel', ...terms })).toMatchObject({ ok: true });
      testbed.signalHost('SIGSTOP');
      await testbed.until('it is missed', STEP_MS, async () => (await peer('vault', 'host'))['up'] === false);
      const said = (text: string) => testbed.complaints.some((line) => line.includes(text));
      await testbed.until('an agent says that it is silent', STEP_MS, () =>
        said('the host is silent: last heard'),
      );
      expect((await peer('vault', 'host'))['heardMs']).toBeGreaterThan(3_000);
      testbed.signalHost('SIGCONT');
      await testbed.until('the host says so', STEP_MS, () => said('the host did not run for'));
      await testbed.until(
        'it is heard again',
        STEP_MS,
        async () => (await peer('vault', 'host'))['up'] === true,
      );
      expect((await testbed.ask('host', { do: 'status' }))['stopped']).toMatchObject({
        forMs: expect.any(Number),
      });
      expect(baton('status', 'panel', '--host', '--socket', socket('host')).out).toContain(
        'the host did not run for',
      );
      lessee.close();
    },
    LIMIT_MS,
  );

  it(
    'all is well, then the host is killed',
    async () => {
      await testbed.until('everybody has a session with everybody', STEP_MS, isWell);
      await testbed.until(
        'status is 0',
        STEP_MS,
        () => baton('status', '--socket', socket('vault')).status === 0,
      );
      await testbed.killHost();
      for (const vm of ['vault', 'android']) {
        // What was heard a tenth of a second ago counts as fresh, and the broker may still have had something of it.
        await testbed.until('it is missed', STEP_MS, async () => (await peer(vm, 'host'))['up'] === false);
        const { status, out } = baton('status', '--socket', socket(vm));
        expect(out).toMatch(/^no session with host for .*, last heard \d+ m?s ago: /m);
        expect(status).toBe(81);
      }
      const borrow = borrowOneSecond();
      expect(borrow.err).toMatch(/no session with host for .*: /);
      if (transport === 'stream') expect(borrow.err).toContain('not connected to the host at unix:');
    },
    LIMIT_MS,
  );

  it(
    'an agent is killed: host and the other agent miss it, and nobody else',
    async () => {
      await testbed.startHost([]);
      await testbed.until('everybody has a session with everybody', STEP_MS, isWell);
      process.kill(testbed.agentOf('vault'), 'SIGKILL');
      // What was heard a tenth of a second ago counts as fresh.
      await testbed.until(
        'the host misses it',
        STEP_MS,
        async () => (await peer('host', 'vault'))['up'] === false,
      );
      expect(await peer('host', 'android')).toMatchObject({ up: true });
      await testbed.until(
        'android misses it',
        STEP_MS,
        async () => (await peer('android', 'vault'))['up'] === false,
      );
      expect(await peer('android', 'host')).toMatchObject({ up: true });
      expect(baton('status', '--host', '--socket', socket('host')).out).toMatch(
        /^no session with vault for /m,
      );
    },
    LIMIT_MS,
  );

  if (transport === 'mqtt')
    it(
      'the broker is killed: nobody is shown as alive, and everybody says why',
      async () => {
        await testbed.ask('bench', { do: 'killVm', vm: 'vault' });
        await testbed.startVm('vault' as never);
        await testbed.until('everybody has a session with everybody', STEP_MS, isWell);
        testbed.killBroker();
        for (const [of, name] of [
          ['host', 'vault'],
          ['vault', 'host'],
          ['vault', 'android'],
        ] as const)
          await testbed.until(`${of} knows why there is no way to ${name}`, STEP_MS, async () => {
            const { up, hint } = await peer(of, name);
            return (
              up === false && /not connected to the broker at mqtt:.*(closed|ECONNREFUSED)/.test(String(hint))
            );
          });
        const borrow = borrowOneSecond();
        expect(borrow.err).toContain('no session with host');
        expect(borrow.err).toContain('not connected to the broker');
      },
      LIMIT_MS,
    );
});
