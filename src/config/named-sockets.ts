/** The sockets that a host's configuration names, and their places. Pure. */

import { addressText, parseAddress } from '../common/addresses.ts';
import { enforcerKindOf } from '../edges/enforcer/kinds.ts';
import type { Path } from './faults.ts';
import type { HostFile } from './host-config.ts';

/** An address of a host, and whether it listens there. */
export interface NamedSocket {
  readonly path: Path;
  readonly address: string;
  readonly listens: boolean;
}

/** Every socket of a host but its control socket. */
export function socketsOf({ transport, enforcer }: HostFile): NamedSocket[] {
  const each = (at: Path, addresses: Readonly<Record<string, string>>, listens: boolean) =>
    Object.entries(addresses).map(([name, address]) => ({ path: [...at, name], address, listens }));
  return [
    ...(transport.kind === 'stream' ? each(['transport', 'listen'], transport.listen, true) : []),
    ...(enforcerKindOf(enforcer).sockets?.(enforcer) ?? []).map((socket) => ({
      ...socket,
      path: ['enforcer', ...socket.path],
    })),
  ];
}

/** Returns the place of a listener, independent of the spelling of its address. */
export function placeOf(address: string): string {
  const parsed = parseAddress(address);
  if (typeof parsed === 'string') return address;
  if (parsed.kind === 'vsock-unix') return `unix:${plainPath(`${parsed.path}_${parsed.port}`)}`;
  if (parsed.kind === 'unix') return `unix:${plainPath(parsed.path)}`;
  if (parsed.kind === 'tcp' && parsed.host === 'localhost')
    return addressText({ ...parsed, host: '127.0.0.1' });
  return addressText(parsed);
}

/** Returns a path without `//` and `/./`. */
function plainPath(path: string): string {
  return path.replace(/\/(\.?\/)+/g, '/');
}
