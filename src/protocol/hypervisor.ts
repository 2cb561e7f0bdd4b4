/**
 * The hypervisor service's table for one bundle: who holds it, under which epoch, and until when.
 *
 * Pure: facts in, orders out (hypervisor-state.ts). It is the only place that allocates epochs and the only one
 * that orders the enforcer. This file has the commands and the clocks; the remap itself is in
 * hypervisor-remap.ts. One command at a time per bundle, decided in the order of arrival; a repeated command is
 * answered from the last outcome without acting.
 */

import { isEvidenceEnough, type MoveCause, type RefusalCode } from './codes.ts';
import { sameBytes } from './evidence.ts';
import {
  type Base,
  begin,
  beginReturn,
  type HostOut,
  type HostSeen,
  hostRow,
  leaseLeft,
  ownerLife,
  quarantine,
  REMAP_ROWS,
  stop,
  tell,
  timer,
  withExits,
} from './hypervisor-remap.ts';
import {
  HOST_STATES,
  type Holder,
  type HostConfig,
  type HostEffect,
  type HostInput,
  type HostState,
  holds,
  initialHost,
  lifeOf,
  type OpenedConsent,
} from './hypervisor-state.ts';
import { type Epoch, UINT32_MAX, type VmId } from './ids.ts';
import { type CommandKind, MESSAGES, type MessageKind, type MessageOf } from './messages.ts';
import { makeTable } from './table.ts';
import { HOST_TIMERS, type HostTimer } from './timers.ts';

type Command = Exclude<CommandKind, never>;

/** Highest epoch that is taken over from agents after the table was lost, so that none can use all epochs up. */
const EPOCH_RESTORED_MAX = 0x0100_0000;

function refuse(x: Base, to: VmId, command: MessageKind, named: Epoch, code: RefusalCode): HostEffect {
  const { state, config } = x;
  const { holder, attempt, lastEpoch } = state;
  const message: MessageOf<'refused'> = {
    kind: 'refused',
    bundle: config.bundle,
    epoch: named,
    command: MESSAGES[command].number,
    code,
    currentEpoch: holder?.epoch ?? attempt?.epoch ?? lastEpoch,
    ...(holder ? { holder: holder.vm } : {}),
  };
  return { do: 'send', to, message };
}

function refusal(x: HostSeen<Command>, code: RefusalCode): HostOut {
  return {
    state: x.state,
    effects: [refuse(x, x.input.from, x.input.on, x.input.message.epoch, code)],
  };
}

/** Why a `prepare` cannot be granted, or undefined. */
function whyNotPrepare(x: HostSeen<'prepare'>): RefusalCode | undefined {
  const { state, input, config } = x;
  const { message, from, consent } = input;
  if (from !== config.owner) return 'notOwner';
  if (!holds(state, from)) return 'notHolder';
  if (message.epoch !== state.holder?.epoch) return 'epochStale';
  if (!sameBytes(message.digest, config.digest)) return 'digestMismatch';
  if (!consent) return 'consentInvalid';
  if (message.borrower === config.owner) return 'consentTerms';
  if (!lifeOf(state, message.borrower)) return 'borrowerAbsent';
  if (state.barred.includes(message.borrower)) return 'barred';
  if (!config.resettable && !config.acceptDriverResidue) return 'unresettable';
  if (state.epoch >= UINT32_MAX - 1) return 'epochsExhausted';
  return whyNotConsent(x, consent);
}

function whyNotConsent(x: HostSeen<'prepare'>, consent: OpenedConsent): RefusalCode | undefined {
  const { state, input, config } = x;
  const { claims, sameBoot, ageMs } = consent;
  if (claims.bundle !== config.bundle || claims.owner !== config.owner) return 'consentInvalid';
  if (!sameBytes(claims.digest, config.digest)) return 'digestMismatch';
  if (claims.epoch !== state.holder?.epoch) return 'consentStale';
  if (claims.incarnation !== state.running[input.message.borrower]) return 'consentStale';
  if (!sameBoot || ageMs < 0 || ageMs > claims.validMs) return 'consentStale';
  if (claims.leaseMs === 0 || claims.leaseMs < claims.minTenureMs) return 'consentTerms';
  if (!isEvidenceEnough(config.evidence, claims.evidence)) return 'evidenceTooWeak';
  return undefined;
}

