/**
 * What every transport owes its users, as one suite: delivery, bounds, coming and going, and harmless garbage.
 *
 * A world is one way of connecting host and guests. The suite asks it for parties and for accidents, and never
 * for anything that only one kind of transport has.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HOST, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import { FRAME_BYTES_MAX } from '../../../src/core/wire/limits.ts';
import { ANDROID, GUESTS, LIDAR, longestFrame, numbered, PARTIES, type Party, VAULT } from './party.ts';

/** Host and guests, connected in one way. */
export interface World {
  /** Opens a party; a second one of the same name is a second process. */
  party(vm: VmId): Party;
  /** Lets things happen until `condition` holds. Rejects, naming `what`, when it takes too long. */
  until(what: string, condition: () => boolean): Promise<void>;
  /** Lets things happen for a moment. */
  breathe(): Promise<void>;
  /** What stands between the parties goes away. */
  interrupt(): Promise<void>;
  /** It comes back. Resolves to the host's party, which may be a new one. */
  mend(): Promise<Party>;
  close(): Promise<void>;
}

/** A world with a wire, on which things can get stuck and anything can be sent. */
export interface WireWorld extends World {
  /** Connects somebody as `vm` who never reads. */
  stall(vm: VmId): Promise<void>;
  /** Sends garbage of every kind as `vm`, and rejects unless somebody counts each piece as malformed. */
  garbage(vm: VmId): Promise<void>;
}

/** Numbers of the frames by which parties find out that they hear each other. */
const HOST_GREETS = 0xfff0;
const GUEST_GREETS = 0xfff1;
/** Rounds of a flood, and frames a round: some 40 MB, 160 times what may wait for anybody. */
const FLOOD_ROUNDS = 100;
const FLOOD_FRAMES = 100;
/** Longest time for a frame past a flood: some milliseconds, and what a busy machine adds. */
const PROMPT_MS = 800;

/** Describes the suite for the worlds that `make` makes. */
export function describeTransport(name: string, make: () => Promise<World>): void {
  describe(name, () => {
    let world: World;
    beforeEach(async () => {
      world = await make();
    });
    afterEach(() => world.close());

    test('frames get from host to guest, from guest to host and from guest to guest', async () => {
      const [host, android, vault] = await started(world, ANDROID, VAULT);
      expect([host!.say(ANDROID, 1), android!.say(HOST, 2), android!.say(VAULT, 3)]).toEqual([
        true,
        true,
        true,
      ]);
      await world.until(
        'all arrived',
        () => android!.heard(HOST, 1) && host!.heard(ANDROID, 2) && vault!.heard(ANDROID, 3),
      );
      expect(vault!.frames.every(({ from }) => from === HOST || from === ANDROID)).toBe(true);
    });

    test('sixty frames at once arrive, whatever their order', async () => {
      const [host, android] = await started(world, ANDROID);
      const numbers = Array.from({ length: 60 }, (_, index) => index);
      for (const number of numbers) expect(android!.say(HOST, number)).toBe(true);
      await world.until('all arrived', () => numbers.every((number) => host!.heard(ANDROID, number)));
    });

    test('the longest frame arrives as it was, whatever bytes it holds', async () => {
      const [host, android, vault] = await started(world, ANDROID, VAULT);
      for (const to of [HOST, VAULT]) android!.transport.send(to, longestFrame(ANDROID, to));
      for (const party of [host!, vault!]) {
        await world.until('it arrived', () => party.frames.at(-1)?.frame.length === FRAME_BYTES_MAX);
        expect(party.frames.at(-1)!.frame).toEqual(longestFrame(ANDROID, party.vm));
      }
    });

    test('a frame that is empty or too long is refused', async () => {
      const [host, android] = await started(world, ANDROID);
      const tooLong = Uint8Array.of(...longestFrame(ANDROID, HOST), 0);
      expect(android!.transport.send(HOST, tooLong)).toBe(false);
      expect(android!.transport.send(HOST, new Uint8Array(0))).toBe(false);
      expect(host!.transport.send(ANDROID, tooLong)).toBe(false);
      await connected(world, host!, [android!]);
    });

    test('a frame for nobody harms nobody', async () => {
      const [host, android] = await started(world, ANDROID);
      const nobody = vmId('stranger');
      android!.say(nobody, 1);
      host!.say(nobody, 2);
      android!.say(HOST, 3);
      await world.until('the next one arrived', () => host!.heard(ANDROID, 3));
      expect(host!.heard(ANDROID, 1)).toBe(false);
    });

    test('up is told again after the middle was gone, and frames pass again', async () => {
      const [, android, vault] = await started(world, ANDROID, VAULT);
      const ups = android!.ups;
      await world.interrupt();
      await world.until('the guests are down', () => !android!.isUp && !vault!.isUp);
      expect(android!.downs.at(-1)).not.toBe('');
      expect(android!.say(VAULT, 1)).toBe(false);
      const host = await world.mend();
      await world.until('all are up', () => android!.isUp && vault!.isUp && host.isUp);
      expect(android!.ups).toBe(ups + 1);
      await connected(world, host, [android!, vault!]);
      expect(vault!.heard(ANDROID, 1)).toBe(false);
      android!.say(VAULT, 2);
      await world.until('guest to guest', () => vault!.heard(ANDROID, 2));
    });

    test('after close nothing is told and nothing is sent', async () => {
      const [host, android, vault] = await started(world, ANDROID, VAULT);
      host!.say(ANDROID, 1);
      android!.transport.close();
      const { ups, downs, frames } = android!;
      const before = [ups, downs.length, frames.length];
      expect(android!.say(HOST, 2)).toBe(false);
      host!.say(VAULT, 3);
      await world.until('others go on', () => vault!.heard(HOST, 3));
      await world.interrupt();
      const again = await world.mend();
      await connected(world, again, [vault!]);
      expect([android!.ups, android!.downs.length, android!.frames.length]).toEqual(before);
      expect(again.heard(ANDROID, 2)).toBe(false);
    });

    test('two processes of one VM share or take turns, without a storm', async () => {
      const [host, first, vault] = await started(world, ANDROID, VAULT);
      const second = world.party(ANDROID);
      await world.until('the second is up', () => second.ups > 0);
      for (let round = 0; round < 50; round++) {
        host!.say(ANDROID, round);
        await world.breathe();
      }
      await world.until('one of them hears', () => {
        host!.say(ANDROID, 100);
        return first!.heard(HOST, 100) || second.heard(HOST, 100);
      });
      expect(first!.ups + second.ups).toBeLessThan(8);
      host!.say(VAULT, 101);
      await world.until('others go on', () => vault!.heard(HOST, 101));
    });
  });
}

