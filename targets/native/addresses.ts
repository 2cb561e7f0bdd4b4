/** Addresses of streams in words, and as the native core takes them. Pure. */

import { FAMILY } from './core.ts';

/** An address as the native core takes it. */
export interface CoreAddress {
  readonly family: number;
  readonly where: string;
  readonly port: number;
}

const PORT_MAX = 65_535;
/** VMADDR_PORT_ANY of linux/vm_sockets.h: no port that anybody can name. */
const VSOCK_PORT_ANY = 0xffff_ffff;

/**
 * Parses `unix:/path`, `vsock:CID:port` (`any` to listen for every guest), and `tcp:host:port`, whose host is an IP address in numbers, or `localhost`: a resolver is more than an agent in a
 * guest needs. Throws an Error that says what an address looks like.
 */
export function coreAddress(address: string): CoreAddress {
  if (address.startsWith('unix:') && address.length > 5)
    return { family: FAMILY.unix, where: address.slice(5), port: 0 };
  const vsock = /^vsock:(any|\d{1,10}):(\d{1,10})$/.exec(address);
  if (vsock && Number(vsock[2]) < VSOCK_PORT_ANY)
    return { family: FAMILY.vsock, where: vsock[1]!, port: Number(vsock[2]) };
  const [, host = '', digits = ''] = /^tcp:(.+):(\d{1,5})$/.exec(address) ?? [];
  const port = Number(digits);
  if (host === '' || port > PORT_MAX)
    throw new Error(
      `${JSON.stringify(address)} is no address: expected unix:/path, tcp:host:port or vsock:CID:port`,
    );
  if (host === 'localhost') return { family: FAMILY.inet, where: '127.0.0.1', port };
  if (/^[0-9.]+$/.test(host)) return { family: FAMILY.inet, where: host, port };
  const inner = /^\[(.+)\]$/.exec(host)?.[1] ?? host;
  if (inner.includes(':')) return { family: FAMILY.inet6, where: inner, port };
  throw new Error(`${address}: no names are looked up here: expected an IP address in place of ${host}`);
}