function reserve(x: HostSeen<'prepare'>): HostOut {
  const { state, input, config } = x;
  const claims = input.consent!.claims;
  const epoch = (state.epoch + 1) as Epoch;
  const { leaseMs, minTenureMs, noticeMs } = claims;
  const reservation = {
    epoch,
    borrower: lifeOf(state, input.message.borrower)!,
    terms: { leaseMs, minTenureMs, noticeMs },
  };
  const next: HostState = { ...state, epoch, reservation };
  return {
    state: next,
    effects: [
      { do: 'persist', sync: true },
      ...announce({ ...x, state: next }),
      timer('reservation', config.times.reserveMs),
    ],
  };
}

/** Tells both parties of a reservation. */
function announce(x: Base): HostEffect[] {
  const { state, config } = x;
  const { epoch, borrower } = state.reservation!;
  const body = { bundle: config.bundle, epoch, reserveMs: config.times.reserveMs };
  return [
    { do: 'send', to: config.owner, message: { kind: 'prepared', ...body } },
    { do: 'send', to: borrower.vm, message: { kind: 'handoverPending', ...body } },
  ];
}

/** Drops a reservation: its epoch is burnt; holder, holder's epoch and consent stay as they were. */
function unreserve(x: Base, code: RefusalCode): HostOut {
  const { state, config } = x;
  const { epoch, borrower } = state.reservation!;
  const next: HostState = { ...state, reservation: undefined };
  const base = { ...x, state: next };
  return {
    state: next,
    effects: [
      stop('reservation'),
      refuse(base, config.owner, 'lend', epoch, code),
      refuse(base, borrower.vm, 'requestBorrow', epoch, code),
      { do: 'audit', event: 'unreserved', detail: code },
    ],
  };
}

/** Gives notice of a forced return, or starts it at once where the consent asks for none. */
function startNotice(x: Base, cause: MoveCause): HostOut {
  const { state, config } = x;
  const holder = state.holder as Holder;
  const noticeMs = holder.lease?.noticeMs ?? 0;
  if (noticeMs === 0 && config.forceRevoke) return beginReturn(x, cause, true);
  return {
    state: { ...state, holder: { ...holder, ending: { cause, notified: true } } },
    effects: [
      stop('lease'),
      stop('confirm'),
      {
        do: 'send',
        to: holder.vm,
        message: { kind: 'leaseEnding', bundle: config.bundle, epoch: holder.epoch, noticeMs, cause },
      },
      timer('notice', noticeMs),
      { do: 'audit', event: 'notice', detail: cause },
    ],
  };
}

const isHolder = ({ state, input }: HostSeen<'confirm' | 'reject' | 'release'>) =>
  holds(state, input.from) && state.holder?.epoch === input.message.epoch;
const isLent = ({ state }: { readonly state: HostState }) => state.holder?.lease !== undefined;
const isOwner = ({ input, config }: { input: { from: VmId }; config: HostConfig }) =>
  input.from === config.owner;
/** The command names an attempt that is over: it is answered with what became of it. */
const isPast = ({ state, input }: HostSeen<Command>) =>
  input.message.epoch < (state.holder?.epoch ?? state.lastEpoch) ||
  (input.message.epoch === state.lastEpoch && input.on !== 'prepare');

function answerFromOutcome(x: HostSeen<Command>): HostOut {
  return { state: x.state, effects: [tell(x, x.input.from)] };
}

/** The rows that answer a command in a state in which it cannot be carried out. */
function otherwise(on: Command, moving: RefusalCode | 'ignore') {
  return [
    ...(moving === 'ignore'
      ? [
          hostRow({
            name: `${on}-underway`,
            on,
            from: ['moving'],
            ignore: 'the remap is under way; its end is told',
          }),
        ]
      : [
          hostRow({ name: `${on}-busy`, on, from: ['moving'], to: ['stay'], act: (x) => refusal(x, moving) }),
        ]),
    hostRow({
      name: `${on}-quarantined`,
      on,
      from: ['quarantined'],
      to: ['stay'],
      act: (x) => refusal(x, 'quarantined'),
    }),
    hostRow({
      name: `${on}-starting`,
      on,
      from: ['starting'],
      ignore: 'the machine is being read back; ask again',
    }),
  ];
}

