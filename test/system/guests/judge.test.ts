/** The judge of the touches: what it says of turns, and what it does not let pass. */

import { expect, it } from 'vitest';
import { turnsOf } from './touch.ts';

const felt = (vm: string, ...places: number[]) => places.map((place) => ({ vm, place }));

it('tells turns apart, whenever they were reported', () => {
  expect(turnsOf([...felt('b', 5, 6), ...felt('a', 1, 2, 9), ...felt('b', 12)])).toEqual([
    { vm: 'a', from: 1, to: 2, count: 2 },
    { vm: 'b', from: 5, to: 6, count: 2 },
    { vm: 'a', from: 9, to: 9, count: 1 },
    { vm: 'b', from: 12, to: 12, count: 1 },
  ]);
});

it('one touch of another’s turn makes more turns than there were', () => {
  expect(turnsOf([...felt('a', 1, 2, 6), ...felt('b', 5, 7)]).map(({ vm }) => vm)).toEqual([
    'a',
    'b',
    'a',
    'b',
  ]);
});

it('a touch that both felt is refused', () => {
  expect(() => turnsOf([...felt('a', 1, 2), ...felt('b', 2)])).toThrow('place 2 was felt twice');
});
