/**
 * Rows of the tables that no search reaches, since its world has no such fact: each is fired here once, alone, with
 * what must come of it.
 */

import type { BorrowerState } from '../../src/core/agent/borrower-state.ts';
import type { OwnerState } from '../../src/core/agent/owner-state.ts';
import { BUSY_RETRY_MS } from '../../src/core/protocol/codes.ts';
import { DRAINS_MAX } from '../../src/core/protocol/timers.ts';
import { ANDROID, VAULT } from '../../targets/lab/machine/board.ts';
import {
  allowed,
  borrower,
  CHALLENGE,
  CONSENT,
  command,
  fromBorrower,
  fromHost,
  HOST_CONFIG,
  held,
  heldByOwner,
  holding,
  host,
  knowing,
  lent,
  lentByHost,
  message,
  moving,
  OTHER,
  on,
  owner,
  owning,
  phase,
  phaseFailed,
  phases,
  prepare,
  REQUEST,
  refusalTo,
  remapped,
  sent,
  suspending,
  TERMS,
  timers,
} from '../core/protocol/requirements-support.ts';
import type { Directed } from './directed-case.ts';
import { DIRECTED_QUEUE } from './directed-queue.ts';

type Host = ReturnType<typeof host>;

const quarantined = () => host([phaseFailed('fence', 2)], moving()).state;
const busy = (times: number, from = moving()) => [
  phase('fence', from.attempt!.epoch),
  phase('settle', from.attempt!.epoch),
  ...Array.from({ length: times }, () => [
    phase('clean', from.attempt!.epoch, { idle: false }),
    { on: 'timer:drain' },
  ]).flat(),
];
const refused = (to: typeof VAULT) => (played: unknown) => {
  const { state, effects } = played as Host;
  return [state.name, ...refusalTo(to, effects)];
};
const effectsOf = (played: unknown) => (played as Host).effects;
const stateOf = (played: unknown) => (played as Host).state;

/** What a renewal of the loan at epoch 2 names. */
const RENEWAL = {
  epoch: 2,
  requestId: 1,
  renewal: 1,
  leaseMs: 60,
  borrower: VAULT,
  consent: CONSENT,
  purpose: 'pin',
};

const STRICT = { ...HOST_CONFIG, resettable: false, acceptDriverResidualState: true };

/** An owner that is told of another holder, or of a newer epoch of its own, in the middle of what it does. */
const OVERTAKEN: readonly (readonly [string, Directed['play'], string, boolean, ...string[]])[] = [
  [
    'o:stateReported-quiesce',
    () => owner([fromHost(held(VAULT, 2, ANDROID))], owning()),
    'suspending',
    true,
    'quiesce',
  ],
  [
    'o:stateReported-quiesce-after-hook',
    () => owner([fromHost(held(OTHER, 3, ANDROID))], suspending()),
    'suspending',
    true,
  ],
  [
    'o:remapped-ours-while-suspending',
    () => owner([fromHost(remapped(ANDROID, 3))], suspending()),
    'suspending',
    true,
  ],
  [
    'o:stateReported-ours-while-suspending',
    () => owner([fromHost(held(ANDROID, 3))], suspending()),
    'suspending',
    true,
  ],
];