const lendRows = [
  hostRow({
    name: 'prepare-again',
    on: 'prepare',
    from: ['held'],
    when: 'repeated',
    holds: (x) =>
      isOwner(x) &&
      x.state.reservation?.borrower.vm === x.input.message.borrower &&
      x.state.holder?.epoch === x.input.message.epoch,
    to: ['stay'],
    act: (x) => ({ state: x.state, effects: announce(x) }),
  }),
  hostRow({
    name: 'prepare-reserved',
    on: 'prepare',
    from: ['held'],
    when: 'reserved for somebody else',
    holds: ({ state }) => state.reservation !== undefined,
    to: ['stay'],
    act: (x) => refusal(x, 'busy'),
  }),
  hostRow({
    name: 'prepare-refused',
    on: 'prepare',
    from: ['held', 'parked'],
    when: 'not allowed now',
    holds: (x) => whyNotPrepare(x) !== undefined,
    to: ['stay'],
    act: (x) => refusal(x, whyNotPrepare(x)!),
  }),
  hostRow({ name: 'prepare', on: 'prepare', from: ['held', 'parked'], to: ['stay'], act: reserve }),
  ...otherwise('prepare', 'busy'),
  hostRow({
    name: 'lend',
    on: 'lend',
    from: ['held'],
    when: 'of the reservation, by the holding owner',
    holds: (x) =>
      isOwner(x) && holds(x.state, x.input.from) && x.state.reservation?.epoch === x.input.message.epoch,
    to: ['moving'],
    act: (x) => {
      const { epoch, borrower, terms } = x.state.reservation!;
      return begin(x, { cause: 'lend', to: borrower, forced: false, terms, reserved: epoch });
    },
  }),
  hostRow({
    name: 'lend-over',
    on: 'lend',
    from: ['held', 'parked'],
    when: 'repeated',
    holds: (x) => isOwner(x) && isPast(x) && x.input.message.epoch === x.state.lastEpoch,
    to: ['stay'],
    act: answerFromOutcome,
  }),
  hostRow({
    name: 'lend-lapsed',
    on: 'lend',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, isOwner(x) ? 'reservationLapsed' : 'notOwner'),
  }),
  ...otherwise('lend', 'ignore'),
  hostRow({
    name: 'cancel-reservation',
    on: 'cancel',
    from: ['held'],
    when: 'of the reservation',
    holds: (x) => isOwner(x) && x.state.reservation?.epoch === x.input.message.epoch,
    to: ['stay'],
    act: (x) => unreserve(x, 'cancelled'),
  }),
  hostRow({
    name: 'cancel-attempt',
    on: 'cancel',
    from: ['moving'],
    when: 'the running lend, before the point of no return',
    holds: (x) => {
      const { attempt } = x.state;
      return (
        isOwner(x) &&
        attempt?.epoch === x.input.message.epoch &&
        attempt.cause === 'lend' &&
        attempt.phase !== 'grant'
      );
    },
    to: ['stay'],
    act: ({ state }) => ({
      state: { ...state, attempt: { ...state.attempt!, cancelled: true } },
      effects: [],
    }),
  }),
  hostRow({
    name: 'cancel-late',
    on: 'cancel',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, isOwner(x) ? 'tooLate' : 'notOwner'),
  }),
  ...otherwise('cancel', 'tooLate'),
  hostRow({
    name: 'reservation-lapses',
    on: 'timer:reservation',
    from: ['held'],
    when: 'reserved',
    holds: ({ state }) => state.reservation !== undefined,
    to: ['stay'],
    act: (x) => unreserve(x, 'reservationLapsed'),
  }),
];

