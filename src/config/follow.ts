/**
 * Checks a daemon's configuration with everything it names: bundle file, key file, password file, programs,
 * addresses. Both daemons at their start and `check-config` use these two functions, so their checks are equal. Pure:
 * the machine is read through a port.
 *
 * Sockets of other programs and attributes below /sys are not checked, since they come and go.
 */

import { addressFault, isLookedUp, parseAddress, parseBroker, socketPathFault } from '../common/addresses.ts';
import type { BundleDefinition } from '../core/protocol/bundle.ts';
import { HOST, type VmId } from '../core/protocol/ids.ts';
import { enforcerKindOf } from '../edges/enforcer/kinds.ts';
import { type HooksConfig, hookComplaints } from '../edges/hooks/hooks-config.ts';
import type { Tree } from '../planner/tree.ts';
import type { AgentFile } from './agent-config.ts';
import { readBundleFile } from './bundle-file.ts';
import { type Path, shown } from './faults.ts';
import type { HostFile } from './host-config.ts';
import { readKeyFile } from './key-file.ts';
import { type NamedSocket, placeOf, socketsOf } from './named-sockets.ts';
import { LIVE, ownTree, type TreePart } from './own-tree.ts';
import { type NamedProgram, programsOfAgent, programsOfHost } from './programs.ts';
import { ConfigError, complaintAt } from './read.ts';

/** Files of this machine. */
export interface ConfigFiles {
  /** Returns the text of a file. Throws a ConfigError. */
  readText(path: string): string;
  /** Returns a path in the file `config` as an absolute one; relative paths start at the folder of `config`. */
  besideConfig(config: string, path: string): string;
  /** Returns what is at `path`; undefined when nothing is. */
  look(path: string): FileLook | undefined;
  /** Returns the names in a folder; none when there is no such folder. */
  list(path: string): readonly string[];
  /**
   * Returns the folder that denies this user access to `path`: one above it, or itself, if it is an unreadable
   * folder; undefined when none does.
   */
  hidden(path: string): string | undefined;
  /** Returns the path without symbolic links; undefined when nothing is there. */
  realPath(path: string): string | undefined;
  /**
   * Reads a device tree: a blob, or a copy of /proc/device-tree; with the path `live`, that of this machine. Throws a
   * ConfigError: one line, or several if it lists the contents of the file.
   */
  readTree(path: string): Tree;
  /** Why this program cannot use MQTT; undefined when it can. */
  readonly mqttFault?: string | undefined;
  /** Why this program cannot look up host names; undefined when it can. */
  readonly nameFault?: string | undefined;
  /** The folders of PATH, for programs named without a slash. */
  readonly programFolders?: readonly string[];
}

/** What is at a path. */
export interface FileLook {
  readonly isFile: boolean;
  /** Permission bits, as in 0o600. */
  readonly mode: number;
  /** Whether this process may run it. */
  readonly isExecutable: boolean;
}

/** Result of a check: all faults, one line each, and the bundles, if they could be read. */
export interface FollowedAgent {
  readonly complaints: readonly string[];
  readonly bundles: readonly BundleDefinition[] | undefined;
}

/** Checks everything that a valid configuration of an agent names. */
export function followAgent(
  file: string,
  text: string,
  config: AgentFile,
  files: ConfigFiles,
): FollowedAgent {
  const follow = new Follower(file, text, files);
  const { vm, transport, policy, hooks = {} } = config;
  const bundles = follow.bundles(config.bundles);
  const keys = follow.keys(config.keys);
  follow.folders(config);
  if (transport.kind === 'mqtt') follow.mqtt(transport, vm);
  if (transport.kind === 'stream') follow.address(['transport', 'address'], transport.address);
  // The PATH of hooks and policy may differ when they run: `check-config` warns.
  follow.programs(programsOfAgent(config).filter(({ command }) => command[0]?.includes('/')));
  follow.notItself(keys, vm);
  const isMissing = missingOnce(keys);
  const need = (peer: string, why: string) =>
    isMissing(peer) && follow.complain(['keys'], noKey(config.keys, peer, why));
  need(HOST, 'the host');
  for (const { id, owner } of bundles ?? []) if (owner !== vm) need(owner, `the owner of ${id}`);
  if (policy?.kind === 'list') {
    for (const [index, { bundle, borrower }] of policy.allow.entries()) {
      const path = ['policy', 'allow', index];
      const known = bundles?.find(({ id }) => id === bundle);
      if (bundles && !known) follow.complain([...path, 'bundle'], noBundle(bundle, bundles));
      if (known && known.owner !== vm)
        follow.complain(
          [...path, 'bundle'],
          `"${bundle}": its owner is ${known.owner}, and only an owner lends`,
        );
      if (isMissing(borrower))
        follow.complain([...path, 'borrower'], noKey(config.keys, borrower, 'a borrower'));
    }
  }
  if (bundles) follow.hooks(hooks, bundles, vm as VmId);
  if (bundles) follow.tree(config.tree, bundles, vm as VmId);
  return { complaints: follow.complaints, bundles };
}

