/** An agent of the product as its daemon wires it, with hooks that do nothing and no control socket. */

import { join } from 'node:path';
import { allowList } from '../../../src/core/agent/policy.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { Agent } from '../../../src/drivers/agent/agent.ts';
import { Link } from '../../../src/drivers/link/link.ts';
import type { DriverHooks, Log, Transport } from '../../../src/ports/world.ts';
import { CLOCK } from '../../node/system/clock.ts';
import { ENTROPY } from '../../node/system/entropy.ts';
import { openFileJournal } from '../../node/system/file-journal.ts';
import { ANDROID, PANEL, VAULT } from '../machine/board.ts';
import { PARTIES, pairKey, TERMS } from './parties.ts';
import type { PartyProgram, PartyWorld } from './party.ts';

/** Time between two looks whether the agent is ready, in ms. */
const LOOK_MS = 20;

/** Starts the agent of a VM. */
export function productAgent(world: PartyWorld, transport: Transport, log: Log): PartyProgram {
  const { self, folder } = world.spec;
  const isOwner = self === PANEL.owner;
  const link = new Link({
    self,
    pairKeys: new Map(PARTIES.filter((peer) => peer !== self).map((peer) => [peer, pairKey(self, peer)])),
    bootId: ENTROPY.random(16),
    bundles: [{ bundle: PANEL.id, digest: bundleDigest(PANEL) }],
    transport,
    clock: CLOCK,
    entropy: ENTROPY,
    log,
  });
  const agent = new Agent({
    self,
    bundles: [PANEL],
    link,
    hooks: isOwner ? ownerHooks(world) : borrowerHooks(world),
    policy: allowList([{ bundle: PANEL.id, borrower: VAULT }]),
    clock: CLOCK,
    entropy: ENTROPY,
    journal: openFileJournal(join(folder, `state-${self}`, 'agent.journal')),
    log,
  });
  agent.on('notice', (_bundle, notice) => {
    if (isOwner) return;
    if (notice.notice === 'granted') {
      world.mark('granted');
      world.say({ is: 'lent' });
    } else if (notice.notice === 'returned') world.say({ is: 'back' });
    else world.say({ is: 'failed', why: JSON.stringify(notice) });
  });
  agent.start();
  const look = () => {
    const knows = agent.views()[0]?.state === (isOwner ? 'held' : 'idle');
    if (knows && link.isUp(isOwner ? VAULT : ANDROID)) world.say({ is: 'ready' });
    else CLOCK.after(LOOK_MS, look);
  };
  look();
  return {
    lend: () => {
      world.mark('asked');
      agent.borrow(PANEL.id, TERMS);
    },
    giveBack: () => {
      world.mark('returning');
      agent.giveBack(PANEL.id);
    },
  };
}

function ownerHooks(world: PartyWorld): DriverHooks {
  return {
    run: (_bundle, hook, _epoch, done) => {
      if (hook === 'suspend') world.mark('suspended');
      if (hook === 'resume') world.mark('ownerResumed');
      done({ ok: true });
    },
    inspect: (_bundle, done) => done('active'),
  };
}

function borrowerHooks(world: PartyWorld): DriverHooks {
  return {
    run: (_bundle, hook, _epoch, done) => {
      if (hook === 'resume') world.mark('resumed');
      done({ ok: true });
    },
    inspect: (_bundle, done) => done('suspended'),
  };
}