const returnRows = [
  hostRow({
    name: 'release',
    on: 'release',
    from: ['held'],
    when: 'by the borrower that holds',
    holds: (x) => isHolder(x) && isLent(x),
    to: ['moving', 'quarantined'],
    act: (x) => beginReturn(x, x.state.holder?.ending?.cause ?? 'release', false),
  }),
  hostRow({
    name: 'release-over',
    on: 'release',
    from: ['held', 'parked'],
    when: 'repeated, or of an older epoch',
    holds: isPast,
    to: ['stay'],
    act: answerFromOutcome,
  }),
  hostRow({
    name: 'release-refused',
    on: 'release',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, 'notHolder'),
  }),
  ...otherwise('release', 'ignore'),
  hostRow({
    name: 'reclaim',
    on: 'reclaim',
    from: ['held'],
    when: 'lent at this epoch',
    holds: (x) => isOwner(x) && isLent(x) && x.state.holder?.epoch === x.input.message.epoch,
    to: ['stay', 'moving', 'quarantined'],
    act: (x) => {
      const { state, input } = x;
      const holder = state.holder!;
      const lease = holder.lease!;
      if (holder.ending?.notified) return { state, effects: [] };
      const tenureLeftMs = Math.ceil(lease.startedMs + lease.minTenureMs - input.nowMs);
      if (tenureLeftMs <= 0) return startNotice(x, 'reclaim');
      return {
        state: { ...state, holder: { ...holder, ending: { cause: 'reclaim', notified: false } } },
        effects: [timer('lease', Math.min(tenureLeftMs, leaseLeft(state, input.nowMs)))],
      };
    },
  }),
  hostRow({
    name: 'reclaim-over',
    on: 'reclaim',
    from: ['held', 'parked'],
    when: 'by the owner',
    holds: isOwner,
    to: ['stay'],
    act: answerFromOutcome,
  }),
  hostRow({
    name: 'reclaim-refused',
    on: 'reclaim',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, 'notOwner'),
  }),
  ...otherwise('reclaim', 'ignore'),
  hostRow({
    name: 'claim',
    on: 'claim',
    from: ['parked'],
    when: 'by the owner, not in the guard time',
    holds: (x) => isOwner(x) && !x.state.guard && ownerLife(x) !== undefined,
    to: ['moving', 'quarantined'],
    act: (x) => begin(x, { cause: 'claim', to: ownerLife(x), forced: false }),
  }),
  hostRow({
    name: 'claim-guard',
    on: 'claim',
    from: ['parked'],
    when: 'by the owner, in the guard time',
    holds: isOwner,
    ignore: 'the bundle goes to the owner by itself when the guard time is over',
  }),
  hostRow({
    name: 'claim-held',
    on: 'claim',
    from: ['held'],
    when: 'by the owner',
    holds: isOwner,
    to: ['stay'],
    act: answerFromOutcome,
  }),
  hostRow({
    name: 'claim-refused',
    on: 'claim',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => refusal(x, 'notOwner'),
  }),
  ...otherwise('claim', 'ignore'),
];

