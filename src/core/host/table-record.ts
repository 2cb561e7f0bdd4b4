/**
 * Checks records of the host's table before they are used. The journal's checksums detect truncation and overwriting;
 * these checks detect records of another version or with manual changes. Pure.
 */

import { MOVE_CAUSES, QUARANTINE_CAUSES } from '../protocol/codes.ts';
import { isUint32 } from '../protocol/ids.ts';
import { type Attempt, HOST_STATES, type HostState, type Terms } from './host-state.ts';
import type { RegistryRecord } from './vm-registry.ts';

type Check = (value: unknown) => boolean;
/** One check for each field; the compiler rejects a missing one. */
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

/** Returns the first invalid field. */
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
  lease: isMaybe(isLike({ ...TERMS, startedMs: isTime, lender: isUint32, renewal: isUint32 })),
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
  isGuardTime: isFlag,
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

/** Returns the invalid field of a bundle's state; undefined when all are valid. */
export function stateFault(state: object): string | undefined {
  return faultIn(STATE, state);
}

/** Returns the invalid field of the registry; undefined when all are valid. */
export function registryFault(registry: object): string | undefined {
  return faultIn(REGISTRY, registry);
}
