/**
 * Compares the configurations of one machine with each other, for faults that no single file shows. Pure: the files
 * are already read.
 *
 * An agent in a guest and the host may use one name for different things (`127.0.0.1`, `/run/baton`), so such names
 * are compared only between daemons on the same system. For keys, only whether they differ is reported.
 */

import {
  addressText,
  isLoopback,
  parseAddress,
  parseBroker,
  type StreamAddress,
} from '../common/addresses.ts';
import type { BundleDefinition } from '../core/protocol/bundle.ts';
import { DEFAULT_MACHINE, HOST } from '../core/protocol/ids.ts';
import { bundleDigest } from '../core/wire/digest.ts';
import { enforcerKindOf } from '../edges/enforcer/kinds.ts';
import type { AgentFile } from './agent-config.ts';
import type { Path } from './faults.ts';
import type { HostFile } from './host-config.ts';
import { keysDiffer } from './pair-keys.ts';
import { complaintAt } from './read.ts';

/** A daemon's configuration with everything it names. */
export type Daemon = {
  readonly file: string;
  readonly text: string;
  /** Name of the peer → key; undefined when the key file is invalid. */
  readonly keys: Readonly<Record<string, string>> | undefined;
  readonly bundles: readonly BundleDefinition[] | undefined;
  /** Returns a path of the configuration as an absolute one. */
  readonly beside: (path: string) => string;
} & (
  | { readonly party: typeof HOST; readonly host: HostFile; readonly agent?: undefined }
  | { readonly party: string; readonly agent: AgentFile; readonly host?: undefined }
);

/** Errors and warnings between two files; each has file, line and column in the later file. */
export interface Compared {
  readonly complaints: readonly string[];
  readonly warnings: readonly string[];
}

/** Compares every pair. */
export function compareDaemons(daemons: readonly Daemon[]): Compared {
  const complaints: string[] = [];
  const warnings: string[] = [];
  for (const [index, daemon] of daemons.entries()) {
    const say = (path: Path, message: string) =>
      complaintAt(daemon.file, daemon.text, { path, at: 'value', message });
    for (const other of daemons.slice(0, index).filter(({ file }) => file !== daemon.file)) {
      for (const [path, message] of differences(daemon, other)) complaints.push(say(path, message));
      for (const [path, message] of brokerDifferences(daemon, other)) {
        if (isBeside(daemon) && isBeside(other)) complaints.push(say(path, message));
        else warnings.push(say(path, `warning: ${message}`));
      }
    }
  }
  return { complaints, warnings };
}

type Difference = readonly [path: Path, message: string];

function differences(a: Daemon, b: Daemon): Difference[] {
  if (a.party === b.party) {
    const path: Path = a.agent ? ['vm'] : [];
    return [[path, `"${a.party}" is the name in ${b.file} as well: expected each party once`]];
  }
  return [
    ...machineDifferences(a, b),
    ...keyDifferences(a, b),
    ...bundleDifferences(a, b),
    ...placeDifferences(a, b),
    ...(a.host ? routeDifferences(a, a.host, b) : []),
    ...(b.host ? routeDifferences(a, b.host, b) : []),
  ];
}

/** All parties of a machine must use one machine name; otherwise no frame verifies. */
function machineDifferences(a: Daemon, b: Daemon): Difference[] {
  const [ours, theirs] = [a, b].map((daemon) => configOf(daemon).machine ?? DEFAULT_MACHINE);
  if (ours === theirs) return [];
  return [
    [['machine'], `"${ours}", and "${theirs}" in ${b.file}: expected the same for all parties of a machine`],
  ];
}