/** Describes what only a world with a wire can go through. */
export function describeWire(name: string, make: () => Promise<WireWorld>): void {
  describeTransport(name, make);
  describe(`${name}, wire`, () => {
    let world: WireWorld;
    beforeEach(async () => {
      world = await make();
    });
    afterEach(() => world.close());

    test('a flood to a VM that does not read is lost, and nobody else waits', async () => {
      const [host, android, vault] = await started(world, ANDROID, VAULT);
      await world.stall(LIDAR);
      const fromHost = longestFrame(HOST, LIDAR);
      const fromGuest = longestFrame(ANDROID, LIDAR);
      let refused = 0;
      for (let round = 0; round < FLOOD_ROUNDS; round++) {
        for (let index = 0; index < FLOOD_FRAMES; index++) {
          if (!host!.transport.send(LIDAR, fromHost)) refused += 1;
          android!.transport.send(LIDAR, fromGuest);
        }
        await world.breathe();
      }
      expect(refused).toBeGreaterThan(0);
      const beforeMs = performance.now();
      host!.say(VAULT, 1);
      vault!.say(HOST, 2);
      await world.until('others get through', () => vault!.heard(HOST, 1) && host!.heard(VAULT, 2));
      expect(performance.now() - beforeMs).toBeLessThan(PROMPT_MS);
      await world.until('the flooding guest gets through again', () => {
        android!.say(VAULT, 3);
        return vault!.heard(ANDROID, 3);
      });
    });

    test('garbage is counted and goes no further', async () => {
      const parties = await started(world, ...GUESTS);
      const [host, android, vault] = parties;
      await world.garbage(LIDAR);
      expect(parties.flatMap(beyondGreetings)).toEqual([]);
      android!.say(VAULT, 1);
      host!.say(VAULT, 2);
      await world.until('others go on', () => vault!.heard(ANDROID, 1) && vault!.heard(HOST, 2));
    });
  });
}

/** Opens the host and these guests and waits until both ways between them work. */
async function started(world: World, ...guests: readonly VmId[]): Promise<Party[]> {
  const parties = [HOST, ...guests].map((vm) => world.party(vm));
  await world.until('everybody is up', () => parties.every(({ isUp }) => isUp));
  await connected(world, parties[0]!, parties.slice(1));
  return parties;
}

/** Waits until host and guests hear each other: "up" may be told before the far end is ready. */
async function connected(world: World, host: Party, guests: readonly Party[]): Promise<void> {
  for (const guest of guests) {
    await world.until(`${guest.vm} and host hear each other`, () => {
      if (!guest.heard(HOST, HOST_GREETS)) host.say(guest.vm, HOST_GREETS);
      if (!host.heard(guest.vm, GUEST_GREETS)) guest.say(HOST, GUEST_GREETS);
      return guest.heard(HOST, HOST_GREETS) && host.heard(guest.vm, GUEST_GREETS);
    });
  }
}

/** What a party heard other than greetings, of which some may be late. */
function beyondGreetings(party: Party): readonly Uint8Array[] {
  const greetings = [HOST_GREETS, GUEST_GREETS].flatMap((number) =>
    PARTIES.map((from) => numbered(from, party.vm, number).join()),
  );
  return party.frames.map(({ frame }) => frame).filter((frame) => !greetings.includes(frame.join()));
}
