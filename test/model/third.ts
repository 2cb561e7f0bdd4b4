/**
 * A third VM: a borrower that is honest, has no state, and gives back what it gets as soon as it is told. Where the
 * owner's queue is searched, it is the other one that waits.
 */

import type { Epoch, Incarnation } from '../../src/core/protocol/ids.ts';
import { HOST } from '../../src/core/protocol/ids.ts';
import type { ConsentClaims } from '../../src/core/protocol/message-parts.ts';
import type { Message } from '../../src/core/protocol/messages.ts';
import { bundleDigest } from '../../src/core/wire/digest.ts';
import { BUNDLE, C, O, SETTINGS } from './settings.ts';
import { consentOf, type Envelope, envelopeOf, send, tokenIn, type World } from './world.ts';

/** Its lease: another than that of the other borrower. */
const TERMS = { leaseMs: 40, minHoldMs: 0, noticeMs: 5 } as const;

/** It asks, with a consent at the epoch of the present holder. Its requests have numbers of their own. */
export function thirdAsks(world: World, requestId: number): World {
  const epoch = world.host?.holder?.epoch ?? (0 as Epoch);
  const consent = consentOf(claims(world, epoch, requestId));
  const asked = { bundle: BUNDLE.id, purpose: 'pin', ...TERMS, waitMs: 10, consent, requestId } as const;
  return send(world, envelopeOf(C, O, { kind: 'requestBorrow', ...asked }));
}

function claims(world: World, epoch: Epoch, requestId: number): ConsentClaims {
  const { keeper } = SETTINGS.present;
  return {
    ...{ bundle: BUNDLE.id, epoch, digest: bundleDigest({ ...BUNDLE, keeper }), owner: O },
    ...{ incarnation: 1 as Incarnation, hostTime: tokenIn(world), validMs: 1_000, ...TERMS },
    ...{ evidence: 'observed', use: 'borrow', renewal: 0, requestId },
  };
}

/** It is told something: it accepts an offer, and confirms and gives back what it holds. */
export function thirdTold(world: World, { message }: Envelope): World {
  const say = (next: World, word: Message, to = HOST) => send(next, envelopeOf(C, to, word));
  switch (message.kind) {
    case 'offerLease': {
      const { bundle, offerId, epoch, requestId = 0 } = message;
      const consent = consentOf(claims(world, epoch, requestId));
      const word = {
        kind: 'acceptLease',
        bundle,
        offerId,
        consent,
        requestId,
        purpose: 'pin',
        ...TERMS,
      } as const;
      return say(world, word, O);
    }
    case 'remapped':
    case 'leaseEnding': {
      const { bundle, epoch } = message;
      if (message.kind === 'remapped' && message.holder !== C) return world;
      return say(say(world, { kind: 'confirm', bundle, epoch }), { kind: 'release', bundle, epoch });
    }
    default:
      return world;
  }
}