/** Host and agent share a key; two agents do if either has one for the other. */
function keyDifferences(a: Daemon, b: Daemon): Difference[] {
  if (!a.keys || !b.keys) return [];
  const ours = own(a.keys, b.party);
  const theirs = own(b.keys, a.party);
  if (ours === undefined && theirs === undefined && !a.host && !b.host) return [];
  // What a file lacks by its own configuration is reported for that file alone.
  if (ours === undefined && needsKey(a, b.party)) return [];
  if (theirs === undefined && needsKey(b, a.party)) return [];
  if (ours === undefined) return [[['keys'], `no key for "${b.party}", whose configuration is ${b.file}`]];
  if (theirs === undefined)
    return [[['keys'], `a key for "${b.party}", and ${b.file} has none for "${a.party}"`]];
  if (!keysDiffer(ours, theirs)) return [];
  return [
    [
      ['keys'],
      `the key for "${b.party}" is not the one that ${b.file} has for "${a.party}": expected the same in both`,
    ],
  ];
}

/** Returns whether a daemon's own configuration names a party that it needs a key for: see follow.ts. */
function needsKey({ agent, host, bundles = [] }: Daemon, peer: string): boolean {
  if (host)
    return (
      bundles.some(({ owner }) => owner === peer) ||
      (enforcerKindOf(host.enforcer).vms?.(host.enforcer) ?? []).some(({ vm }) => vm === peer) ||
      (host.transport.kind === 'stream' && Object.hasOwn(host.transport.listen, peer))
    );
  const allowed = agent.policy?.kind === 'list' ? agent.policy.allow : [];
  return (
    peer === HOST ||
    bundles.some(({ owner }) => owner === peer) ||
    allowed.some(({ borrower }) => borrower === peer)
  );
}

/** One name has one definition everywhere; the host has all, and an owner its own. */
function bundleDifferences(a: Daemon, b: Daemon): Difference[] {
  if (!a.bundles || !b.bundles) return [];
  const found: Difference[] = [];
  for (const bundle of a.bundles) {
    const same = b.bundles.find(({ id }) => id === bundle.id);
    if (same && hexOf(bundle) !== hexOf(same))
      found.push([
        ['bundles'],
        `${bundle.id} is defined otherwise than for ${b.file}: expected the same bundle file for all`,
      ]);
    if (!same && (b.host || bundle.owner === b.party))
      found.push([['bundles'], `${bundle.id} is missing in the bundle file of ${b.file}`]);
  }
  for (const { id, owner } of b.bundles)
    if (!a.bundles.some((bundle) => bundle.id === id) && (a.host || owner === a.party))
      found.push([['bundles'], `${id} is missing, which ${b.file} has`]);
  return found;
}

/** Two daemons on one system must have separate paths. */
function placeDifferences(a: Daemon, b: Daemon): Difference[] {
  if (!isBeside(a) || !isBeside(b)) return [];
  return (['state', 'control'] as const).flatMap((key): Difference[] => {
    const at = a.beside(configOf(a)[key]);
    return at === b.beside(configOf(b)[key])
      ? [[[key], `${at} is that of ${b.file} as well: expected one of its own`]]
      : [];
  });
}

/** Checks that the host can receive an agent: a VM that may run, and the same transport. `a`: the reported file. */
function routeDifferences(a: Daemon, host: HostFile, b: Daemon): Difference[] {
  const agent = (a.agent ?? b.agent)!;
  const { vm, transport } = agent;
  const at = (ofHost: Path, ofAgent: Path) => (a.host ? ofHost : ofAgent);
  const found: Difference[] = [];
  const running = enforcerKindOf(host.enforcer).vms?.(host.enforcer) ?? [];
  if (running.length > 0 && !running.some((named) => named.vm === vm))
    found.push([
      at(['enforcer'], ['vm']),
      `"${vm}" is none of the VMs that the enforcer of the host names: its agent is never heard (${b.file})`,
    ]);
  if (transport.kind !== host.transport.kind) {
    const kinds = a.host ? [host.transport.kind, transport.kind] : [transport.kind, host.transport.kind];
    found.push([
      ['transport', 'kind'],
      `"${kinds[0]}", and "${kinds[1]}" in ${b.file}: expected the same for all parties`,
    ]);
    return found;
  }
  if (transport.kind !== 'stream' || host.transport.kind !== 'stream') return found;
  const listen = own(host.transport.listen, vm);
  // An owner without a listening address is reported for the host alone.
  const bundles = (a.host ? a : b).bundles ?? [];
  if (listen === undefined && bundles.some(({ owner }) => owner === vm)) return found;
  if (listen === undefined) {
    found.push([
      at(['transport', 'listen'], ['transport', 'address']),
      `the host listens nowhere for "${vm}" (${b.file})`,
    ]);
    return found;
  }
  const why = whyNoWay(transport.address, listen);
  if (why !== undefined)
    found.push([at(['transport', 'listen', vm], ['transport', 'address']), `${why} (${b.file})`]);
  return found;
}

