/**
 * Addresses of byte streams and of brokers: parsing and validation. Pure; used by the configuration check and by the
 * programs.
 *
 *   unix:/path                a UNIX socket of this machine
 *   tcp:HOST:PORT             HOST: a name, an IPv4 address, or an IPv6 address, in brackets or not
 *   vsock:CID:PORT            `any` as the CID, to listen for every guest
 *   vsock-unix:/path:PORT     a VMM's socket (edges/transport/vsock-unix.ts)
 *   mqtt://HOST[:PORT], mqtt+unix:///path
 */

/** A parsed address. */
export type StreamAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'vsock'; readonly cid: string; readonly port: number }
  | { readonly kind: 'vsock-unix'; readonly path: string; readonly port: number };

/** Longest path of a UNIX socket, in bytes: the kernel's 108 with the zero at the end. */
const SOCKET_PATH_BYTES_MAX = 107;
const PORT_MAX = 65_535;
/** VMADDR_PORT_ANY and VMADDR_CID_ANY of linux/vm_sockets.h: not a usable number. */
const VSOCK_ANY = 0xffff_ffff;
/** Port of MQTT without TLS, as IANA registered it. */
const MQTT_PORT = 1883;
/** Longest name of a machine (RFC 1035). */
const HOST_CHARS_MAX = 253;

/**
 * Returns an address, or what is wrong with it; the text shows only the wrong part. Accepts whatever a socket
 * accepts: also a relative path, and port 0.
 */
export function parseAddress(address: string): StreamAddress | string {
  const [, scheme, rest = ''] = /^(unix|tcp|vsock-unix|vsock):(.*)$/s.exec(address) ?? [];
  switch (scheme) {
    case 'unix':
      return socketPathFault(rest) ?? { kind: 'unix', path: rest };
    case 'tcp':
      return tcpAddress(rest, 'tcp:host:port');
    case 'vsock':
      return vsockAddress(rest);
    case 'vsock-unix': {
      const [, path = '', digits = ''] = /^(.*):([0-9]+)$/s.exec(rest) ?? [];
      const port = Number(digits);
      if (path === '' || port >= VSOCK_ANY) return 'expected vsock-unix:/path:port, a port below 4294967295';
      // The longer of its two names counts: that of the listener.
      return socketPathFault(path, `_${digits}`) ?? { kind: 'vsock-unix', path, port };
    }
    default:
      return 'expected unix:/path, tcp:host:port, vsock:CID:port or vsock-unix:/path:port';
  }
}

/** Returns why an address is not valid in a configuration, where other parties must find it; undefined when it is. */
export function addressFault(address: string): string | undefined {
  const parsed = parseAddress(address);
  if (typeof parsed === 'string') return parsed;
  if ('path' in parsed && !parsed.path.startsWith('/'))
    return 'relative to where the program happens to be started: expected the absolute path of a socket';
  return parsed.kind === 'tcp' && parsed.port === 0
    ? `port 0: expected one from 1 to ${PORT_MAX}`
    : undefined;
}

