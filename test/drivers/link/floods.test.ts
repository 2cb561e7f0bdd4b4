/** 900 times of whatever a peer can do are a few log lines at the host and at an agent, and a number. */

import { describe, expect, it } from 'vitest';
import { type BundleId, HOST, type Incarnation, type VmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { PROTOCOL_VERSION } from '../../../src/core/wire/limits.ts';
import { Link, type LinkListener } from '../../../src/drivers/link/link.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { StreamRouter } from '../../../src/edges/transport/kinds/stream/stream-router.ts';
import type { Log } from '../../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { frameOf } from '../../edges/transport/party.ts';
import { pairKey, UnisolatedWorld } from '../../support/unisolated-world.ts';

const TIMES = 900;
/** Lines of a kind at once, those for something new, and what stands for the rest. */
const LINES_MAX = 20;

/** A world in which `vault` is a link of ours, and says what it likes. */
function rig() {
  const world = new UnisolatedWorld(
    [ANDROID, VAULT],
    [PANEL],
    () => new NoneEnforcer({ bundles: [PANEL], vms: [ANDROID, VAULT], machineBoot: '1' }),
  );
  world.startHost();
  world.startAgent(ANDROID, 'active');
  let boots = 0;
  const vault = (digest: number, versions = PRESENT, listener: Partial<LinkListener> = {}) => {
    boots += 1;
    const link = new Link({
      self: VAULT,
      pairKeys: new Map([HOST, ANDROID].map((peer): [VmId, Uint8Array] => [peer, pairKey(VAULT, peer)])),
      bootId: Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? boots & 0xff : i === 1 ? boots >> 8 : 7)),
      bundles: [{ bundle: PANEL.id, digest: new Uint8Array(32).fill(digest) }],
      transport: world.network.transport(VAULT),
      clock: world.clock,
      entropy: world.entropy,
      log: () => {},
      versions,
    });
    link.open({ onMessage() {}, onUp() {}, onDown() {}, onDigestMismatch() {}, ...listener });
    return link;
  };
  const lines = (of: string, words: string) =>
    world.logs.filter((line) => line.includes(` ${of}`) && line.includes(words));
  return { world, vault, lines };
}

/** The version that all parties speak. */
const PRESENT = { min: PROTOCOL_VERSION, max: PROTOCOL_VERSION };

/** How many times the lines stand for. */
const counted = (lines: readonly string[]) =>
  lines.reduce((sum, line) => sum + Number(/"times":(\d+)/.exec(line)?.[1] ?? 1), 0);

describe('a peer that', () => {
  it('sends messages about a bundle that nobody has', () => {
    const { world, vault, lines } = rig();
    const link = vault(1);
    world.clock.advance(1_000);
    const message = { kind: 'release', bundle: 'camera' as BundleId, epoch: 1 } as unknown as Message;
    for (let i = 0; i < TIMES; i++) {
      link.send(HOST, message);
      link.send(ANDROID, { ...message, kind: 'recallDevice', graceMs: 1 } as never);
      if (i % 100 === 0) world.clock.advance(5);
    }
    world.clock.advance(11_000);
    for (const [of, words] of [
      ['host', 'no bundle camera is configured'],
      [ANDROID, 'recallDevice dropped: unknown bundle'],
    ] as const) {
      const found = lines(of, words);
      expect(found.length, words).toBeLessThan(LINES_MAX);
      expect(counted(found), words).toBe(TIMES);
    }
  });

  it('starts again and again, with another bundle file', () => {
    const { world, vault, lines } = rig();
    for (let i = 0; i < TIMES; i++) {
      const link = vault(1);
      world.clock.advance(20);
      link.close();
    }
    world.clock.advance(61_000);
    for (const words of ['session up', 'bundle definitions differ']) {
      const found = lines('host', words).filter((line) => line.includes('vault'));
      expect(found.length, words).toBeLessThan(LINES_MAX);
      expect(counted(found), words).toBeGreaterThan(TIMES * 0.9);
    }
  });

  it('speaks another version', () => {
    const { world, vault, lines } = rig();
    for (let i = 0; i < TIMES; i++) {
      const link = vault(1, { min: 7, max: 9 });
      world.clock.advance(10);
      link.close();
    }
    world.clock.advance(61_000);
    const found = lines('host link', 'no common protocol version');
    expect(found.length).toBeLessThan(LINES_MAX);
    expect(counted(found)).toBeGreaterThan(TIMES * 0.9);
  });

  it('sends under names that it makes up', () => {
    const { world, lines } = rig();
    world.clock.advance(1_000);
    for (let i = 0; i < TIMES; i++) {
      const name = `vm${i}` as VmId;
      world.network.inject(name, HOST, frameOf(name, HOST, Uint8Array.of(1, 2, 3)));
    }
    world.clock.advance(11_000);
    const found = lines('host link', 'there is no key for that name');
    expect(found.length).toBeLessThan(LINES_MAX);
  });

  it('asks its owner for what it is never given', () => {
    const { world, lines } = rig();
    world.startAgent(ANDROID, 'active', (_, done) =>
      done({ allow: false, reason: 'policy', retryAfterMs: 0, detail: 'no\nhost warn: forged' }),
    );
    const vault = world.startAgent(VAULT, 'suspended');
    world.clock.advance(2_000);
    for (let i = 0; i < TIMES; i++) {
      vault.borrow(PANEL.id, {
        purpose: 'pin',
        leaseMs: 1_000,
        minHoldMs: 0,
        noticeMs: 0,
        waitMs: 500,
        evidence: 'none',
        mayQueue: true,
      });
      world.clock.advance(20);
    }
    world.clock.advance(61_000);
    expect(lines('android', 'declined vault').length).toBeLessThan(LINES_MAX);
    expect(lines('vault', 'declined:').length).toBeLessThan(LINES_MAX);
  });
});

it('a place where nobody can listen is told of once, then now and then', () => {
  const { world } = rig();
  const lines: string[] = [];
  const log: Log = (level, message, fields) => lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const streams = {
    connect() {},
    listen: (_: string, _on: unknown, done: (error: Error | undefined) => void) => {
      world.clock.after(1, () => done(new Error('EACCES')));
      return () => {};
    },
  };
  const router = new StreamRouter({
    listen: [{ address: 'unix:/no/a', vm: ANDROID }],
    streams,
    clock: world.clock,
    log,
  });
  router.open({ onFrame() {}, onUp() {}, onDown() {} });
  world.clock.advance(TIMES * 1_000);
  expect(lines[0]).toContain('error cannot listen, trying again: EACCES');
  expect(lines.length).toBeLessThan(10 + TIMES / 60 + 5);
  expect(counted(lines)).toBeGreaterThan(TIMES * 0.9);
  router.close();
});

it('a host that does not run knows of no life, and its silence is told once a minute', () => {
  const { world, vault } = rig();
  const link = vault(1, PRESENT, { incarnationOf: () => 0 as Incarnation });
  world.clock.advance(300_000);
  expect(link.peers()).toHaveLength(2);
  expect(world.logs.filter((line) => line.includes('no session')).length).toBeLessThan(10);
});
