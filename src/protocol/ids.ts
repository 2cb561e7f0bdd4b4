/**
 * Names and numbers that identify things, and the only way to make them from outside data.
 *
 * A value of a branded type was checked once, at the border; inside, nobody checks it again.
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
/** The fencing token of a bundle: uint32, allocated by the hypervisor service, only ever rising. */
export type Epoch = Branded<number, 'Epoch'>;
/** Which life of a VM is meant: uint32, counted by the hypervisor service, the first life is 1. */
export type Incarnation = Branded<number, 'Incarnation'>;

/** Largest value of a uint32. cbor-x writes larger integers as floats, which the wire format forbids. */
export const UINT32_MAX = 0xffff_ffff;
/**
 * Longest name in bytes. Two names, two slashes and a channel letter must fit the 80-byte key id of an
 * envelope, and a name must survive as an MQTT topic level.
 */
export const ID_BYTES_MAX = 32;
/** The address of the hypervisor service among the VMs. No VM may be called so. */
export const HOST: VmId = 'host' as VmId;

/** Lower case letters, digits, dash, underscore and dot; starts with a letter. No `/`, `+` or `#` (MQTT). */
const ID_PATTERN = /^[a-z][a-z0-9._-]{0,31}$/;

/** Returns whether `text` may name a VM, a bundle or a device. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && ID_PATTERN.test(text);
}

/** Returns whether `value` is an integer from 0 to 2^32 - 1. */
export function isUint32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= UINT32_MAX;
}

/** Returns `text` as the name of a VM. Throws a RangeError that says what a name looks like. */
export function vmId(text: string): VmId {
  return checkedId(text, 'VM') as VmId;
}

/** Returns `text` as the name of a bundle. Throws a RangeError that says what a name looks like. */
export function bundleId(text: string): BundleId {
  return checkedId(text, 'bundle') as BundleId;
}

/** Returns `text` as the name of a device. Throws a RangeError that says what a name looks like. */
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

function checkedId(text: string, what: string): string {
  if (isId(text)) return text;
  throw new RangeError(
    `${JSON.stringify(text)} cannot name a ${what}: expected 1 to ${ID_BYTES_MAX} of a-z 0-9 . _ -, a letter first`,
  );
}
