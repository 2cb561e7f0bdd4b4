/**
 * Names and numbers that identify things, and the only functions that make them from outside data. Pure.
 *
 * A value of a branded type was checked once, at the input; inner code does not check it again.
 */

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Name of a virtual machine as the hypervisor's configuration spells it. */
export type VmId = Branded<string, 'VmId'>;
/** Name of a bundle: the devices that move as one. */
export type BundleId = Branded<string, 'BundleId'>;
/** Name of one resource inside a bundle, for example `touch.mmio0`. */
export type ResourceId = Branded<string, 'ResourceId'>;
/** Name of one device inside a bundle, for example `touch`. */
export type DeviceId = Branded<string, 'DeviceId'>;
/** The fencing token of a bundle: uint32, allocated by the host, rising. */
export type Epoch = Branded<number, 'Epoch'>;
/** Number of a VM's incarnation: uint32, counted by the host, from 1. */
export type Incarnation = Branded<number, 'Incarnation'>;

/** Largest value of a uint32. cbor-x writes larger integers as floats, which the wire format forbids. */
export const UINT32_MAX = 0xffff_ffff;
/**
 * Longest name in bytes. Two names, three slashes, a channel letter and a generation must fit the key id
 * of an envelope, and a name must survive as an MQTT topic level.
 */
export const ID_BYTES_MAX = 32;
/** Default name of the machine. Suits a machine whose broker no other machine shares. */
export const DEFAULT_MACHINE = 'machine';
/** Address of the host. No VM may have this name. */
export const HOST: VmId = 'host' as VmId;

/**
 * Lower case letters, digits, dash, underscore and dot; starts with a letter. No `/`, `+` or `#` (MQTT).
 * `constructor` is excluded: every JavaScript object has a property of that name, so lookups by name would find it.
 */
export const ID_PATTERN = '^(?!constructor$)[a-z][a-z0-9._-]{0,31}$';
/**
 * Names that no VM may have: the host's, `nobody`, and the answers of an enforcer in place of a VM
 * (ports/enforcer.ts). The enforcer contract has one field for both, so they must differ.
 */
const NO_VMS = ['host', 'nobody', 'blocked', 'unknown', 'mixed', 'fenced', 'unsettled'] as const;
/** Pattern of a VM's name. */
export const VM_PATTERN = `^(?!(?:constructor|${NO_VMS.join('|')})$)[a-z][a-z0-9._-]{0,31}$`;
/** Pattern of a party's name: a VM, or the host. */
export const PARTY_PATTERN = `^(?!(?:constructor|${NO_VMS.slice(1).join('|')})$)[a-z][a-z0-9._-]{0,31}$`;
/** The form of a name, for people. */
export const ID_WORDS = 'a name: a to z first, then a to z, 0 to 9, ".", "_", "-", at most 32 in all';
/** Returns why a well-formed name is reserved, for people; undefined for any other text. */
export function takenName(text: unknown): string | undefined {
  if (text === 'constructor') return 'reserved by the program: expected another name';
  const isTaken = NO_VMS.some((name) => name === text);
  return isTaken ? 'reserved for the host and enforcers: expected another name' : undefined;
}

const ID = new RegExp(ID_PATTERN);
const VM = new RegExp(VM_PATTERN);
const PARTY = new RegExp(PARTY_PATTERN);

/** Returns whether `text` may name a VM, a bundle or a device. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && ID.test(text);
}

/** Returns whether `text` may name a VM. */
export function isVm(text: unknown): text is VmId {
  return typeof text === 'string' && VM.test(text);
}

/** Returns whether `text` may name a party: a VM, or the host. */
export function isParty(text: unknown): text is VmId {
  return typeof text === 'string' && PARTY.test(text);
}

/** Returns whether `value` is an integer from 0 to 2^32 - 1. */
export function isUint32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= UINT32_MAX;
}

/** Returns `text` as the name of a VM or of the host. Throws a RangeError that describes the form of a name. */
export function vmId(text: string): VmId {
  return checkedId(text, 'VM', isParty) as VmId;
}

/** Returns `text` as the name of a bundle. Throws a RangeError that describes the form of a name. */
export function bundleId(text: string): BundleId {
  return checkedId(text, 'bundle') as BundleId;
}

/** Returns `text` as the name of a device. Throws a RangeError that describes the form of a name. */
export function deviceId(text: string): DeviceId {
  return checkedId(text, 'device') as DeviceId;
}

/** Returns the name of resource number `index` of `kind` in `device`, for example `touch.mmio0`. */
export function resourceId(device: DeviceId, kind: string, index: number): ResourceId {
  return `${device}.${kind}${index}` as ResourceId;
}

/** Returns `value` as an epoch. Throws a RangeError unless it is a uint32. */
export function epoch(value: number): Epoch {
  if (!isUint32(value)) throw new RangeError(`epoch ${value}: expected an integer from 0 to ${UINT32_MAX}`);
  return value as Epoch;
}

/** Returns `value` as an incarnation. Throws a RangeError unless it is a uint32. */
export function incarnation(value: number): Incarnation {
  if (!isUint32(value)) {
    throw new RangeError(`incarnation ${value}: expected an integer from 0 to ${UINT32_MAX}`);
  }
  return value as Incarnation;
}

function checkedId(text: string, what: string, isGood: (text: unknown) => boolean = isId): string {
  if (isGood(text)) return text;
  throw new RangeError(
    `${JSON.stringify(text)} cannot name a ${what}: ${takenName(text) ?? `expected ${ID_WORDS}`}`,
  );
}
