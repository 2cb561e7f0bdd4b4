/** Frames of a life that has ended, which had not been looked at by then: nobody acts on them, and nothing is kept. */

import { expect, it } from 'vitest';
import { type BundleId, HOST, type Incarnation, type VmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { Link, type LinkListener } from '../../../src/drivers/link/link.ts';
import { MemoryNetwork } from '../../../src/edges/transport/memory.ts';
import { ANDROID, VAULT } from '../../../targets/lab/machine/board.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { pairKey } from '../../support/unisolated-world.ts';

const MANY = 100;
const RELEASE = { kind: 'release', bundle: 'panel' as BundleId, epoch: 1 } as unknown as Message;

/** A host with sessions to `VAULT` and `ANDROID`; what it hears is told with the incarnation of that moment. */
function testbed() {
  const clock = new VirtualClock();
  const network = new MemoryNetwork(clock, () => 0.5);
  const [heard, sent, logged]: [string[], string[], string[]] = [[], [], []];
  network.tap = (what, from, to) => what === 'sent' && from === HOST && sent.push(to);
  let incarnation = 1;
  let boots = 0;
  const open = (self: VmId, peers: readonly VmId[], parts: Partial<LinkListener> = {}) => {
    boots += 1;
    let drawn = 0;
    const boot = boots;
    const link = new Link({
      self,
      pairKeys: new Map(peers.map((peer) => [peer, pairKey(self, peer)])),
      bootId: new Uint8Array(16).fill(boot),
      bundles: [],
      transport: network.transport(self),
      clock,
      entropy: { random: (count) => new Uint8Array(count).fill(boot * 16 + (drawn++ % 16)) },
      log: (level, message) => self === HOST && logged.push(`${level} ${message}`),
    });
    link.open({ onMessage() {}, onUp() {}, onDown() {}, onDigestMismatch() {}, ...parts });
    return link;
  };
  const host = open(HOST, [VAULT, ANDROID], {
    incarnationOf: (vm) => (vm === VAULT ? incarnation : 1) as Incarnation,
    onMessage: (from, { kind }) => void heard.push(`${from}#${from === VAULT ? incarnation : 1} ${kind}`),
    onUp: (peer) => void heard.push(`${peer}#${peer === VAULT ? incarnation : 1} up`),
  });
  const vault = () => open(VAULT, [HOST]);
  /** The VM ends, and the next run of it begins. */
  const next = () => {
    incarnation += 1;
    host.forget(VAULT);
  };
  return { clock, network, host, vault, android: open(ANDROID, [HOST]), next, heard, sent, logged };
}

/** Sends many messages, and goes on until `count` of them have arrived and one is heard: the others wait. */
function flood({ clock, network, heard }: ReturnType<typeof testbed>, vault: Link, count: number): void {
  heard.length = 0;
  let arrived = 0;
  const { tap } = network;
  network.tap = (what, from, to, frame) => {
    if (what === 'delivered' && from === VAULT) arrived += 1;
    tap?.(what, from, to, frame);
  };
  for (let i = 0; i < MANY; i++) vault.send(HOST, RELEASE);
  while (arrived < count) if (!clock.step()) throw new Error('nothing is on its way');
  expect(heard).toEqual(['vault#1 release']);
}

it.each([
  ['waited for their turn', MANY, 0],
  ['were on their way', 1, MANY - 1],
])('messages that %s when the life behind them ended are heard by nobody', (_, arrived, dropped) => {
  const rig = testbed();
  const vault = rig.vault();
  rig.clock.advance(1_000);
  flood(rig, vault, arrived);
  vault.close();
  rig.next();
  const { counts } = rig.host;
  const before = { ...counts };
  rig.sent.length = 0;
  rig.logged.length = 0;
  rig.clock.advance(10_000);
  expect(rig.heard).toEqual(['vault#1 release']);
  expect(counts).toEqual({ ...before, dropped: before.dropped + dropped });
  expect(rig.sent).toEqual([]);
  expect(rig.logged.filter((line) => line.includes('frame dropped')).length).toBeLessThan(dropped ? 20 : 1);
  expect(rig.host.peers().find(({ peer }) => peer === VAULT)).toMatchObject({ up: false });
});

it('a handshake of a life that ended while it waited begins no session, and no retry of one', () => {
  const rig = testbed();
  const frames: Uint8Array[] = [];
  rig.network.tap = (what, from, _, frame) =>
    what === 'delivered' && from === VAULT && frames.push(frame.slice());
  const vault = rig.vault();
  rig.clock.advance(1_000);
  vault.close();
  rig.heard.length = 0;
  rig.next();
  // The handshake of the life before, again and again: the first is looked at, and all others wait.
  rig.network.tap = (what, from, to) => what === 'sent' && from === HOST && rig.sent.push(to);
  for (let i = 0; i < 20; i++) for (const frame of frames) rig.host.onFrame(VAULT, frame);
  rig.next();
  rig.sent.length = 0;
  const counts = { ...rig.host.counts };
  rig.clock.advance(10_000);
  expect(rig.sent).toEqual([]);
  expect(rig.host.counts).toEqual(counts);
  expect(rig.heard).toEqual([]);
});

it('the next run and others are served as if there had been none', () => {
  const rig = testbed();
  const vault = rig.vault();
  rig.clock.advance(1_000);
  flood(rig, vault, MANY);
  vault.close();
  rig.next();
  const again = rig.vault();
  rig.clock.advance(3_000);
  rig.heard.length = 0;
  again.send(HOST, RELEASE);
  rig.android.send(HOST, RELEASE);
  rig.clock.advance(100);
  expect(rig.heard.sort()).toEqual(['android#1 release', 'vault#2 release']);
});
