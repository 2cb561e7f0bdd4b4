/**
 * Checks what was read of the host's table before anything is made of it. The journal's checksums tell what was cut off
 * or overwritten; this tells a record that another version wrote, or a person. It takes nothing to be as it should.
 */

import { MOVE_CAUSES, QUARANTINE_CAUSES } from '../protocol/codes.ts';
import { isUint32 } from '../protocol/ids.ts';
import { type Attempt, HOST_STATES, type HostState, type Terms } from './host-state.ts';
import type { RegistryRecord } from './vm-registry.ts';

type Check = (value: unknown) => boolean;
/** One check for each field: the compiler sees to it that none is forgotten. */
type Checks<T> = { readonly [K in keyof Required<T>]: Check };

const isText: Check = (value) => typeof value === 'string' && value !== '';
const isFlag: Check = (value) => typeof value === 'boolean';
const isTime: Check = (value) => typeof value === 'number';
const isMap = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isOneOf =
  (names: readonly string[]): Check =>
  (value) =>
    names.includes(value as string);
const isListOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const isMapTo =
  (check: Check): Check =>
  (value) =>
    isMap(value) && Object.values(value).every(check);
const isMaybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

/** The first field that is not as it should be. */
function faultIn<T>(checks: Checks<T>, value: object): string | undefined {
  const fields = Object.entries<Check>(checks);
  return fields.find(([name, check]) => !check((value as Record<string, unknown>)[name]))?.[0];
}

const isLike =
  <T>(checks: Checks<T>): Check =>
  (value) =>
    isMap(value) && faultIn(checks, value) === undefined;

const isMoveCause = isOneOf(Object.keys(MOVE_CAUSES));
const isQuarantineCause = isOneOf(Object.keys(QUARANTINE_CAUSES));

const VM_INCARNATION = { vm: isText, incarnation: isUint32 };
const TERMS: Checks<Terms> = {
  leaseMs: isUint32,
  minHoldMs: isUint32,
  noticeMs: isUint32,
  requestId: isUint32,
};
const ATTEMPT: Checks<Attempt> = {
  epoch: isUint32,
  cause: isMoveCause,
  from: isMaybe(isLike(VM_INCARNATION)),
  to: isMaybe(isLike(VM_INCARNATION)),
  phase: isOneOf(['inspect', 'fence', 'settle', 'clean', 'grant']),
  forced: isFlag,
  settled: isFlag,
  drainsLeft: isUint32,
  cancelled: isFlag,
  terms: isMaybe(isLike(TERMS)),
  quarantine: isMaybe(isQuarantineCause),
};
const HOLDER: Checks<Omit<NonNullable<HostState['holder']>, 'proof'>> = {
  ...VM_INCARNATION,
  epoch: isUint32,
  confirmed: isFlag,
  lease: isMaybe(isLike({ ...TERMS, startedMs: isTime, lender: isUint32 })),
  ending: isMaybe(isLike({ cause: isMoveCause, notified: isFlag, endsMs: isTime })),
};
const STATE: Checks<HostState> = {
  name: isOneOf(HOST_STATES),
  epoch: isUint32,
  holder: isMaybe(isLike(HOLDER)),
  reservation: isMaybe(
    isLike({ epoch: isUint32, borrower: isLike(VM_INCARNATION), terms: isLike(TERMS), isTold: isFlag }),
  ),
  attempt: isMaybe(isLike(ATTEMPT)),
  lastEpoch: isUint32,
  lastCause: isMoveCause,
  lastBorrower: isMaybe(isLike({ vm: isText, requestId: isUint32 })),
  guard: isFlag,
  quarantine: isMaybe(isLike({ cause: isQuarantineCause, isolated: isFlag })),
  suspect: isMaybe(isLike(VM_INCARNATION)),
  exposed: isFlag,
  isFromRecord: isFlag,
  unwritable: isMaybe(isText),
  isOwnerWaiting: isFlag,
  epochMax: isUint32,
  running: isMapTo(isUint32),
  exiting: isListOf(isLike(VM_INCARNATION)),
  rejections: isListOf(isLike({ vm: isText, what: isText })),
};
const REGISTRY: Checks<RegistryRecord> = {
  machineBoot: isText,
  incarnations: isMapTo(isUint32),
  running: isListOf(isText),
  floor: isUint32,
};

/** Returns the field of a bundle's state that cannot be used; undefined when all can. */
export function stateFault(state: object): string | undefined {
  return faultIn(STATE, state);
}

/** Returns the field of the registry that cannot be used; undefined when all can. */
export function registryFault(registry: object): string | undefined {
  return faultIn(REGISTRY, registry);
}