/** Returns why a connection to `to` does not reach `listen`; undefined when it may. */
function whyNoWay(to: string, listen: string): string | undefined {
  const dialled = parseAddress(to);
  const heard = parseAddress(listen);
  if (typeof dialled === 'string' || typeof heard === 'string') return undefined;
  const differ = `the agent dials ${to}, and the host listens for it at ${listen}`;
  if (dialled.kind === 'vsock') {
    // A VMM with its own socket connects the two: PATH_PORT is its name for a port (transport/vsock-unix.ts).
    const port =
      heard.kind === 'unix' ? /_([0-9]+)$/.exec(heard.path)?.[1] : 'port' in heard ? heard.port : undefined;
    const fits = heard.kind !== 'tcp' && (port === undefined || Number(port) === dialled.port);
    return fits ? undefined : differ;
  }
  if (dialled.kind !== heard.kind) return differ;
  if (dialled.kind === 'tcp' && heard.kind === 'tcp')
    return dialled.port === heard.port && mayBeSame(dialled.host, heard.host) ? undefined : differ;
  return addressText(dialled) === addressText(heard) ? undefined : differ;
}

/** `heard` may be every address of the machine; a name may mean any. */
function mayBeSame(dialled: string, heard: string): boolean {
  if (heard === '0.0.0.0' || heard === '::' || dialled === heard) return true;
  const isNumber = (host: string) => /^[0-9.]+$|:/.test(host);
  if (isLoopback(heard) || isLoopback(dialled)) return isLoopback(heard) && isLoopback(dialled);
  return !isNumber(dialled) || !isNumber(heard);
}

/**
 * All parties must use one broker, under separate names. One broker may have several addresses, some only for guests.
 */
function brokerDifferences(a: Daemon, b: Daemon): Difference[] {
  const [ours, theirs] = [configOf(a).transport, configOf(b).transport];
  if (ours.kind !== 'mqtt' || theirs.kind !== 'mqtt') return [];
  const [one, two] = [parseBroker(ours.url), parseBroker(theirs.url)];
  if (typeof one === 'string' || typeof two === 'string' || isSameBroker(one, two)) return [];
  return [[['transport', 'url'], `${ours.url}, and ${theirs.url} in ${b.file}: is it the same broker?`]];
}

function isSameBroker(a: StreamAddress, b: StreamAddress): boolean {
  if (addressText(a) === addressText(b)) return true;
  // A socket file and a port may lead to one broker.
  if (a.kind !== 'tcp' || b.kind !== 'tcp') return a.kind !== b.kind;
  if (a.port !== b.port) return false;
  return isLoopback(a.host) || isLoopback(b.host) || mayBeSame(a.host, b.host);
}

/** Returns whether a daemon runs on the host's system: it reaches the others without leaving the machine. */
function isBeside({ agent }: Daemon): boolean {
  if (!agent) return true;
  const { transport } = agent;
  const place =
    transport.kind === 'mqtt'
      ? parseBroker(transport.url)
      : transport.kind === 'stream' && parseAddress(transport.address);
  if (!place || typeof place === 'string') return false;
  return place.kind === 'unix' || (place.kind === 'tcp' && isLoopback(place.host));
}

function configOf(daemon: Daemon): AgentFile | HostFile {
  return daemon.agent ?? daemon.host!;
}

function hexOf(bundle: BundleDefinition): string {
  return bundleDigest(bundle).join();
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
