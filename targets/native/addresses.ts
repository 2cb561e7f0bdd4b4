/** Addresses of streams in words, and as the native core takes them. Pure. */

import { isLookedUp, parseAddress } from '../../src/common/addresses.ts';
import { FAMILY } from './core.ts';

/** An address as the native core takes it. */
export interface CoreAddress {
  readonly family: number;
  readonly where: string;
  readonly port: number;
}

/** Why a host cannot be a name here: a resolver is more than an agent in a guest needs. */
export const NAME_FAULT = 'no names are looked up by this program: expected an IP address';

/** Returns an address as the native core takes it. Throws an Error that says what is wrong with it. */
export function coreAddress(address: string): CoreAddress {
  const parsed = parseAddress(address);
  if (typeof parsed === 'string') throw new Error(`${JSON.stringify(address)} is no address: ${parsed}`);
  if (parsed.kind === 'unix') return { family: FAMILY.unix, where: parsed.path, port: 0 };
  if (parsed.kind === 'vsock') return { family: FAMILY.vsock, where: parsed.cid, port: parsed.port };
  if (parsed.kind === 'vsock-unix') throw new Error(`${JSON.stringify(address)} is dialled as unix: here`);
  const { host, port } = parsed;
  if (host === 'localhost') return { family: FAMILY.inet, where: '127.0.0.1', port };
  if (isLookedUp(host)) throw new Error(`${address}: ${NAME_FAULT} in place of ${host}`);
  return { family: host.includes(':') ? FAMILY.inet6 : FAMILY.inet, where: host, port };
}