const holderRows = [
  hostRow({
    name: 'confirm',
    on: 'confirm',
    from: ['held'],
    when: 'by the holder',
    holds: isHolder,
    to: ['stay'],
    act: (x) => {
      const { state, input, config } = x;
      const { epoch } = input.message;
      const first = !state.holder!.confirmed;
      return {
        state: { ...state, holder: { ...state.holder!, confirmed: true } },
        effects: [
          { do: 'send', to: input.from, message: { kind: 'confirmed', bundle: config.bundle, epoch } },
          ...(first
            ? ([
                stop('confirm'),
                { do: 'persist', sync: false },
                { do: 'audit', event: 'confirmed' },
              ] as const)
            : []),
        ],
      };
    },
  }),
  hostRow({
    name: 'confirm-over',
    on: 'confirm',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => (isPast(x) ? answerFromOutcome(x) : refusal(x, 'notHolder')),
  }),
  ...otherwise('confirm', 'ignore'),
  hostRow({
    name: 'reject-borrower',
    on: 'reject',
    from: ['held'],
    when: 'by the borrower that holds',
    holds: (x) => isHolder(x) && isLent(x),
    to: ['moving', 'quarantined'],
    act: (x) => {
      const { state, input } = x;
      const barred = [...state.barred.filter((vm) => vm !== input.from), input.from];
      return beginReturn({ ...x, state: { ...state, barred } }, 'rejected', false, [
        { do: 'audit', event: 'rejected', detail: input.message.what },
      ]);
    },
  }),
  hostRow({
    name: 'reject-owner',
    on: 'reject',
    from: ['held'],
    when: 'by the owner that holds',
    holds: isHolder,
    to: ['moving', 'quarantined'],
    act: (x) =>
      begin(x, { cause: 'rejected', to: undefined, forced: false, quarantine: 'evidenceMismatch' }, [
        { do: 'audit', event: 'rejected', detail: x.input.message.what },
      ]),
  }),
  hostRow({
    name: 'reject-over',
    on: 'reject',
    from: ['held', 'parked'],
    to: ['stay'],
    act: (x) => (isPast(x) ? answerFromOutcome(x) : refusal(x, 'notHolder')),
  }),
  ...otherwise('reject', 'ignore'),
  hostRow({
    name: 'query-starting',
    on: 'queryState',
    from: ['starting'],
    ignore: 'the machine is being read back; ask again',
  }),
  hostRow({
    name: 'query-restores-epoch',
    on: 'queryState',
    from: ['quarantined'],
    when: 'the table was lost and the asker remembers a higher epoch',
    holds: ({ state, input }) =>
      state.quarantine?.cause === 'tableLost' &&
      input.message.epoch > state.epoch &&
      input.message.epoch <= EPOCH_RESTORED_MAX,
    to: ['stay'],
    act: (x) => {
      const { epoch } = x.input.message;
      const state: HostState = { ...x.state, epoch, lastEpoch: epoch };
      return {
        state,
        effects: [
          { do: 'persist', sync: true },
          { do: 'send', to: x.input.from, message: report({ ...x, state }) },
        ],
      };
    },
  }),
  hostRow({
    name: 'query',
    on: 'queryState',
    from: 'any',
    to: ['stay'],
    act: (x) => ({ state: x.state, effects: [{ do: 'send', to: x.input.from, message: report(x) }] }),
  }),
];

/** The answer to `queryState`. */
function report(x: HostSeen<'queryState'>): MessageOf<'stateReported'> {
  const { state, input, config } = x;
  const { holder, attempt } = state;
  return {
    kind: 'stateReported',
    bundle: config.bundle,
    epoch: holder?.epoch ?? attempt?.epoch ?? state.lastEpoch,
    challenge: input.message.challenge,
    phase: state.name === 'starting' ? 'moving' : state.name,
    digest: config.digest,
    ...(holder ? { holder: holder.vm, incarnation: holder.incarnation } : {}),
    confirmed: holder?.confirmed ?? false,
    leaseMs: leaseLeft(state, input.nowMs),
    ...(holder?.vm === input.from && holder.proof ? { proof: holder.proof } : {}),
    ...(state.quarantine ? { cause: state.quarantine.cause } : {}),
    yourIncarnation: state.running[input.from] ?? (0 as never),
    pending: state.reservation?.borrower.vm === input.from || attempt?.to?.vm === input.from,
  };
}

