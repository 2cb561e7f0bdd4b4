/** Bugs of the owner's queue and of its offers. */

import type { Mutant } from './sources.ts';

const QUEUE = 'test/core/protocol/queue.test.ts';
const FLOODS = 'test/levels/borrower-floods.test.ts';

export const QUEUE_MUTANTS: readonly Mutant[] = [
  {
    name: 'queue: who waits does not age',
    find: '({ ...other, passed: other.passed + 1 })',
    replace: '({ ...other, passed: other.passed })',
    breaks: 'L3: a request of low priority waits for ever',
    caughtBy: QUEUE,
  },
  {
    name: 'queue: the lowest priority is served first',
    find: '.sort((one, other) => rank(other) - rank(one));',
    replace: '.sort((one, other) => rank(one) - rank(other));',
    breaks: 'R112',
    caughtBy: QUEUE,
  },
  {
    name: 'queue: a request waits before the policy has allowed it',
    find: '.filter(({ priority }) => priority !== undefined)',
    replace: '.filter(({ priority }) => priority !== -1)',
    breaks: 'R119: who is not allowed gets an offer',
    caughtBy: QUEUE,
  },
  {
    name: 'queue: the policy is asked about the same place again and again',
    find: 'return open.sort((one, other) => one.asks - other.asks)[0];',
    replace: 'return open[0];',
    breaks: 'L3: a borrower that floods keeps the policy from the others',
    caughtBy: FLOODS,
  },
  {
    name: 'queue: a consent of the epoch before counts',
    find: 'return { ...one, told: place ? place.position : one.told, consent: undefined };',
    replace: 'return { ...one, told: place ? place.position : one.told };',
    breaks: 'M1: a consent is void once the bundle is away',
    caughtBy: QUEUE,
  },
  {
    name: 'queue: the driver is woken between two borrowers',
    find: "ours.driver === 'suspended' ? nextOf(ours) : undefined;",
    replace: 'ours.driver === undefined ? nextOf(ours) : undefined;',
    breaks: 'R120',
    caughtBy: QUEUE,
  },
  {
    name: 'queue: a recalled bundle is lent on',
    find: "      (state.isRecalled || state.name === 'failed'",
    replace: "      (state.name === 'failed'",
    breaks: 'R119: its user wants it back',
    caughtBy: QUEUE,
  },
  {
    name: 'queue: a driver that stays suspended is confirmed',
    find: "      isOurs(x) &&\n      x.state.driver === 'active' &&",
    replace: '      isOurs(x) &&',
    breaks: 'R24: confirmed before its driver resumed',
    caughtBy: QUEUE,
  },
  {
    name: 'queue: when nobody takes it, the driver stays suspended',
    find: 'if (!next) return resume(state, before);',
    replace: "if (!next) return { state: { ...cleared(state), name: 'held' }, effects: before };",
    breaks: 'R120: the owner’s screen stays dark',
    caughtBy: QUEUE,
  },
  {
    name: 'offers: anybody takes them',
    find: 'offer !== undefined && offer.borrower === from && offer.offerId === offerId',
    replace: 'offer !== undefined && offer.offerId === offerId',
    breaks: 'R120: a guest takes the turn of another',
    caughtBy: QUEUE,
  },
  {
    name: 'offers: an answer to an older one counts',
    find: 'offer !== undefined && offer.borrower === from && offer.offerId === offerId',
    replace: 'offer !== undefined && offer.borrower === from',
    breaks: 'R120: a late answer is taken for one to the present offer',
    caughtBy: QUEUE,
  },
  {
    name: 'offers: one at an epoch that is over is accepted',
    find: ' && isAnswer(x) && x.input.message.epoch >= x.state.epoch;',
    replace: ' && isAnswer(x);',
    breaks: 'M1, R124',
    caughtBy: QUEUE,
  },
  {
    name: 'offers: the consent names an epoch that the host did not tell',
    find: 'return isHeld && report.holder === definition.owner && report.epoch === offer?.epoch;',
    replace: 'return isHeld && offer !== undefined && report.holder !== definition.id;',
    breaks: 'R124: a consent at the epoch of another VM',
    caughtBy: QUEUE,
  },
  {
    name: 'queue: a request that the owner has forgotten waits for ever',
    find: '      input.message.confirmed &&\n      state.offer === undefined,',
    replace: '      input.message.confirmed &&\n      state.offer !== undefined,',
    breaks: 'L3, R125',
    caughtBy: QUEUE,
  },
];