/** Returns an address as text. */
export function addressText(address: StreamAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  if (address.kind === 'vsock-unix') return `vsock-unix:${address.path}:${address.port}`;
  if (address.kind === 'vsock') return `vsock:${address.cid}:${address.port}`;
  return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Returns the address of the broker in a URL, or what is wrong with it. A login in the URL is not repeated. */
export function parseBroker(url: string): StreamAddress | string {
  const [, scheme, rest = ''] = /^(mqtt|mqtt\+unix):\/\/(.*)$/s.exec(url) ?? [];
  if (scheme === undefined) {
    const isOther = /^(mqtts|wss?|ssl|tls):/.test(url) ? 'neither TLS nor web sockets are spoken: ' : '';
    return `${isOther}expected mqtt://host:port or mqtt+unix:///path`;
  }
  if (scheme === 'mqtt+unix')
    return rest.startsWith('/')
      ? (socketPathFault(rest) ?? { kind: 'unix', path: rest })
      : 'expected mqtt+unix:///path, with the absolute path of a socket';
  if (rest.includes('@'))
    return 'user and password do not stand in the URL, for it is logged: expected "username" and "passwordFile"';
  const place = rest.replace(/\/$/, '');
  if (/^[^[]*:.*:/.test(place)) return 'expected an IPv6 address in brackets, as mqtt://[fd00::7]:1883';
  const hasPort = place.replace(/^\[.*\]/, '').includes(':');
  const address = tcpAddress(hasPort ? place : `${place}:${MQTT_PORT}`, 'mqtt://host:port');
  return typeof address !== 'string' && 'port' in address && address.port === 0
    ? `port 0: expected one from 1 to ${PORT_MAX}`
    : address;
}

/** Returns what is wrong with the full path of a socket; undefined when it is valid. `more`: appended to it. */
export function socketPathFault(path: string, more = ''): string | undefined {
  if (path === '') return 'expected the path of a socket';
  if (path.includes('\0')) return 'expected the path of a socket, without a zero byte';
  if (path.endsWith('/')) return 'a folder: expected the path of a socket';
  const bytes = [...path, ...more].reduce((sum, char) => sum + utf8BytesOf(char.codePointAt(0)!), 0);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return undefined;
  return (
    `${path}${more} has ${bytes} bytes: expected the path of a socket, at most ` +
    `${SOCKET_PATH_BYTES_MAX} bytes in all`
  );
}

function utf8BytesOf(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x1_0000 ? 3 : 4;
}

function tcpAddress(rest: string, form: string): StreamAddress | string {
  const [, host = '', digits = ''] = /^(.*):([0-9]*)$/s.exec(rest) ?? [];
  const port = Number(digits);
  if (host === '' || digits === '') return `expected ${form}`;
  if (port > PORT_MAX) return `port ${digits}: expected one from 1 to ${PORT_MAX}`;
  const inner = /^\[(.*)\]$/s.exec(host)?.[1] ?? host;
  const fault = hostFault(inner, inner !== host);
  return fault ?? { kind: 'tcp', host: inner, port };
}

function hostFault(host: string, isBracketed: boolean): string | undefined {
  if (isBracketed || host.includes(':'))
    return isIpv6(host) ? undefined : 'no IPv6 address: expected one as [fe80::1%eth0]';
  if (/^[0-9.]+$/.test(host))
    return isIpv4(host) ? undefined : 'no IPv4 address: expected four numbers up to 255';
  const isName =
    host.length <= HOST_CHARS_MAX && /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/.test(host);
  return isName
    ? undefined
    : 'expected a name of letters, digits, "." and "-", or an IP address, before the port';
}

/**
 * Returns whether a host is a name, or an IPv6 address with the zone of an interface, rather than a plain address or
 * `localhost`.
 */
export function isLookedUp(host: string): boolean {
  return host !== 'localhost' && !isIpv4(host) && (!isIpv6(host) || host.includes('%'));
}

/** Returns whether a host is this machine itself, so that no other reaches it under this name. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function isIpv4(text: string): boolean {
  return (
    /^(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}$/.test(text) &&
    text.split('.').every((part) => Number(part) <= 255)
  );
}

/** RFC 4291, section 2.2, with the zone of RFC 4007. */
function isIpv6(text: string): boolean {
  const [address = '', zone, ...more] = text.split('%');
  if (more.length > 0 || (zone !== undefined && !/^[A-Za-z0-9._-]+$/.test(zone))) return false;
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1);
  const hasIpv4 = last !== undefined && isIpv4(last) && !address.endsWith('::');
  const count = groups.length + (hasIpv4 ? 1 : 0);
  const isSound = groups.every(
    (group, index) => (hasIpv4 && index === groups.length - 1) || /^[0-9a-fA-F]{1,4}$/.test(group),
  );
  return isSound && (halves.length === 2 ? count <= 7 : count === 8);
}

function vsockAddress(rest: string): StreamAddress | string {
  const [, cid = '', digits = ''] = /^(any|[0-9]+):([0-9]+)$/.exec(rest) ?? [];
  if (cid === '') return 'expected vsock:CID:port, both in numbers';
  if (cid !== 'any' && Number(cid) >= VSOCK_ANY) return `CID ${cid}: expected one below ${VSOCK_ANY}`;
  const port = Number(digits);
  return port < VSOCK_ANY ? { kind: 'vsock', cid, port } : `port ${digits}: expected one below ${VSOCK_ANY}`;
}
