/** Facts that come while one is dealt with: what one leads to is never carried out in the middle of another. */

import { expect, it } from 'vitest';
import { FactQueue } from '../../src/drivers/fact-queue.ts';

/** A queue whose facts lead to others at once; what it did, in order. */
function made(leadsTo: Readonly<Record<string, readonly string[]>>) {
  const did: string[] = [];
  const queue: FactQueue<string> = new FactQueue(
    (fact) => {
      did.push(`begins ${fact}`);
      for (const next of leadsTo[fact] ?? []) queue.feed(next);
      did.push(`ends ${fact}`);
      if (fact === 'stop') queue.stop();
      if (fact === 'bad') throw new Error('bad');
    },
    () => did.push('rests'),
  );
  return { did, queue };
}

it('a fact that comes in the middle of another waits for its end, in its turn', () => {
  const { did, queue } = made({ a: ['b', 'c'], b: ['d'] });
  queue.feed('a');
  const order = ['a', 'b', 'c', 'd'].flatMap((fact) => [`begins ${fact}`, `ends ${fact}`]);
  expect(did).toEqual([...order, 'rests']);
  queue.feed('c');
  expect(did.slice(-3)).toEqual(['begins c', 'ends c', 'rests']);
});

it('one that is stopped drops what waits, and takes no more', () => {
  const { did, queue } = made({ stop: ['b'] });
  queue.feed('stop');
  queue.feed('c');
  expect(did).toEqual(['begins stop', 'ends stop']);
  expect(queue.isStopped).toBe(true);
});

it('one in which a step failed goes on with the next fact', () => {
  const { did, queue } = made({});
  expect(() => queue.feed('bad')).toThrow('bad');
  queue.feed('a');
  expect(did.slice(-3)).toEqual(['begins a', 'ends a', 'rests']);
});
