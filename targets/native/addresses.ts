/** Addresses of streams as text, and in the form of the native core. Pure. */

import { isLookedUp, parseAddress } from '../../src/common/addresses.ts';
import { FAMILY } from './core.ts';

/** An address in the form of the native core. */
export interface CoreAddress {
  readonly family: number;
  readonly where: string;
  readonly port: number;
}

/** Why a host must be an IP address here: an agent in a guest needs no resolver. */
export const NAME_FAULT = 'this program does not look up host names: expected an IP address';

/** Returns an address in the form of the native core. Throws an Error about an invalid one. */
export function coreAddress(address: string): CoreAddress {
  const parsed = parseAddress(address);
  if (typeof parsed === 'string') throw new Error(`${JSON.stringify(address)} is not an address: ${parsed}`);
  if (parsed.kind === 'unix') return { family: FAMILY.unix, where: parsed.path, port: 0 };
  if (parsed.kind === 'vsock') return { family: FAMILY.vsock, where: parsed.cid, port: parsed.port };
  if (parsed.kind === 'vsock-unix') throw new Error(`${JSON.stringify(address)} is dialled as unix: here`);
  const { host, port } = parsed;
  if (host === 'localhost') return { family: FAMILY.inet, where: '127.0.0.1', port };
  if (isLookedUp(host)) throw new Error(`${address}: ${NAME_FAULT} in place of ${host}`);
  return { family: host.includes(':') ? FAMILY.inet6 : FAMILY.inet, where: host, port };
}
