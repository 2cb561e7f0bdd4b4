/** Short ways to drive the pure tables, for the tests of single requirements. */

import type { BorrowTerms } from '../../../src/core/agent/agent-io.ts';
import { BORROWER_TABLE } from '../../../src/core/agent/borrower.ts';
import {
  type BorrowerEffect,
  type BorrowerInput,
  type BorrowerState,
  initialBorrower,
} from '../../../src/core/agent/borrower-state.ts';
import { OWNER_TABLE } from '../../../src/core/agent/owner.ts';
import {
  initialOwner,
  type OwnerEffect,
  type OwnerInput,
  type OwnerState,
} from '../../../src/core/agent/owner-state.ts';
import {
  type HostConfig,
  type HostEffect,
  type HostInput,
  type HostState,
  initialHost,
} from '../../../src/core/host/host-state.ts';
import { HOST_TABLE } from '../../../src/core/host/host-table.ts';
import { resourcesOf } from '../../../src/core/protocol/bundle.ts';
import type { AgentConfig } from '../../../src/core/protocol/evidence.ts';
import { grantedForm } from '../../../src/core/protocol/evidence.ts';
import { type Epoch, HOST, type Incarnation, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import type { ConsentClaims, MessageKind, MessageOf, Proof } from '../../../src/core/protocol/messages.ts';
import { HOST_TIMES } from '../../../src/core/protocol/timers.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';

export const OTHER = vmId('other');
export const DIGEST = bundleDigest(PANEL);
export const WRONG_DIGEST = new Uint8Array(32);
export const HOST_TIME = new Uint8Array(16);
export const CHALLENGE = new Uint8Array(8);
export const CONSENT = Uint8Array.of(1);
export const BUNDLE = PANEL.id;
export const epoch = (value: number) => value as Epoch;
export const inc = (value: number) => value as Incarnation;

/** A message of `kind` about the panel. */
export function message<K extends MessageKind>(kind: K, fields: object = {}): MessageOf<K> {
  return { kind, bundle: BUNDLE, ...fields } as unknown as MessageOf<K>;
}

/** The proof of a grant of the whole panel to `vm`, as the host makes it. */
export function proofFor(vm: VmId): Proof {
  const none = new Uint8Array(0);
  const resources = resourcesOf(PANEL).map((one) => ({ ...grantedForm(one, vm), before: none, after: none }));
  return { evidence: 'observed', resources, syncs: 3, resets: PANEL.devices.map(({ id }) => id) };
}

/** The answer to a query: `vm` holds in its first incarnation; if it is the borrower, by REQUEST. */
export function held(vm: VmId, at: number, self: VmId = vm): MessageOf<'stateReported'> {
  return message('stateReported', {
    epoch: at,
    challenge: CHALLENGE,
    phase: 'held',
    digest: DIGEST,
    holder: vm,
    incarnation: 1,
    confirmed: true,
    leaseMs: 0,
    yourIncarnation: 1,
    pending: false,
    ...(vm === VAULT ? { requestId: 1 } : {}),
    ...(vm === self ? { proof: proofFor(vm) } : {}),
  });
}

/** What is told of a remap to `vm` in its first incarnation. */
export function remapped(vm: VmId, at: number, fields: object = {}): MessageOf<'remapped'> {
  return message('remapped', {
    epoch: at,
    digest: DIGEST,
    cause: 'lend',
    holder: vm,
    incarnation: 1,
    proof: proofFor(vm),
    leaseMs: 1_000,
    ...(vm === VAULT ? { requestId: 1 } : {}),
    ...fields,
  });
}

/** Runs `inputs` from `state`. Returns the last state and the effects of the last input. */
function play<S extends { name: string }, I extends { on: string }, C, E>(
  table: {
    run(
      state: S,
      input: I,
      config: C,
    ): { state: S; effects: readonly E[]; row: string; levels: readonly string[] };
  },
  config: C,
  state: S,
  inputs: readonly I[],
): Played<S, E> {
  let played: Played<S, E> = { state, effects: [], row: '', levels: [] };
  for (const input of inputs) played = table.run(played.state, input, config);
  return played;
}

export interface Played<S, E> {
  readonly state: S;
  readonly effects: readonly E[];
  readonly row: string;
  readonly levels: readonly string[];
}

/** Kinds of the messages among `effects`. */
export function sent(effects: readonly { do: string }[]): string[] {
  return effects.flatMap((effect) =>
    effect.do === 'send' ? [(effect as unknown as { message: { kind: string } }).message.kind] : [],
  );
}

/** The one message of `kind` among `effects`. */
export function only<K extends MessageKind>(effects: readonly { do: string }[], kind: K): MessageOf<K> {
  const found = effects.flatMap((effect) => {
    const { message: one } = effect as unknown as { message?: { kind: string } };
    return effect.do === 'send' && one?.kind === kind ? [one] : [];
  });
  if (found.length !== 1) throw new Error(`${found.length} messages ${kind}`);
  return found[0] as unknown as MessageOf<K>;
}

/** Timers that `effects` start, with their lengths. */
export const timers = (effects: readonly { do: string }[]) =>
  effects.flatMap((effect) => {
    const { timer, ms } = effect as unknown as { timer: string; ms: number };
    return effect.do === 'timer' ? [[timer, ms]] : [];
  });

/** Names of the hooks that `effects` order. */
export function hooks(effects: readonly { do: string }[]): string[] {
  return effects.flatMap((effect) =>
    effect.do === 'hook' ? [(effect as unknown as { hook: string }).hook] : [],
  );
}

// ---- agents ----

const agentConfig = (self: VmId): AgentConfig => ({ self, definition: PANEL, digest: DIGEST });
export const OWNER_CONFIG = agentConfig(ANDROID);
export const BORROWER_CONFIG = agentConfig(VAULT);

export const fromHost = (one: MessageOf<MessageKind>) =>
  ({ on: one.kind, from: HOST, message: one }) as never;
export const fromOwner = (one: MessageOf<MessageKind>) =>
  ({ on: one.kind, from: ANDROID, message: one }) as never;
export const fromBorrower = (one: MessageOf<MessageKind>) =>
  ({ on: one.kind, from: VAULT, message: one }) as never;
export const done = (hook: string) => ({ on: 'hookDone', hook, result: { ok: true } }) as never;
export const failed = (hook: string) =>
  ({ on: 'hookDone', hook, result: { ok: false, outcome: 'failed', error: 'no' } }) as never;
export const on = (name: string) => ({ on: name }) as never;

export const REQUEST = message('requestBorrow', {
  purpose: 'pin',
  leaseMs: 1_000,
  waitMs: 1_000,
  consent: CONSENT,
  requestId: 1,
});
/** The host's answer to `prepare` for REQUEST. */
export const prepared = (fields: object = {}) =>
  message('prepared', { epoch: 2, reserveMs: 5_000, borrower: VAULT, requestId: 1, ...fields });
/** The policy allows the request of this number. */
export const allowed = (request: number) =>
  ({ on: 'policyDecided', request, decision: { allow: true } }) as const;
const ALLOWED = allowed(1);
export const TERMS: BorrowTerms = {
  purpose: 'pin',
  leaseMs: 1_000,
  minHoldMs: 0,
  noticeMs: 400,
  waitMs: 1_000,
  evidence: 'observed',
  mayQueue: true,
};

/** Runs inputs on an owner; from the start unless a state is given. */
export const owner = (inputs: readonly OwnerInput[], state: OwnerState = initialOwner()) =>
  play<OwnerState, OwnerInput, AgentConfig, OwnerEffect>(OWNER_TABLE, OWNER_CONFIG, state, inputs);
/** Runs inputs on a borrower; from the start unless a state is given. */
export const borrower = (inputs: readonly BorrowerInput[], state: BorrowerState = initialBorrower()) =>
  play<BorrowerState, BorrowerInput, AgentConfig, BorrowerEffect>(
    BORROWER_TABLE,
    BORROWER_CONFIG,
    state,
    inputs,
  );

export const inspected = (status: string) => [on('start'), { on: 'driverInspected', status } as never];

/** An owner that holds at epoch 1 and works. */
export const owning = () =>
  owner([...inspected('active'), fromHost(held(ANDROID, 1)), fromHost(message('confirmed', { epoch: 1 }))])
    .state;
/** The same, with a reservation under epoch 2: its suspend hook runs. */
export const suspending = () => owner([fromBorrower(REQUEST), ALLOWED, fromHost(prepared())], owning()).state;
/** The same, suspended: it has said lend. */
export const lending = () => owner([done('suspend')], suspending()).state;
/** The same, with the bundle at the borrower. */
export const lent = () =>
  owner([fromHost(message('remapped', { ...remapped(VAULT, 2), proof: undefined }))], lending()).state;

/** A borrower that knows the owner to hold at epoch 1. */
export const knowing = () => borrower([...inspected('suspended'), fromHost(held(ANDROID, 1, VAULT))]).state;
/** The same, its request under way. */
export const requesting = (terms: BorrowTerms = TERMS) =>
  borrower([{ on: 'borrow', terms, fresh: true }], knowing()).state;
/** The same, warmed up for epoch 2. */
export const pending = (terms: BorrowTerms = TERMS) =>
  borrower(
    [fromHost(message('handoverPending', { epoch: 2, reserveMs: 5_000, requestId: 1 })), done('prepare')],
    requesting(terms),
  ).state;
/** The same, holding at epoch 2. */
export const holding = () => borrower([fromHost(remapped(VAULT, 2)), done('resume')], pending()).state;

// ---- host ----

export const HOST_CONFIG: HostConfig = {
  bundle: BUNDLE,
  owner: ANDROID,
  keeper: 'owner',
  digest: DIGEST,
  resettable: true,
  acceptDriverResidualState: false,
  evidence: 'observed',
  forceRevoke: true,
  times: HOST_TIMES,
};

/** Runs inputs on the host, at 0 ms unless they say otherwise. */
export const host = (
  inputs: readonly object[],
  state: HostState = initialHost(),
  config: HostConfig = HOST_CONFIG,
) =>
  play<HostState, HostInput, HostConfig, HostEffect>(
    HOST_TABLE,
    config,
    state,
    inputs.map((input) => ({ nowMs: 0, ...input }) as HostInput),
  );

/** A command that arrived. */
export const command = (from: VmId, kind: MessageKind, fields: object = {}) => ({
  on: kind,
  from,
  message: message(kind, fields),
});

/** Claims of a consent that is good at epoch 1. */
export const CLAIMS: ConsentClaims = {
  bundle: BUNDLE,
  epoch: epoch(1),
  digest: DIGEST,
  owner: ANDROID,
  incarnation: inc(1),
  hostTime: HOST_TIME,
  validMs: 10_000,
  leaseMs: 1_000,
  minHoldMs: 0,
  noticeMs: 400,
  evidence: 'observed',
  use: 'borrow',
  renewal: 0,
  requestId: 1,
};

/** A `prepare` with a consent, both good unless changed. */
export const prepare = (claims: object = {}, opened: object = {}, fields: object = {}) => ({
  ...command(ANDROID, 'prepare', {
    epoch: 1,
    digest: DIGEST,
    borrower: VAULT,
    consent: CONSENT,
    leaseMs: 0xffff_ffff,
    minHoldMs: 0xffff_ffff,
    noticeMs: 0xffff_ffff,
    requestId: 1,
    ...fields,
  }),
  consent: { claims: { ...CLAIMS, ...claims }, sameBoot: true, ageMs: 10, ...opened },
});

/** A phase of the attempt under `at` that succeeded. */
export const phase = (name: string, at: number, result: object = {}) => ({
  on: 'phaseDone',
  phase: name,
  epoch: at,
  result: { ok: true, ...result },
});
export const phaseFailed = (name: string, at: number) => ({
  on: 'phaseDone',
  phase: name,
  epoch: at,
  result: { ok: false, error: 'no' },
});
/** All phases of an attempt that ends in a grant to `vm`. */
export const remap = (at: number, vm: VmId) => [
  phase('fence', at),
  phase('settle', at),
  phase('clean', at, { idle: true }),
  phase('grant', at, { proof: proofFor(vm) }),
];

/** Both VMs run in their first inc, nothing is held yet: the owner is being given its bundle under epoch 1. */
const STARTED = {
  on: 'start',
  recovered: { kind: 'new' },
  running: { [ANDROID]: 1, [VAULT]: 1 },
};
/** The last record is written. */
export const RECORDED = { on: 'recorded' };
/** The owner holds at epoch 1. */
export const heldByOwner = (config = HOST_CONFIG) =>
  host([STARTED, ...remap(1, ANDROID), command(ANDROID, 'confirm', { epoch: 1 })], undefined, config).state;
/** The same, reserved for the borrower under epoch 2. */
export const reserved = (claims: object = {}, config = HOST_CONFIG) =>
  host([prepare(claims), RECORDED], heldByOwner(config), config).state;
/** The same, its remap to the borrower begun. */
export const moving = (claims: object = {}, config = HOST_CONFIG) =>
  host([command(ANDROID, 'lend', { epoch: 2 })], reserved(claims, config), config).state;
/** The borrower holds at epoch 2. */
export const lentByHost = (claims: object = {}, config = HOST_CONFIG) =>
  host([...remap(2, VAULT), command(VAULT, 'confirm', { epoch: 2 })], moving(claims, config), config).state;
/** Phases that `effects` order. */
export const phases = (effects: readonly HostEffect[]) =>
  effects.flatMap((effect) => (effect.do === 'phase' ? [effect.phase] : []));
/** The code of the one refusal to `to` among `effects`. */
export const refusalTo = (to: VmId, effects: readonly HostEffect[]) =>
  effects.flatMap((effect) =>
    effect.do === 'send' && effect.to === to && effect.message.kind === 'refused'
      ? [effect.message.code]
      : [],
  );
export { ANDROID, PANEL, VAULT };
