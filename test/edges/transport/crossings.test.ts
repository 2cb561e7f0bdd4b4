/** How often a message goes from one machine to another, which is what a handover's time is made of. */

import { afterAll, expect, test } from 'vitest';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import { startBroker } from '../../../targets/lab/simulator/broker.ts';
import type { World } from './compliance.ts';
import { ANDROID, counts, PARTIES, type Party, VAULT } from './party.ts';
import { mqttWorld, randomPasswords, streamWorld, temporaryFolder, unixAddresses } from './worlds.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

/** The crossings of all parties together. */
function crossings(parties: Iterable<Party>): number {
  let sum = 0;
  for (const party of parties) sum += counts(party).crossings;
  return sum;
}

/** Returns how many crossings a frame from `from` to `to` takes. */
async function count(world: World, routes: readonly (readonly [VmId, VmId])[]): Promise<number[]> {
  const parties = new Map(PARTIES.map((vm) => [vm, world.party(vm)]));
  const all = () => parties.values();
  await world.until('all are up', () => [...all()].every(({ isUp }) => isUp));
  const found: number[] = [];
  for (const [from, to] of routes) {
    await world.until('the way works', () => {
      parties.get(from)!.say(to, 1);
      return parties.get(to)!.heard(from, 1);
    });
    await settled(world, all);
    const before = crossings(all());
    parties.get(from)!.say(to, 2);
    await world.until('it arrived', () => parties.get(to)!.heard(from, 2));
    found.push(crossings(all()) - before);
  }
  await world.close();
  return found;
}

/** Waits until nothing was under way for twenty moments. */
async function settled(world: World, all: () => Iterable<Party>): Promise<void> {
  let quiet = 0;
  for (let before = crossings(all()); quiet < 20; before = crossings(all())) {
    await world.breathe();
    quiet = crossings(all()) === before ? quiet + 1 : 0;
  }
}

const ROUTES = [
  [ANDROID, HOST],
  [HOST, ANDROID],
  [ANDROID, VAULT],
] as const;

test('a stream takes one crossing to or from the host and two between guests', async () => {
  const world = streamWorld(unixAddresses(folder.path));
  expect(await count(world, ROUTES)).toEqual([1, 1, 2]);
  expect(world.router().counts.routed).toBeGreaterThan(0);
});

test('a broker makes every message two crossings', async () => {
  const passwords = randomPasswords();
  const address = `unix:${folder.path}/broker`;
  const broker = await startBroker(address, passwords);
  const running = { url: broker.url, passwords, start: async () => {}, stop: () => broker.close() };
  expect(await count(await mqttWorld(running, { protocol: '3.1.1' }), ROUTES)).toEqual([2, 2, 2]);
});
