/**
 * What `baton init` was asked for, and the parts of its options: how messages travel, and the enforcer. Pure.
 *
 * Each option takes one word, `KIND` or `KIND:VALUE`; what is longer is written into the configuration by hand.
 */

import { addressFault, isLoopback, parseAddress, parseBroker } from '../../common/addresses.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { VmId } from '../../core/protocol/ids.ts';
import { ENFORCER_KINDS, type EnforcerConfig } from '../../edges/enforcer/kinds.ts';
import { faultsOf } from '../faults.ts';

/** How messages travel, for all parties. */
export type Way = {
  /** Whether all parties are on one system, to try: they cannot use the same paths, nor the same units. */
  readonly isLocal: boolean;
} & (
  | { readonly kind: 'mqtt'; readonly url: string; readonly listener: Listener }
  | { readonly kind: 'stream'; readonly routes: readonly Route[] }
);

/** Where the broker listens: a port and an address, or port 0 and the path of a socket. */
export interface Listener {
  readonly port: number;
  readonly address: string;
}

/** Where the host listens for a VM, and where this VM dials. */
export interface Route {
  readonly vm: VmId;
  readonly listen: string;
  readonly dial: string;
}

/** The parties of a machine, and what they have in common. */
export interface Setup {
  /** Absent: the default name, which is not written. */
  readonly machine: string | undefined;
  /** In the order of the command line. */
  readonly vms: readonly VmId[];
  readonly bundles: readonly BundleDefinition[];
  /** The bundle file as it is. */
  readonly bundleText: string;
  readonly way: Way;
  readonly enforcer: EnforcerConfig;
}

/** First of the ports of vsock, one per VM, if the option names none: that of docs/DEPLOY.md. */
const VSOCK_PORT = 7000;
/** The CID of the host, as every guest sees it (VMADDR_CID_HOST of linux/vm_sockets.h). */
const HOST_CID = 2;
/** Forms of the option, for messages. */
export const WAY_WORDS = 'vsock[:PORT], tcp:HOST:PORT, mqtt://HOST[:PORT] or unix';

/**
 * Parses `--transport`. `folder`: the whole path of the folder that will have a folder per VM, for sockets. Returns the
 * way, or what is wrong with the text.
 */
export function parseWay(text: string, vms: readonly VmId[], folder: string): Way | string {
  if (/^mqtt(\+unix)?:/.test(text)) return brokerWay(text);
  if (text === 'mqtt')
    return 'expected the broker as host and VMs reach it: mqtt://HOST[:PORT], as mqtt://192.168.7.1';
  if (text === 'unix') {
    const routes = vms.map((vm): Route => {
      const address = `unix:${folder}/host/${vm}.stream`;
      return { vm, listen: address, dial: address };
    });
    const way = checked({ kind: 'stream', isLocal: true, routes });
    return typeof way === 'string' ? `${way}; give a shorter --out` : way;
  }
  if (text === 'vsock') return vsockWay(VSOCK_PORT, vms);
  const [, digits] = /^vsock:([0-9]+)$/.exec(text) ?? [];
  if (digits !== undefined) return vsockWay(Number(digits), vms);
  if (!text.startsWith('tcp:')) return `expected ${WAY_WORDS}`;
  const first = parseAddress(text);
  if (typeof first === 'string') return first;
  if (first.kind !== 'tcp') return `expected ${WAY_WORDS}`;
  if (isAnyAddress(first.host)) return everywhere(first.host);
  const routes = vms.map((vm, index): Route => {
    const address = text.replace(/[0-9]+$/, String(first.port + index));
    return { vm, listen: address, dial: address };
  });
  return checked({ kind: 'stream', isLocal: isLoopback(first.host), routes });
}

function vsockWay(port: number, vms: readonly VmId[]): Way | string {
  const routes = vms.map(
    (vm, index): Route => ({
      vm,
      listen: `vsock:any:${port + index}`,
      dial: `vsock:${HOST_CID}:${port + index}`,
    }),
  );
  return checked({ kind: 'stream', isLocal: false, routes });
}

function brokerWay(url: string): Way | string {
  const broker = parseBroker(url);
  if (typeof broker === 'string') return broker;
  if (broker.kind === 'unix')
    return { kind: 'mqtt', isLocal: true, url, listener: { port: 0, address: broker.path } };
  if (broker.kind !== 'tcp') return `expected ${WAY_WORDS}`;
  const { host, port } = broker;
  if (isAnyAddress(host)) return everywhere(host);
  return { kind: 'mqtt', isLocal: isLoopback(host), url, listener: { port, address: host } };
}

/** Returns a way whose addresses can be used in a configuration, or what is wrong with the first that cannot. */
function checked(way: Extract<Way, { kind: 'stream' }>): Way | string {
  for (const { vm, listen, dial } of way.routes)
    for (const address of [listen, dial]) {
      const fault = addressFault(address);
      if (fault !== undefined) return `${vm}, the address ${address}: ${fault}`;
    }
  return way;
}

/** A server may listen there; nobody can dial it. */
function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function everywhere(host: string): string {
  return `${host} is every address of the host: expected the one that VMs reach, on a bridge of their own`;
}

/** The supported parts of an enforcer's schema. */
interface KindSchema {
  readonly required: readonly string[];
}

/** How the one value of a kind is written behind its name; a kind that needs another field has no short form. */
const VALUES: Readonly<Record<string, string>> = { vms: '', command: ':PROGRAM', address: ':ADDRESS' };

/** Returns the field that a kind needs besides `kind`; undefined when it needs several, or one without a short form. */
function fieldOf(kind: string): string | undefined {
  const { required } = ENFORCER_KINDS[kind]!.schema as unknown as KindSchema;
  const [field, ...more] = required.filter((name) => name !== 'kind');
  return field !== undefined && more.length === 0 && field in VALUES ? field : undefined;
}

/** Returns the forms of `--enforcer`: every kind of one value, in the order of docs/CONFIG.md. */
export function enforcerForms(): readonly string[] {
  return Object.keys(ENFORCER_KINDS).flatMap((kind) => {
    const field = fieldOf(kind);
    return field === undefined ? [] : [`${kind}${VALUES[field]}`];
  });
}

/** Parses `--enforcer`. Returns the part of a host's configuration, or what is wrong with the text. */
export function parseEnforcer(text: string, vms: readonly VmId[]): EnforcerConfig | string {
  const colon = text.indexOf(':');
  const [kind, value] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  const forms = enforcerForms();
  const form = forms.find((each) => each.split(':')[0] === kind);
  if (form === undefined) {
    const isKind = Object.hasOwn(ENFORCER_KINDS, kind);
    const expected = `expected ${forms.join(' or ')}`;
    return isKind ? `needs more than a word: ${expected}, then write "enforcer" by hand` : expected;
  }
  if (form.includes(':') !== (value !== '')) return `expected ${form}`;
  const field = fieldOf(kind)!;
  if (field === 'command' && value.includes('/') && !value.startsWith('/'))
    return 'expected a whole path on the host, or a name in its PATH';
  const config = { kind, [field]: field === 'vms' ? vms : field === 'command' ? [value] : value };
  const [fault] = faultsOf(ENFORCER_KINDS[kind]!.schema, config);
  return (
    fault?.message ??
    (field === 'address' ? addressFault(value) : undefined) ??
    (config as unknown as EnforcerConfig)
  );
}
