/** The files that `baton init` writes, one folder per machine. Pure, but for the secrets that it is given. */

import { DEFAULT_MACHINE, HOST, type VmId } from '../../core/protocol/ids.ts';
import { agentText, FILE_NAMES, hostText, ownedBy, peersOf } from './configs.ts';
import type { Listener, Setup } from './setup.ts';

/** A file to write, below the new folder. */
export interface NewFile {
  readonly path: string;
  readonly text: string;
  /** Permission bits: 0o600 with secrets in it. */
  readonly mode: number;
}

/** Files of the product, as they are shipped. */
export interface Shipped {
  readonly agentUnit: string;
  readonly agentOnNode: string;
  readonly hostUnit: string;
  readonly hostWatchdog: string;
  readonly sleepUnit: string;
  readonly mosquitto: string;
  readonly acl: string;
}

/** Returns fresh random bytes in hexadecimal. */
export type Secret = (bytes: number) => string;

const PLAIN = 0o644;
const SECRET = 0o600;
/** Bytes of a pair key, as docs/CONFIG.md has it. */
const KEY_BYTES = 32;
/** Bytes of a password of the broker. */
const PASSWORD_BYTES = 16;
/** The broker's password file: a line `user:password` each, until `mosquitto_passwd -U` replaces them by hashes. */
export const BROKER_PASSWORDS = 'host/mosquitto/baton-passwords';

/** Returns all files. Each pair key is drawn once, and is in the files of its two parties alone. */
export function setupFiles(setup: Setup, shipped: Shipped, secret: Secret): readonly NewFile[] {
  const { vms, bundleText, way } = setup;
  const keys = pairKeys(setup, secret);
  const passwords = new Map(
    way.kind === 'mqtt' ? [HOST, ...vms].map((party) => [party, secret(PASSWORD_BYTES)] as const) : [],
  );
  const ofParty = (party: VmId): NewFile[] => {
    const file = (name: string, text: string, mode = PLAIN) => ({ path: `${party}/${name}`, text, mode });
    const password = passwords.get(party);
    return [
      file(FILE_NAMES.config(party), party === HOST ? hostText(setup) : agentText(setup, party)),
      file(FILE_NAMES.bundles, bundleText),
      file(FILE_NAMES.keys(party), `${JSON.stringify(keys.get(party), null, 2)}\n`, SECRET),
      ...(password === undefined ? [] : [file(FILE_NAMES.password(party), `${password}\n`, SECRET)]),
      ...(way.isLocal ? [] : unitsOf(setup, party, shipped).map(([name, text]) => file(name, text))),
    ];
  };
  return [...[HOST, ...vms].flatMap(ofParty), ...brokerFiles(setup, passwords, shipped)];
}

/** Returns the key file of each party: peer → key. */
function pairKeys(setup: Setup, secret: Secret): ReadonlyMap<VmId, Readonly<Record<string, string>>> {
  const parties = [HOST, ...setup.vms];
  const drawn = new Map<string, string>();
  const keyOf = (a: VmId, b: VmId): string => {
    const pair = [a, b].sort().join(' ');
    const key = drawn.get(pair) ?? secret(KEY_BYTES);
    drawn.set(pair, key);
    return key;
  };
  return new Map(
    parties.map((party) => [
      party,
      Object.fromEntries(peersOf(setup, party).map((peer) => [peer, keyOf(party, peer)])),
    ]),
  );
}

/**
 * Units of systemd. In folders of their own: what is only for programs on Node, or with native code, and for owners the
 * unit that calls devices in before the system sleeps.
 */
function unitsOf(setup: Setup, party: VmId, shipped: Shipped): readonly (readonly [string, string])[] {
  if (party === HOST)
    return [
      ['systemd/baton-host.service', shipped.hostUnit],
      ['systemd/native/baton-host.service.d/watchdog.conf', shipped.hostWatchdog],
    ];
  return [
    ['systemd/baton-agent.service', shipped.agentUnit],
    ['systemd/node/baton-agent.service.d/node.conf', shipped.agentOnNode],
    ...(ownedBy(setup, party).length > 0
      ? ([['systemd/sleep/baton-sleep.service', shipped.sleepUnit]] as const)
      : []),
  ];
}

/** Configuration, access list and users of mosquitto, laid out as below /etc/mosquitto. */
function brokerFiles(
  { way, machine = DEFAULT_MACHINE }: Setup,
  passwords: ReadonlyMap<string, string>,
  shipped: Shipped,
): NewFile[] {
  if (way.kind !== 'mqtt') return [];
  const users = [...passwords].map(([user, password]) => `${user}:${password}\n`).join('');
  return [
    {
      path: 'host/mosquitto/conf.d/baton.conf',
      text: replaced(shipped.mosquitto, /^listener 1883 127\.0\.0\.1$/m, listenerLine(way.listener)),
      mode: PLAIN,
    },
    {
      path: 'host/mosquitto/baton-acl',
      text: replaced(shipped.acl, /^(pattern (?:write|read) baton\/)machine\//gm, `$1${machine}/`),
      mode: PLAIN,
    },
    { path: BROKER_PASSWORDS, text: users, mode: SECRET },
  ];
}

function listenerLine({ port, address }: Listener): string {
  return `listener ${port} ${address}`;
}

/** Throws an Error if a file of the product has no such line any more. */
function replaced(text: string, what: RegExp, by: string): string {
  if (text.search(what) < 0) throw new Error(`a file of docs/mosquitto has no line ${what}`);
  return text.replace(what, by);
}