/** Returns all faults of what a valid configuration of a host names, one line each. */
export function followHost(file: string, text: string, config: HostFile, files: ConfigFiles): string[] {
  const follow = new Follower(file, text, files);
  const { transport, enforcer } = config;
  const bundles = follow.bundles(config.bundles);
  const keys = follow.keys(config.keys);
  follow.folders(config);
  if (transport.kind === 'mqtt') follow.mqtt(transport, HOST);
  follow.programs(programsOfHost(config));
  follow.notItself(keys, HOST);
  for (const { path, message } of bundles
    ? (enforcerKindOf(enforcer).complaints?.(enforcer, bundles) ?? [])
    : [])
    follow.complain(['enforcer', ...path], message, 'key');
  if (transport.kind === 'stream') follow.owners(transport.listen, bundles ?? []);
  follow.sockets(socketsOf(config));
  const isMissing = missingOnce(keys);
  for (const { id, owner } of bundles ?? []) {
    if (isMissing(owner)) follow.complain(['keys'], noKey(config.keys, owner, `the owner of ${id}`));
  }
  for (const { vm, path, at } of enforcerKindOf(enforcer).vms?.(enforcer) ?? []) {
    if (isMissing(vm)) follow.complain(['enforcer', ...path], noKey(config.keys, vm, 'a VM'), at);
  }
  for (const vm of transport.kind === 'stream' ? Object.keys(transport.listen) : []) {
    const path = ['transport', 'listen', vm];
    if (isMissing(vm))
      follow.complain(path, noKey(config.keys, vm, 'for which the host listens here'), 'key');
  }
  return follow.complaints;
}

/** Returns whether the key of a peer is missing; reported once per peer. Without `keys` nothing is reported. */
function missingOnce(keys: ReadonlySet<string> | undefined): (peer: string) => boolean {
  const said = new Set<string>();
  return (peer) => {
    if (!keys || keys.has(peer) || said.has(peer)) return false;
    said.add(peer);
    return true;
  };
}

/** Checks the paths of one configuration. */
class Follower {
  readonly complaints: string[] = [];
  readonly #file: string;
  readonly #text: string;
  readonly #files: ConfigFiles;

  constructor(file: string, text: string, files: ConfigFiles) {
    this.#file = file;
    this.#text = text;
    this.#files = files;
  }

