/** A party without a session says so, and what may be wrong. */

import { describe, expect, it } from 'vitest';
import { HOST, type Incarnation, type VmId } from '../../../src/core/protocol/ids.ts';
import { Link, type LinkListener } from '../../../src/drivers/link/link.ts';
import { MemoryNetwork } from '../../../src/edges/transport/memory.ts';
import { ANDROID, VAULT } from '../../../targets/lab/machine/board.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { pairKey } from '../../support/unisolated-world.ts';

function testbed() {
  const clock = new VirtualClock();
  const network = new MemoryNetwork(clock, () => 0.5);
  const warnings: string[] = [];
  let boots = 0;
  const open = (
    self: VmId,
    keys: readonly (readonly [VmId, Uint8Array])[],
    parts: Partial<LinkListener> = {},
  ) => {
    boots += 1;
    let drawn = 0;
    const link = new Link({
      self,
      pairKeys: new Map(keys),
      bootId: new Uint8Array(16).fill(boots),
      bundles: [],
      transport: network.transport(self),
      clock,
      entropy: { random: (count) => new Uint8Array(count).fill(boots * 16 + drawn++) },
      log: (level, message, fields) => {
        if (level === 'warn') warnings.push(`${self}: ${message} ${JSON.stringify(fields)}`);
      },
    });
    link.open({ onMessage() {}, onUp() {}, onDown() {}, onDigestMismatch() {}, ...parts });
    return link;
  };
  const running = { incarnationOf: () => 1 as Incarnation };
  return { clock, warnings, open, running };
}

const key = pairKey(HOST, VAULT);

describe('a link', () => {
  it('warns after five seconds without a session, and each minute, until there is one', () => {
    const { clock, warnings, open, running } = testbed();
    const link = open(VAULT, [[HOST, key]]);
    clock.advance(4_000);
    expect(warnings).toEqual([]);
    clock.advance(2_000);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/no session: no answer: does it run.*"peer":"host"/);
    clock.advance(60_000);
    expect(warnings).toHaveLength(2);
    expect(link.peers()).toMatchObject([{ peer: HOST, up: false, forMs: 66_000 }]);
    const host = open(HOST, [[VAULT, key]], running);
    clock.advance(3_000);
    expect(link.peers()).toMatchObject([{ peer: HOST, up: true }]);
    expect(link.peers()[0]).not.toHaveProperty('hint');
    clock.advance(120_000);
    expect(warnings).toHaveLength(2);
    link.close();
    host.close();
    clock.advance(120_000);
    expect(warnings).toHaveLength(2);
  });

  it('says that keys may differ where what arrives does not verify', () => {
    const { clock, warnings, open, running } = testbed();
    const link = open(VAULT, [[HOST, key]]);
    open(HOST, [[VAULT, pairKey(HOST, ANDROID)]], running);
    clock.advance(6_000);
    expect(link.peers()[0]!.hint).toMatch(/do both key files contain the same key/);
    expect(warnings.filter((line) => line.startsWith('vault: no session'))).toHaveLength(1);
  });

  it('of the host misses no agent of a VM that does not run', () => {
    const { clock, warnings, open } = testbed();
    const host = open(HOST, [[VAULT, key]], { incarnationOf: () => 0 as Incarnation });
    clock.advance(70_000);
    expect(warnings).toEqual([]);
    expect(host.peers()).toMatchObject([{ peer: VAULT, up: false }]);
  });
});
