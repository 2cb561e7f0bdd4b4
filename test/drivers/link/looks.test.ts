/**
 * What is shown of a peer is known fresh, or said to be old: peers are asked when somebody looks, and what is in the
 * way is named.
 */

import { describe, expect, it } from 'vitest';
import { type BundleId, HOST, type Incarnation, type VmId } from '../../../src/core/protocol/ids.ts';
import { PROBE_MS } from '../../../src/core/wire/peer-session.ts';
import { Link } from '../../../src/drivers/link/link.ts';
import { StreamRouter } from '../../../src/edges/transport/kinds/stream/stream-router.ts';
import { MemoryNetwork } from '../../../src/edges/transport/memory.ts';
import { Redial } from '../../../src/edges/transport/redial.ts';
import type { Transport } from '../../../src/ports/world.ts';
import { ANDROID, VAULT } from '../../../targets/lab/machine/board.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { pairKey } from '../../support/unisolated-world.ts';

const PANEL = 'panel' as BundleId;

function testbed() {
  const clock = new VirtualClock();
  const network = new MemoryNetwork(clock, () => 0.5);
  const sent: string[] = [];
  network.tap = (what, from, to) => what === 'sent' && sent.push(`${from} → ${to}`);
  let boots = 0;
  const open = (self: VmId, peers: readonly VmId[], digest = 1, transport = network.transport(self)) => {
    boots += 1;
    let drawn = 0;
    const link = new Link({
      self,
      pairKeys: new Map(peers.map((peer) => [peer, pairKey(self, peer)])),
      bootId: new Uint8Array(16).fill(boots),
      bundles: [{ bundle: PANEL, digest: new Uint8Array(32).fill(digest) }],
      transport,
      clock,
      entropy: { random: (count) => new Uint8Array(count).fill(boots * 16 + (drawn++ % 16)) },
      log: () => {},
    });
    link.open({
      onMessage() {},
      onUp() {},
      onDown() {},
      onDigestMismatch() {},
      incarnationOf: () => 1 as Incarnation,
    });
    return link;
  };
  /** What a look shows of a peer, and how long it took. */
  const look = (link: Link, peer: VmId, limitMs = PROBE_MS) => {
    const startMs = clock.nowMs();
    let tookMs: number | undefined;
    link.look(() => {
      tookMs = clock.nowMs() - startMs;
    });
    clock.advance(limitMs);
    return { ...link.peers().find((each) => each.peer === peer)!, tookMs };
  };
  return { clock, network, open, look, sent };
}

describe('a look', () => {
  it('is answered by peers that live, in a round trip, whoever began the session', () => {
    const { clock, open, look } = testbed();
    const host = open(HOST, [VAULT]);
    const vault = open(VAULT, [HOST]);
    for (const [link, peer] of [
      [host, VAULT],
      [vault, HOST],
    ] as const) {
      clock.advance(30_000);
      expect(link.peers()[0]).toMatchObject({ up: true, heardMs: expect.any(Number) });
      expect(look(link, peer, 10)).toMatchObject({ up: true, tookMs: 2 });
    }
    expect(vault.peers()[0]!.heardMs).toBeLessThan(20);
  });

  it('finds out who is dead, once; who comes back is up again', () => {
    const { clock, open, look, sent } = testbed();
    const host = open(HOST, [VAULT]);
    const vault = open(VAULT, [HOST]);
    clock.advance(1_000);
    vault.close();
    clock.advance(8_500);
    expect(look(host, VAULT)).toMatchObject({
      up: false,
      tookMs: PROBE_MS,
      hint: expect.stringMatching(/^no answer/),
    });
    const { forMs, heardMs } = host.peers()[0]!;
    expect(heardMs).toBeGreaterThan(8_000);
    expect(forMs).toBe(heardMs);
    // It is asked again, and not waited for.
    const before = sent.length;
    expect(look(host, VAULT, 1)).toMatchObject({ up: false, tookMs: 0 });
    expect(sent.length).toBe(before + 1);
    const again = open(VAULT, [HOST]);
    clock.advance(3_000);
    expect(look(host, VAULT)).toMatchObject({ up: true, tookMs: 2 });
    again.close();
  });

  it('asks a silent peer once in a while, however often somebody looks', () => {
    const { clock, open, sent } = testbed();
    const host = open(HOST, [VAULT]);
    const vault = open(VAULT, [HOST]);
    clock.advance(1_000);
    vault.close();
    clock.advance(8_500);
    const before = sent.length;
    // As a script that polls a status.
    for (let ms = 0; ms < 4 * PROBE_MS; ms += 5) {
      host.look(() => {});
      clock.advance(5);
    }
    expect(sent.length - before).toBe(4);
  });

  it('whoever looks while a question is open waits for its answer', () => {
    const { clock, open, sent } = testbed();
    const host = open(HOST, [VAULT]);
    open(VAULT, [HOST]);
    clock.advance(5_000);
    const before = sent.length;
    let done = 0;
    for (let looks = 0; looks < 3; looks++) host.look(() => done++);
    expect(done).toBe(0);
    clock.advance(10);
    expect(done).toBe(3);
    // One question, one answer.
    expect(sent.length - before).toBe(2);
  });

  it('waits for nobody who was just heard', () => {
    const { clock, open, look, sent } = testbed();
    const host = open(HOST, [VAULT]);
    const vault = open(VAULT, [HOST]);
    clock.advance(1_000);
    vault.send(HOST, { kind: 'heartbeat' } as never);
    clock.advance(1);
    const before = sent.length;
    expect(look(host, VAULT, 1)).toMatchObject({ up: true, tookMs: 0 });
    expect(sent.length).toBe(before);
  });

  it('takes a frame that is replayed, or does not verify, for no sign of life', () => {
    const { clock, network, open, look } = testbed();
    const frames: Uint8Array[] = [];
    const host = open(HOST, [VAULT]);
    network.tap = (what, from, _, frame) =>
      what === 'delivered' && from === VAULT && frames.push(frame.slice());
    const vault = open(VAULT, [HOST]);
    clock.advance(1_000);
    expect(frames.length).toBeGreaterThan(1);
    vault.close();
    clock.advance(5_000);
    network.tap = () => {};
    host.look(() => {});
    for (const frame of [...frames]) network.inject(VAULT, HOST, frame);
    clock.advance(PROBE_MS);
    expect(host.peers()[0]).toMatchObject({ up: false });
    expect(host.peers()[0]!.heardMs).toBeGreaterThan(5_000);
    expect(look(host, VAULT)).toMatchObject({ up: false });
  });

  it('says what is in the way, and since when', () => {
    const { clock, network, open, look } = testbed();
    open(HOST, [VAULT]);
    const vault = open(VAULT, [HOST]);
    clock.advance(1_000);
    network.setCut(VAULT, true);
    clock.advance(9_000);
    expect(look(vault, HOST, 0)).toMatchObject({
      up: false,
      tookMs: 0,
      forMs: 9_000,
      hint: 'cut off by the simulation',
    });
    network.setCut(VAULT, false);
    clock.advance(1_000);
    expect(look(vault, HOST)).toMatchObject({ up: true });
    expect(vault.peers()[0]).not.toHaveProperty('hint');
  });
});