  /** Adds a fault of the key or value at `path` in the configuration. */
  complain(path: Path, message: string, at: 'key' | 'value' = 'value'): void {
    this.complaints.push(complaintAt(this.#file, this.#text, { path, at, message }));
  }

  bundles(name: string): BundleDefinition[] | undefined {
    return this.#contents(['bundles'], name, 'the bundle file', readBundleFile);
  }

  /** Returns the names of the peers in the key file. */
  keys(name: string): ReadonlySet<string> | undefined {
    const keys = this.#contents(['keys'], name, 'the key file', readKeyFile);
    this.#secret(['keys'], name);
    return keys && new Set(keys.keys());
  }

  /** Checks that no other user may read the file that the value at `path` names. */
  #secret(path: Path, name: string): void {
    const full = this.#files.besideConfig(this.#file, name);
    const { mode = 0, isFile } = this.#files.look(full) ?? {};
    if (!isFile || (mode & 0o077) === 0) return;
    const found = mode.toString(8).padStart(4, '0');
    this.complain(path, `"${name}": others may read it (mode ${found}): expected 0600; do chmod 600 ${full}`);
  }

  /** Missing folders are created by the daemons, which fails if something else is there. */
  folders({ control, state }: Pick<AgentFile, 'control' | 'state'>): void {
    const at = this.#files.besideConfig(this.#file, control);
    const fault =
      socketPathFault(at) ??
      (this.#files.look(at)?.isFile ? `${at}: a file: expected room for a socket` : undefined);
    if (fault !== undefined) this.complain(['control'], fault);
    this.#folder(['control'], parentOf(at));
    this.#folder(['state'], this.#files.besideConfig(this.#file, state));
  }

  #folder(path: Path, folder: string): void {
    for (let at = folder; at !== '/'; at = parentOf(at)) {
      const look = this.#files.look(at);
      if (look?.isFile) return this.complain(path, `${at}: a file: expected a folder, or nothing`);
      if (look) return;
      const dark = this.#files.hidden(at);
      if (dark !== undefined) return this.complain(path, `${folder}: ${hiddenText(dark)}`);
    }
  }

  /** Checks an address that the daemon dials or listens on. */
  address(path: Path, address: string): void {
    const parsed = parseAddress(address);
    const isLookedUpHere = typeof parsed !== 'string' && parsed.kind === 'tcp' && isLookedUp(parsed.host);
    const fault = addressFault(address) ?? (isLookedUpHere ? this.#files.nameFault : undefined);
    if (fault !== undefined) this.complain(path, `${shown(address)}: ${fault}`);
  }

  /** A host cannot listen twice at one address: each VM's address identifies the VM. */
  sockets(all: readonly NamedSocket[]): void {
    for (const { path, address } of all) this.address(path, address);
    const places = all.map(({ address, listens }) => (listens ? placeOf(address) : undefined));
    const control = all.length;
    for (const [index, place] of places.entries()) {
      const first = place === undefined ? control : places.indexOf(place);
      if (first < index)
        this.complain(all[index]!.path, `the same address as that of "${all[first]!.path.at(-1)}"`);
    }
  }

  owners(listen: Readonly<Record<string, string>>, bundles: readonly BundleDefinition[]): void {
    const firsts = bundles.filter(
      ({ owner }, index) => bundles.findIndex((other) => other.owner === owner) === index,
    );
    for (const { id, owner } of firsts)
      if (listen[owner] === undefined)
        this.complain(['transport', 'listen'], `no address for "${owner}", the owner of ${id}`);
  }

  /** `self`: the name of this party in the broker's access list. */
  mqtt({ url, username, passwordFile }: MqttPart, self: string): void {
    const { mqttFault, nameFault } = this.#files;
    if (mqttFault !== undefined) this.complain(['transport', 'kind'], mqttFault);
    const broker = parseBroker(url);
    if (typeof broker === 'string') this.complain(['transport', 'url'], `${shown(url)}: ${broker}`);
    else if (broker.kind === 'tcp' && isLookedUp(broker.host) && nameFault !== undefined)
      this.complain(['transport', 'url'], `${shown(url)}: ${nameFault}`);
    if (username !== undefined && username !== self)
      this.complain(
        ['transport', 'username'],
        `${shown(username)}: expected "${self}": the access list of the broker uses this name`,
      );
    if (passwordFile !== undefined && username === undefined)
      this.complain(
        ['transport', 'passwordFile'],
        `a password without a user: expected "username": "${self}" beside it`,
      );
    this.#password(passwordFile);
  }

  /** A party needs no key for itself. */
  notItself(keys: ReadonlySet<string> | undefined, self: string): void {
    if (keys?.has(self))
      this.complain(['keys'], `a key for "${self}", which is this party itself: expected those of its peers`);
  }

  #password(name: string | undefined): void {
    if (name === undefined) return;
    const path = ['transport', 'passwordFile'];
    const isEmpty = this.#contents(path, name, 'a file with the password', (_, text) => text.trim() === '');
    if (isEmpty) this.complain(path, `"${name}": empty: expected a file with the password`);
    this.#secret(path, name);
  }

  programs(programs: readonly NamedProgram[]): void {
    for (const { path, command } of programs) this.#program([...path, 0], command[0] ?? '');
  }

  #program(path: Path, name: string): void {
    const why = name.includes('/') ? this.#whyNotRun(name) : this.#whyNotFound(name);
    if (why === undefined) return;
    // As one text, since the words after the program may contain a password.
    const [program = '', ...more] = name.split(/\s/);
    const hint = more.length > 0 ? '; its arguments are texts of their own' : '';
    const text =
      `${shown(program)}${more.length > 0 ? ' …' : ''}: ${why}: expected a program that ` +
      `this user may run${hint}`;
    this.complain(path, text);
  }

