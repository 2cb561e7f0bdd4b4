/** A program's output that this process comes to read late, since it had no processor for a while. */

import { EventEmitter } from 'node:events';
import { stat } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { type RunEnd, runOnce } from '../../targets/node/system/run-once.ts';

const child = Object.assign(new EventEmitter(), {
  pid: undefined,
  stdin: Object.assign(new EventEmitter(), { end: () => {} }),
  stdout: Object.assign(new EventEmitter(), { destroy: () => {} }),
  stderr: Object.assign(new EventEmitter(), { destroy: () => {} }),
});
vi.mock('node:child_process', () => ({ spawn: () => child }));

test('counts, although the end of the program is known before and every wait for its output is over', async () => {
  const end = new Promise<RunEnd>((done) => {
    runOnce({ command: ['program'], input: '', limitMs: 60_000, outputCharsMax: 100 }, done);
  });
  // As when one look at all children finds that this one has ended, too: its output is in the pipe, and not read yet.
  child.emit('exit', 0, null);
  stat('/', () => {
    child.stdout.emit('data', Buffer.from('an answer'));
    child.emit('close');
  });
  const endMs = performance.now() + 300;
  while (performance.now() < endMs);
  expect(await end).toEqual({ ok: true, output: 'an answer' });
});