const clockRows = [
  hostRow({
    name: 'lease-over',
    on: 'timer:lease',
    from: ['held'],
    when: 'lent, notice not given',
    holds: (x) => isLent(x) && !x.state.holder?.ending?.notified,
    to: ['stay', 'moving', 'quarantined'],
    act: (x) => startNotice(x, x.state.holder?.ending?.cause ?? 'expiry'),
  }),
  hostRow({
    name: 'notice-over',
    on: 'timer:notice',
    from: ['held'],
    when: 'lent, the back end can force',
    holds: (x) => isLent(x) && x.config.forceRevoke,
    to: ['moving', 'quarantined'],
    act: (x) => beginReturn(x, x.state.holder?.ending?.cause ?? 'expiry', true),
  }),
  hostRow({
    name: 'notice-over-unforced',
    on: 'timer:notice',
    from: ['held'],
    when: 'lent, the back end cannot force',
    holds: isLent,
    to: ['stay'],
    // Gunyah and FF-A refuse to take from a live borrower: the return then waits for its release or VM exit.
    act: ({ state }) => ({
      state,
      effects: [{ do: 'audit', event: 'overdue', detail: state.holder?.ending?.cause }],
    }),
  }),
  hostRow({
    name: 'confirm-over-lease',
    on: 'timer:confirm',
    from: ['held'],
    when: 'lent, not confirmed',
    holds: (x) => isLent(x) && x.state.holder?.confirmed === false && !x.state.holder.ending?.notified,
    to: ['stay', 'moving', 'quarantined'],
    act: (x) => startNotice(x, 'noConfirm'),
  }),
  hostRow({
    name: 'tell-owner-again',
    on: 'timer:confirm',
    from: ['held'],
    when: 'the owner holds, not confirmed',
    holds: (x) => !isLent(x) && x.state.holder?.confirmed === false,
    to: ['stay'],
    act: (x) => ({
      state: x.state,
      effects: [tell(x, x.config.owner), timer('confirm', x.config.times.confirmMs)],
    }),
  }),
  hostRow({
    name: 'guard-over',
    on: 'timer:guard',
    from: ['parked'],
    when: 'guarding',
    holds: ({ state }) => state.guard,
    to: ['stay', 'moving', 'quarantined'],
    act: (x) => {
      const owner = ownerLife(x);
      if (!owner) return { state: { ...x.state, guard: false }, effects: [{ do: 'persist', sync: false }] };
      return begin(x, { cause: 'guard', to: owner, forced: false });
    },
  }),
];

/** A VM's new life, or the end of one. */
function withoutVm(state: HostState, vm: VmId): HostState {
  const running = { ...state.running };
  delete running[vm];
  return { ...state, running, exiting: [...state.exiting.filter((other) => other !== vm), vm] };
}

function vmEnded(x: HostSeen<'vmExited'>): HostOut {
  const { vm } = x.input;
  const state = withoutVm(x.state, vm);
  const next = { ...x, state };
  if (state.name === 'held' && state.holder?.vm === vm)
    return withExits(beginReturn(next, 'exit', vm !== x.config.owner));
  if (state.name === 'held' && isLent(next) && vm === x.config.owner && x.config.keeper === 'owner') {
    return withExits(beginReturn(next, 'supplyLost', true));
  }
  if (state.reservation?.borrower.vm === vm) return withExits(unreserve(next, 'borrowerAbsent'));
  return withExits({ state, effects: [] });
}

const lifeRows = [
  hostRow({
    name: 'vm-exited',
    on: 'vmExited',
    from: 'any',
    to: ['stay', 'moving', 'quarantined'],
    act: vmEnded,
  }),
  hostRow({
    name: 'vm-started-owner',
    on: 'vmStarted',
    from: ['parked'],
    when: 'the owner',
    holds: ({ input, state, config }) => input.vm === config.owner && !state.guard,
    to: ['moving', 'quarantined'],
    act: (x) => {
      const state = started(x);
      return begin({ ...x, state }, { cause: 'start', to: lifeOf(state, x.input.vm), forced: false });
    },
  }),
  hostRow({
    name: 'vm-started',
    on: 'vmStarted',
    from: 'any',
    to: ['stay'],
    act: (x) => ({ state: started(x), effects: [] }),
  }),
];

function started({ state, input }: HostSeen<'vmStarted'>): HostState {
  return { ...state, running: { ...state.running, [input.vm]: input.incarnation } };
}

/** The service starts: what it last wrote, and what it must find out. */
function recover(x: HostSeen<'start'>): HostOut {
  const { input } = x;
  const { recovered, running } = input;
  const fresh: HostState = { ...initialHost(), running };
  if (recovered.kind === 'lost') return quarantine({ ...x, state: fresh }, 'tableLost', false);
  if (recovered.kind === 'new') return parkAtBoot({ ...x, state: fresh });
  const { state: old, rebooted } = recovered;
  const state: HostState = { ...old, running, exiting: [], reservation: undefined, guard: false };
  if (rebooted) return parkAtBoot({ ...x, state: { ...state, epoch: old.epoch } });
  return {
    state: { ...state, name: 'starting' },
    effects: [
      { do: 'phase', phase: 'inspect', epoch: state.epoch },
      timer('enforce', x.config.times.enforceMs),
    ],
  };
}

