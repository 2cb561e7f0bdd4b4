/**
 * Testbeds that fail midway, or never end: `BATON_MIDWAY` names those that play. None of them ends what it has started.
 */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { beforeAll, describe, it } from 'vitest';

const [testbed = '', , file = ''] = (process.env['BATON_MIDWAY'] ?? '').split(' ');

/** A process in a session of its own, and one that it starts; by this text in their environment they are known. */
function start(): Promise<void> {
  const mark = `testbed ${file}`;
  const env = { ...process.env, BATON_TESTBED: mark };
  const child = spawn('sh', ['-c', 'sleep 61 & exec sleep 62'], { detached: true, stdio: 'ignore', env });
  writeFileSync(file, mark);
  return new Promise((resolve) => child.once('spawn', resolve));
}

describe.runIf(testbed === 'throws')('a testbed whose start throws', () => {
  beforeAll(async () => {
    await start();
    throw new Error('midway');
  });
  it('is never there', () => {});
});

describe.runIf(testbed === 'late')('a testbed whose start takes too long, and goes on', () => {
  beforeAll(async () => {
    await start();
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await start();
    await new Promise(() => {});
  });
  it('is never there', () => {});
});

describe('beside them', () => {
  it.runIf(testbed === 'late')(
    'something takes its time',
    () => new Promise((done) => setTimeout(done, 500)),
  );
  it.runIf(testbed === 'hangs')(
    'a test hangs until the run is killed',
    async () => {
      await start();
      await new Promise(() => {});
    },
    60_000,
  );
});
