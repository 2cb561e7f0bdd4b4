/** The judge of the touches: what it says of turns, and what it does not let pass. */

import { expect, it } from 'vitest';
import { straysOf, turnsOf } from './touch.ts';

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

const told = [
  { holder: 'a', place: 0, atMs: 0 },
  { holder: 'b', place: 100, atMs: 5_000 },
  { holder: undefined, place: 200, atMs: 10_000 },
  { holder: 'a', place: 300, atMs: 15_000 },
];
const stray = (vm: string, place: number, atMs: number) => straysOf([{ vm, place, atMs }], told);

it('a touch of whoever holds is none that went astray, nor one that was made before the next one held', () => {
  expect(stray('a', 50, 100)).toEqual([]);
  expect(stray('a', 100, 5_100)).toEqual([]);
  expect(stray('b', 150, 7_000)).toEqual([]);
  expect(stray('a', 310, 15_500)).toEqual([]);
});

it('a touch that the old holder feels goes astray, although it makes no other turn', () => {
  expect(stray('a', 101, 5_100)).toEqual([{ vm: 'a', place: 101 }]);
  expect(stray('b', 301, 15_100)).toEqual([{ vm: 'b', place: 301 }]);
});

it('nobody may feel what nobody holds', () => {
  for (const vm of ['a', 'b']) expect(stray(vm, 201, 10_100)).toEqual([{ vm, place: 201 }]);
});

it('where the finger was when it was let go, the next one learns from the tablet', () => {
  expect(stray('a', 250, 15_500)).toEqual([]);
});