/** After a reboot of the machine nobody holds anything; the hardware came up blocked. */
function parkAtBoot(x: Base): HostOut {
  const { state } = x;
  const next: HostState = {
    ...state,
    name: 'parked',
    holder: undefined,
    attempt: undefined,
    quarantine: undefined,
    suspect: undefined,
    lastEpoch: state.epoch,
    lastCause: 'boot',
  };
  const effects: HostEffect[] = [
    { do: 'persist', sync: true },
    { do: 'audit', event: 'parked', detail: 'boot' },
  ];
  const owner = lifeOf(next, x.config.owner);
  if (!owner) return { state: next, effects };
  const out = begin({ ...x, state: next }, { cause: 'start', to: owner, forced: false });
  return { state: out.state, effects: [...effects, ...out.effects] };
}

/** The machine was read back: does it agree with the record? */
function inspected(x: HostSeen<'phaseDone'>): HostOut {
  const { state, input } = x;
  if (!input.result.ok) return quarantine(x, 'inspectFailed', false, [stop('enforce')]);
  const { reach } = input.result;
  if (state.quarantine)
    return quarantine(x, state.quarantine.cause, state.quarantine.isolated, [stop('enforce')]);
  const { holder, attempt } = state;
  const isAlive = (vm: VmId, incarnation: number) => state.running[vm] === incarnation;
  if (holder && reach === holder.vm && isAlive(holder.vm, holder.incarnation)) return holdOn(x, holder);
  if (
    attempt?.to &&
    reach === attempt.to.vm &&
    isAlive(attempt.to.vm, attempt.to.incarnation) &&
    attempt.phase === 'grant'
  ) {
    const { to, epoch, terms, cause } = attempt;
    const lease = terms ? { ...terms, startedMs: input.nowMs } : undefined;
    return holdOn(x, { ...to, epoch, confirmed: false, lease }, cause);
  }
  if (!holder && !attempt && reach === 'blocked') {
    const parked: HostState = { ...state, name: 'parked' };
    const owner = ownerLife(x);
    if (owner && state.lastCause !== 'lift') {
      return begin({ ...x, state: parked }, { cause: 'restart', to: owner, forced: false }, [
        stop('enforce'),
      ]);
    }
    return { state: parked, effects: [stop('enforce')] };
  }
  // Something was left half-way, or cannot be told: fence it again from the start, and back to the owner.
  const lent = holder?.lease !== undefined;
  return begin(x, { cause: 'restart', to: lent ? undefined : ownerLife(x), forced: lent }, [stop('enforce')]);
}

/** The machine agrees with the record: go on where the clocks stand. */
function holdOn(x: HostSeen<'phaseDone'>, holder: Holder, cause = x.state.lastCause): HostOut {
  const { state, input, config } = x;
  const proof = input.result.ok ? input.result.proof : undefined;
  const next: HostState = {
    ...state,
    name: 'held',
    holder: { ...holder, proof, ending: undefined },
    attempt: undefined,
    lastEpoch: holder.epoch,
    lastCause: cause,
    lastBorrower: holder.lease ? holder.vm : state.lastBorrower,
  };
  return {
    state: next,
    effects: [
      stop('enforce'),
      { do: 'persist', sync: true },
      ...(holder.lease ? [timer('lease', leaseLeft(next, input.nowMs))] : []),
      ...(holder.confirmed ? [] : [timer('confirm', config.times.confirmMs)]),
      { do: 'audit', event: 'held', detail: 'restart' },
    ],
  };
}