  #whyNotRun(name: string): string | undefined {
    const full = this.#files.besideConfig(this.#file, name);
    const look = this.#files.look(full);
    const dark = look ? undefined : this.#files.hidden(full);
    if (dark !== undefined) return hiddenText(dark);
    if (!look) return 'no such file';
    if (!look.isFile) return 'not a file';
    return look.isExecutable ? undefined : 'not executable';
  }

  #whyNotFound(name: string): string | undefined {
    return isInPath(name, this.#files) ? undefined : 'no such program in PATH';
  }

  hooks(hooks: HooksConfig, bundles: readonly BundleDefinition[], self: VmId): void {
    for (const { path, message } of hookComplaints(hooks, bundles, self))
      this.complain(['hooks', ...path], message, 'key');
  }

  tree(part: AgentFile['tree'], bundles: readonly BundleDefinition[], self: VmId): void {
    if (part === undefined) return;
    try {
      const { faults } = ownTree(part, bundles, self, treeOf(this.#file, part, this.#files));
      for (const { path, message } of faults) this.complain(['tree', ...path], message);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const line of error.message.split('\n')) this.complain(['tree', 'file'], line);
    }
  }

  /** Reads a file that the value at `path` names. Faults inside are reported with its own file and line. */
  #contents<T>(
    path: Path,
    name: string,
    what: string,
    read: (file: string, text: string) => T,
  ): T | undefined {
    const full = this.#files.besideConfig(this.#file, name);
    const look = this.#files.look(full);
    if (!look?.isFile) {
      const dark = look ? undefined : this.#files.hidden(full);
      const why = look ? 'not a file' : dark === undefined ? 'no such file' : hiddenText(dark);
      // If the field contains the password itself, it must not appear in a log.
      const isSecret = !look && path.at(-1) === 'passwordFile';
      const text = `${shown(name)}: ${why}: expected ${what} at ${full}`;
      this.complain(path, isSecret ? `${why}: expected the path of ${what}` : text);
      return undefined;
    }
    try {
      return read(full, this.#files.readText(full));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.complaints.push(...error.message.split('\n'));
      return undefined;
    }
  }
}

/** Returns why a path cannot be examined, and what to do. `folder`: the one that denies access. */
export function hiddenText(folder: string): string {
  return `this user may not look into ${folder}; run this as the user of the daemon, or as root`;
}

/** Returns the tree of an agent's configuration. Throws a ConfigError. */
export function treeOf(file: string, { file: name = LIVE }: TreePart, files: ConfigFiles): Tree {
  return files.readTree(name === LIVE ? LIVE : files.besideConfig(file, name));
}

/** Returns whether a program without a path is in a folder of PATH, as this process sees it. */
export function isInPath(name: string, { programFolders, look }: ConfigFiles): boolean {
  const looks = programFolders?.map((folder) => look(`${folder}/${name}`));
  return looks?.some((found) => found?.isFile && found.isExecutable) ?? true;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0)) || '/';
}

type MqttPart = Extract<AgentFile['transport'], { kind: 'mqtt' }>;

function noKey(keys: string, peer: string, who: string): string {
  return `no key for "${peer}", ${who}: expected one in ${keys}`;
}

function noBundle(bundle: string, bundles: readonly BundleDefinition[]): string {
  return `"${bundle}": no bundle of this name: expected ${bundles.map(({ id }) => `"${id}"`).join(' or ')}`;
}
