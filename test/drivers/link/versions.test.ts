/** Parties of different versions: both say which must be updated; the one that was is heard. */

import { describe, expect, it } from 'vitest';
import { HOST, type Incarnation, type VmId } from '../../../src/core/protocol/ids.ts';
import { PROTOCOL_VERSION } from '../../../src/core/wire/limits.ts';
import { Link } from '../../../src/drivers/link/link.ts';
import { MemoryNetwork } from '../../../src/edges/transport/memory.ts';
import { VAULT } from '../../../targets/lab/machine/board.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { pairKey } from '../../support/unisolated-world.ts';

function testbed() {
  const clock = new VirtualClock();
  const network = new MemoryNetwork(clock, () => 0.5);
  const errors: string[] = [];
  const sent: string[] = [];
  network.tap = (what, from) => what === 'sent' && sent.push(from);
  let boots = 0;
  const open = (self: VmId, min: number, max = min) => {
    boots += 1;
    const boot = boots;
    let drawn = 0;
    const peer = self === HOST ? VAULT : HOST;
    const link = new Link({
      self,
      pairKeys: new Map([[peer, pairKey(self, peer)]]),
      bootId: new Uint8Array(16).fill(boot),
      bundles: [],
      transport: network.transport(self),
      clock,
      entropy: { random: (count) => new Uint8Array(count).fill(boot * 16 + (drawn++ % 16)) },
      log: (level, message) => level === 'error' && errors.push(`${self}: ${message}`),
      versions: { min, max },
    });
    const incarnationOf = () => 1 as Incarnation;
    link.open({ onMessage() {}, onUp() {}, onDown() {}, onDigestMismatch() {}, incarnationOf });
    return link;
  };
  return { clock, errors, sent, open };
}

describe('parties of two versions', () => {
  it('speak version 2 unless told otherwise', () => {
    expect(PROTOCOL_VERSION).toBe(2);
  });

  it.each([
    ['the agent', [3, 4], [2, 2], 'host'],
    ['the host', [2, 2], [3, 4], 'vault'],
  ] as const)(
    'R108 without a common one both say who is older, when %s is',
    (_, [low, high], [min, max], newer) => {
      const { clock, errors, open } = testbed();
      const host = open(HOST, low, high);
      const vault = open(VAULT, min, max);
      clock.advance(10_000);
      const older = newer === 'host' ? VAULT : HOST;
      const said = (self: VmId) =>
        self === older ? 'this party is the older one' : `${older} is the older one`;
      for (const [self, link] of [
        [HOST, host],
        [VAULT, vault],
      ] as const) {
        const hint = link.peers()[0]!.hint!;
        expect(hint).toContain('no common protocol version');
        expect(hint).toContain(`${said(self)}: update it`);
        expect(errors.filter((line) => line.startsWith(`${self}: `)).join()).toContain(
          `${said(self)}: update it`,
        );
      }
    },
  );

  it('R93 says no more hellos after version 0, and has a session when the other was updated', () => {
    const { clock, sent, open } = testbed();
    const host = open(HOST, 3);
    const vault = open(VAULT, 2);
    clock.advance(1_000);
    sent.length = 0;
    clock.advance(600_000);
    expect(sent).toEqual([]);
    expect(host.isUp(VAULT)).toBe(false);
    vault.close();
    const updated = open(VAULT, 2, 3);
    clock.advance(1_000);
    expect([host.isUp(VAULT), updated.isUp(HOST)]).toEqual([true, true]);
    expect(host.peers()[0]).not.toHaveProperty('hint');
  });

  it('agree on the highest where their ranges overlap', () => {
    const { clock, open } = testbed();
    const [host, vault] = [open(HOST, 2, 5), open(VAULT, 3, 9)];
    clock.advance(1_000);
    expect([host.isUp(VAULT), vault.isUp(HOST)]).toEqual([true, true]);
  });
});