const startRows = [
  hostRow({
    name: 'start',
    on: 'start',
    from: ['starting'],
    to: ['stay', 'parked', 'moving', 'quarantined'],
    act: recover,
  }),
  hostRow({ name: 'start-again', on: 'start', from: 'any', ignore: 'started before' }),
  hostRow({
    name: 'inspected',
    on: 'phaseDone',
    from: ['starting'],
    when: 'inspect ended',
    holds: ({ input }) => input.phase === 'inspect',
    to: ['held', 'parked', 'moving', 'quarantined'],
    act: (x) => withExits(inspected(x)),
  }),
  hostRow({
    name: 'inspect-timeout',
    on: 'timer:enforce',
    from: ['starting'],
    to: ['quarantined'],
    act: (x) => quarantine(x, 'inspectFailed', false),
  }),
];

const quarantineRows = [
  hostRow({
    name: 'lift',
    on: 'lift',
    from: ['quarantined'],
    to: ['moving', 'quarantined'],
    act: (x) =>
      begin({ ...x, state: { ...x.state, barred: [] } }, { cause: 'lift', to: undefined, forced: false }),
  }),
  hostRow({
    name: 'lift-barred',
    on: 'lift',
    from: ['held', 'parked'],
    when: 'a borrower is barred',
    holds: ({ state }) => state.barred.length > 0,
    to: ['stay'],
    act: ({ state }) => ({
      state: { ...state, barred: [] },
      effects: [
        { do: 'persist', sync: false },
        { do: 'audit', event: 'unbarred' },
      ],
    }),
  }),
  hostRow({
    name: 'lift-nothing',
    on: 'lift',
    from: 'any',
    ignore: 'not in quarantine, and nobody is barred',
  }),
  hostRow({
    name: 'prove-again',
    on: 'timer:retry',
    from: ['quarantined'],
    when: 'isolation unproved',
    holds: ({ state }) => state.quarantine?.isolated === false,
    to: ['stay'],
    act: ({ state }) => ({
      state,
      effects: [{ do: 'phase', phase: 'fence', epoch: state.epoch }, timer('retry', HOST_TIMERS.retry)],
    }),
  }),
  hostRow({
    name: 'proving',
    on: 'phaseDone',
    from: ['quarantined'],
    when: 'fence done',
    holds: ({ input, state }) => input.phase === 'fence' && input.result.ok && input.epoch === state.epoch,
    to: ['stay'],
    act: ({ state }) => ({ state, effects: [{ do: 'phase', phase: 'settle', epoch: state.epoch }] }),
  }),
  hostRow({
    name: 'proved',
    on: 'phaseDone',
    from: ['quarantined'],
    when: 'settle done, isolation was unproved',
    holds: ({ input, state }) =>
      input.phase === 'settle' &&
      input.result.ok &&
      input.epoch === state.epoch &&
      state.quarantine?.isolated === false,
    to: ['stay'],
    act: ({ state }) =>
      withExits({
        state: { ...state, quarantine: { ...state.quarantine!, isolated: true }, suspect: undefined },
        effects: [stop('retry'), { do: 'persist', sync: true }, { do: 'audit', event: 'isolated' }],
      }),
  }),
  hostRow({ name: 'phase-late', on: 'phaseDone', from: 'any', ignore: 'the attempt or the phase is over' }),
];

const lateTimers = (Object.keys(HOST_TIMERS) as HostTimer[]).map((name) =>
  hostRow({
    name: `${name}-timer-late`,
    on: `timer:${name}`,
    from: 'any',
    ignore: 'what it waited for has happened',
  }),
);

/** Inputs of the hypervisor table, for the totality test and the diagrams. */
export const HOST_INPUTS: readonly HostInput['on'][] = [
  'start',
  'phaseDone',
  'vmStarted',
  'vmExited',
  'prepare',
  'lend',
  'cancel',
  'release',
  'reclaim',
  'claim',
  'confirm',
  'reject',
  'queryState',
  'lift',
  ...(Object.keys(HOST_TIMERS) as HostTimer[]).map((name) => `timer:${name}` as const),
];

/** The hypervisor service's table. */
export const HOST_TABLE = makeTable('hypervisor', HOST_STATES, HOST_INPUTS, [
  ...startRows,
  ...lendRows,
  ...REMAP_ROWS,
  ...returnRows,
  ...holderRows,
  ...clockRows,
  ...lifeRows,
  ...quarantineRows,
  ...lateTimers,
]);