it('who means another definition is named, and no longer once it means the same', () => {
  const { clock, open } = testbed();
  open(HOST, [VAULT, ANDROID]);
  const vault = open(VAULT, [HOST, ANDROID]);
  const wrong = open(ANDROID, [HOST, VAULT], 2);
  clock.advance(3_000);
  expect(vault.differing(PANEL)).toEqual([ANDROID]);
  expect(wrong.differing(PANEL).sort()).toEqual([HOST, VAULT].sort());
  wrong.close();
  open(ANDROID, [HOST, VAULT], 1);
  clock.advance(5_000);
  expect(vault.differing(PANEL)).toEqual([]);
});

it('an agent that its host has not counted says so of the sessions that wait for it', () => {
  const { clock, open } = testbed();
  const vault = open(VAULT, [HOST, ANDROID]);
  clock.advance(6_000);
  const hints = Object.fromEntries(vault.peers().map(({ peer, hint }) => [peer, hint]));
  expect(hints[HOST]).toMatch(/^no answer/);
  expect(hints[ANDROID]).toMatch(/the host has not reported this VM/);
});

describe('what a transport has in its way', () => {
  it('that dials: the last reason, since the way closed', () => {
    const { clock } = testbed();
    let end: (reason: string) => void = () => {};
    let begin: () => void = () => {};
    const entropy = { random: (count: number) => new Uint8Array(count) };
    const redial = new Redial(
      { where: 'the broker at mqtt://b', clock, entropy, log: () => {} },
      (events) => {
        begin = () => events.up();
        end = (reason) => events.down(reason);
        return () => {};
      },
    );
    redial.open({ onUp() {}, onDown() {}, onFrame() {} });
    expect(redial.obstacle()).toEqual({ reason: 'not connected to the broker at mqtt://b yet', sinceMs: 0 });
    clock.advance(1_000);
    begin();
    expect(redial.obstacle()).toBeUndefined();
    clock.advance(6_000);
    end('closed by the broker');
    clock.advance(3_000);
    end('ECONNREFUSED');
    const reason = 'not connected to the broker at mqtt://b: ECONNREFUSED';
    expect(redial.obstacle()).toEqual({ reason, sinceMs: 7_000 });
  });

  it('that listens: why it cannot, for the VM of that address and for no other', () => {
    const { clock } = testbed();
    let inUse = true;
    const streams = {
      connect() {},
      listen: (address: string, _: unknown, done: (error: Error | undefined) => void) => {
        done(inUse && address === 'unix:a' ? new Error('EADDRINUSE') : undefined);
        return () => {};
      },
    };
    const listen = [
      { address: 'unix:a', vm: ANDROID },
      { address: 'unix:v', vm: VAULT },
    ];
    const router: Transport = new StreamRouter({ listen, streams, clock, log: () => {} });
    router.open({ onUp() {}, onDown() {}, onFrame() {} });
    clock.advance(4_500);
    const fault = { reason: 'cannot listen on unix:a: EADDRINUSE', sinceMs: 0 };
    expect(router.obstacle(ANDROID)).toEqual(fault);
    expect(router.obstacle()).toEqual(fault);
    // Not connected, like on every other transport: why only its agent knows.
    expect(router.obstacle(VAULT)).toEqual({ reason: undefined, sinceMs: 0 });
    inUse = false;
    clock.advance(1_000);
    expect(router.obstacle()).toBeUndefined();
    router.close();
  });
});
