/**
 * L3: a borrower that renews its request again and again keeps no other borrower out, whether the policy allows it or
 * not, and however long the policy takes.
 */
import { describe, expect, it } from 'vitest';
import { allowList, type Policy } from '../../src/core/agent/policy.ts';
import { HOST, vmId } from '../../src/core/protocol/ids.ts';
import { bundleDigest } from '../../src/core/wire/digest.ts';
import { Link } from '../../src/drivers/link/link.ts';
import { NoneEnforcer } from '../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { pairKey, TERMS, UnisolatedWorld } from '../support/unisolated-world.ts';

const EVIL = vmId('evil');
const VMS = [ANDROID, VAULT, EVIL];

function play(everyMs: number, policy?: (world: UnisolatedWorld) => Policy) {
  const world = new UnisolatedWorld(
    VMS,
    [PANEL],
    () => new NoneEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: '1' }),
  );
  world.startHost();
  world.startAgent(ANDROID, 'active', policy?.(world));
  world.startAgent(VAULT, 'suspended');
  const link = new Link({
    self: EVIL,
    pairKeys: new Map([
      [HOST, pairKey(EVIL, HOST)],
      [ANDROID, pairKey(EVIL, ANDROID)],
    ]),
    bootId: world.entropy.random(16),
    bundles: [{ bundle: PANEL.id, digest: bundleDigest(PANEL) }],
    transport: world.network.transport(EVIL),
    clock: world.clock,
    entropy: world.entropy,
    log: () => {},
  });
  link.open({ onMessage: () => {}, onUp: () => {}, onDown: () => {}, onDigestMismatch: () => {} });
  world.clock.advance(2_000);
  let requestId = 0;
  const flood = () => {
    requestId += 1;
    link.send(ANDROID, {
      kind: 'requestBorrow',
      bundle: PANEL.id,
      purpose: 'x',
      leaseMs: 1_000,
      waitMs: 1_000,
      consent: world.entropy.random(64),
      minHoldMs: 0,
      noticeMs: 100,
      requestId,
    });
    world.clock.after(everyMs, flood);
  };
  if (everyMs > 0) flood();
  let granted = 0;
  const why = new Map<string, number>();
  // As `baton borrow --wait`: asks again every 200 ms while it is busy.
  for (let i = 0; i < 300 && granted === 0; i++) {
    const from = world.notices.length;
    world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    world.clock.advance(200, 1_000_000);
    for (const { vm, notice } of world.notices.slice(from)) {
      if (vm !== VAULT) continue;
      if (notice.notice === 'granted') granted++;
      const text = notice.notice === 'declined' ? `declined ${notice.reason}` : notice.notice;
      why.set(text, (why.get(text) ?? 0) + 1);
    }
  }
  return granted;
}

/** As a policy program: says no to evil, but takes 30 ms for that; a newer question ends it. */
const slowPolicy = (world: UnisolatedWorld): Policy => {
  const rules = allowList([{ bundle: PANEL.id, borrower: VAULT }]);
  let run = 0;
  return (question, done) => {
    const mine = ++run;
    world.clock.after(30, () => mine === run && rules(question, done));
  };
};

describe('a borrower that is honest', () => {
  it('gets the bundle (control)', () => expect(play(0)).toBe(1));
  it.each([2, 5, 20])('gets it within a minute, while another that the list allows asks every %i ms', (ms) =>
    expect(play(ms)).toBe(1),
  );
  it('gets it (control), policy takes 30 ms', () => expect(play(0, slowPolicy)).toBe(1));
  it.each([5, 20])('gets it within a minute, while another that the policy denies asks every %i ms', (ms) =>
    expect(play(ms, slowPolicy)).toBe(1),
  );
});