export const DIRECTED: readonly Directed[] = [
  {
    row: 'b:remapped-owner-away',
    play: () => {
      const terms = { ...TERMS, mayQueue: false };
      return borrower([{ on: 'borrow', terms, fresh: false }, fromHost(remapped(OTHER, 2))], knowing());
    },
    wants: ['idle', { notice: 'declined', reason: 'busy', retryAfterMs: BUSY_RETRY_MS }],
    seen: ({ state, effects }) => [state.name, (effects.at(-1) as unknown as { notice: unknown }).notice],
  },
  {
    row: 'h:claim-quarantined',
    play: () => host([command(ANDROID, 'claim', { epoch: 2 })], quarantined()),
    wants: ['quarantined', 'quarantined'],
    seen: refused(ANDROID),
  },
  {
    row: 'h:claim-refused',
    play: () => host([command(VAULT, 'claim', { epoch: 1 })], heldByOwner()),
    wants: ['held', 'notOwner'],
    seen: refused(VAULT),
  },
  {
    row: 'h:cleaned-busy',
    play: () => host(busy(1).slice(0, -1), moving()),
    wants: ['moving', DRAINS_MAX - 1, 1],
    seen: (played) => [
      played.state.name,
      stateOf(played).attempt!.drainsLeft,
      timers(played.effects).filter(([name]) => name === 'drain').length,
    ],
  },
  {
    row: 'h:drain-look',
    play: () => host(busy(1), moving()),
    wants: ['moving', 'clean'],
    seen: (played) => [played.state.name, ...phases(effectsOf(played))],
  },
  {
    row: 'h:cleaned-never-idle',
    play: () => host(busy(DRAINS_MAX + 1).slice(0, -1), moving()),
    // What the owner left in its own device is no secret from it.
    wants: ['moving', 'rollback', ANDROID, 'grant'],
    seen: (played) => [
      played.state.name,
      stateOf(played).attempt!.cause,
      stateOf(played).attempt!.to!.vm,
      ...phases(effectsOf(played)),
    ],
  },
  {
    row: 'h:inspect-timeout',
    play: () => {
      const recovered = { kind: 'record', state: heldByOwner(), rebooted: false };
      const start = { on: 'start', recovered, running: { [ANDROID]: 1, [VAULT]: 1 } };
      return host([start, { on: 'timer:enforce' }]);
    },
    wants: ['quarantined', { cause: 'inspectFailed', isolated: false }],
    seen: (played) => [played.state.name, stateOf(played).quarantine],
  },
  {
    row: 'h:prepare-quarantined',
    play: () => host([prepare()], quarantined()),
    wants: ['quarantined', 'quarantined'],
    seen: refused(ANDROID),
  },
  {
    row: 'b:new-table',
    play: () => borrower([on('newTable')], knowing()),
    wants: ['idle', 0, { epoch: 0, holder: undefined }],
    seen: ({ state }) => {
      const { name, epoch, known } = state as unknown as BorrowerState;
      return [name, epoch, known];
    },
  },
  {
    row: 'h:claim-held',
    play: () => host([command(ANDROID, 'claim', { epoch: 1 })], heldByOwner()),
    wants: ['held', 'remapped'],
    seen: ({ state, effects }) => [state.name, ...sent(effects)],
  },
  {
    row: 'h:epochs-reserved',
    play: () => host([{ on: 'epochsReserved', to: 2_048 }], heldByOwner()),
    wants: ['held', 2_048],
    seen: (played) => [played.state.name, stateOf(played).epochMax],
  },
  {
    row: 'h:phase-timeout-late',
    play: () => host([{ on: 'timer:enforce', lateMs: 4_000 }], moving()),
    // What did not run cannot tell who was late.
    wants: ['moving', 'fence', ['enforce', HOST_CONFIG.times.enforceMs]],
    seen: (played) => [played.state.name, stateOf(played).attempt!.phase, ...timers(played.effects)],
  },
  {
    row: 'h:query-record-stale',
    play: () => {
      const recovered = { kind: 'record', state: heldByOwner(), rebooted: false };
      const running = { [ANDROID]: 1, [VAULT]: 1 };
      const start = { on: 'start', recovered, running, epochs: { from: 1_024, to: 2_048 } };
      const read = phase('inspect', 1_024, { reach: ANDROID });
      return host([start, read, command(ANDROID, 'queryState', { epoch: 3, challenge: CHALLENGE })]);
    },
    wants: ['moving', 'restart', 1_025, ANDROID],
    seen: (played) => {
      const { cause, epoch, to } = stateOf(played).attempt!;
      return [played.state.name, cause, epoch, to!.vm];
    },
  },
  {
    row: 'h:reserved-unwritten',
    play: () => host([prepare(), { on: 'recorded', fault: 'ENOSPC' }], heldByOwner()),
    wants: ['held', undefined, 'busy'],
    seen: (played) => [
      played.state.name,
      stateOf(played).reservation,
      ...refusalTo(ANDROID, effectsOf(played)),
    ],
  },
  {
    row: 'o:new-table',
    play: () => owner([on('newTable')], owning()),
    wants: ['held', 0, 0],
    seen: ({ state }) => {
      const { name, epoch, heldEpoch } = state as unknown as OwnerState;
      return [name, epoch, heldEpoch];
    },
  },
  ...DIRECTED_QUEUE,
  ...OVERTAKEN.map(
    ([row, play, ...wants]): Directed => ({
      row,
      play,
      wants,
      seen: ({ state, effects }) => [
        state.name,
        (state as unknown as OwnerState).overtaken,
        ...effects.flatMap((effect) =>
          effect.do === 'hook' ? [(effect as unknown as { hook: string }).hook] : [],
        ),
      ],
    }),
  ),
  {
    row: 'h:reclaim-late',
    play: () => host([command(ANDROID, 'reclaim', { epoch: 1 })], heldByOwner()),
    wants: ['held', 'remapped'],
    seen: ({ state, effects }) => [state.name, ...sent(effects)],
  },
  {
    row: 'h:reclaim-quarantined',
    play: () => host([command(ANDROID, 'reclaim', { epoch: 2 })], quarantined()),
    wants: ['quarantined', 'quarantined'],
    seen: refused(ANDROID),
  },
  {
    row: 'h:reclaim-refused',
    play: () => host([command(VAULT, 'reclaim', { epoch: 2 })], lentByHost()),
    wants: ['held', 'notOwner'],
    seen: refused(VAULT),
  },
  {
    row: 'h:release-refused',
    play: () => host([command(OTHER, 'release', { epoch: 9 })], lentByHost()),
    wants: ['held', 'notHolder'],
    seen: refused(OTHER),
  },
  {
    row: 'h:settled-unresettable',
    play: () => {
      const forced = [{ on: 'timer:lease' }, { on: 'timer:notice' }];
      return host([...forced, phase('fence', 3), phase('settle', 3)], lentByHost({}, STRICT), STRICT);
    },
    wants: ['quarantined', { cause: 'unresettable', isolated: true }, []],
    seen: (played) => [played.state.name, stateOf(played).quarantine, phases(effectsOf(played))],
  },
  {
    row: 'o:policy-denies',
    play: () => {
      const denied = { allow: false, reason: 'policy', retryAfterMs: 0 };
      return owner([fromBorrower(REQUEST), { ...allowed(1), decision: denied } as never], owning());
    },
    wants: ['held', 'borrowDeclined'],
    seen: ({ state, effects }) => [state.name, ...sent(effects)],
  },
  {
    row: 'o:policy-timeout',
    play: () => owner([fromBorrower(REQUEST), on('timer:policy')], owning()),
    wants: ['held', 'borrowDeclined', 'policyTimeout'],
    seen: ({ state, effects }) => [state.name, ...sent(effects), reasonIn(effects)],
  },
  {
    row: 'o:request-driver-failed',
    play: () => owner([fromBorrower(REQUEST)], { ...owning(), name: 'failed' }),
    wants: ['failed', 'borrowDeclined', 'hookFailed'],
    seen: ({ state, effects }) => [state.name, ...sent(effects), reasonIn(effects)],
  },
  {
    row: 'o:stateReported-found-intruding',
    play: () =>
      owner([
        on('start'),
        { on: 'driverInspected', status: 'active' } as never,
        fromHost(held(VAULT, 2, ANDROID)),
      ]),
    wants: ['suspending', 'quiesce'],
    seen: ({ state, effects }) => [
      state.name,
      ...effects.flatMap((effect) =>
        effect.do === 'hook' ? [(effect as unknown as { hook: string }).hook] : [],
      ),
    ],
  },
  {
    row: 'b:renew-unanswered',
    play: () => {
      const asked = { ...holding(), renewing: { leaseMs: 60, sent: 5 } };
      return borrower([on('timer:renewal')], asked);
    },
    wants: ['held', undefined, { notice: 'renewalDeclined', reason: 'timedOut' }],
    seen: ({ state, effects }) => [
      state.name,
      (state as unknown as BorrowerState).renewing,
      (effects.at(-1) as unknown as { notice: unknown }).notice,
    ],
  },
  {
    row: 'h:renewLease-busy',
    play: () => host([command(ANDROID, 'renewLease', RENEWAL)], moving()),
    wants: ['moving', 'tooLate'],
    seen: refused(ANDROID),
  },
  {
    row: 'h:renewLease-quarantined',
    play: () => host([command(ANDROID, 'renewLease', RENEWAL)], quarantined()),
    wants: ['quarantined', 'quarantined'],
    seen: refused(ANDROID),
  },
  {
    row: 'o:renew-recalled',
    play: () =>
      owner(
        [{ on: 'recall', graceMs: 1, force: true } as never, fromBorrower(message('renew', RENEWAL))],
        lent(),
      ),
    wants: ['lent', 'borrowDeclined', 'policy'],
    seen: ({ state, effects }) => [state.name, ...sent(effects.slice(-1)), reasonIn(effects.slice(-1))],
  },
  {
    row: 'o:renewal-denied',
    play: () => {
      const asked = owner([fromBorrower(message('renew', RENEWAL))], lent()).state;
      const decision = { allow: false, reason: 'policy', retryAfterMs: 0 };
      return owner([{ on: 'policyDecided', request: asked.renewal!.number, decision } as never], asked);
    },
    wants: ['lent', 'borrowDeclined', undefined],
    seen: ({ state, effects }) => [state.name, ...sent(effects), (state as unknown as OwnerState).renewal],
  },
  {
    row: 'o:renewal-timeout',
    play: () => owner([fromBorrower(message('renew', RENEWAL)), on('timer:renewal')], lent()),
    wants: ['lent', 'borrowDeclined', 'policyTimeout'],
    seen: ({ state, effects }) => [state.name, ...sent(effects), reasonIn(effects)],
  },
];

function reasonIn(effects: readonly { readonly do: string }[]): unknown {
  const decline = effects.find((effect) => effect.do === 'send') as unknown as {
    message: { reason: string };
  };
  return decline.message.reason;
}
