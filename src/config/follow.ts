/**
 * Checks a daemon's configuration together with the files that it names: bundle file, key file, password file, and
 * programs with absolute paths. Pure: what is on the machine comes in through a port.
 *
 * Sockets, attributes below /sys and folders for state are not looked at: they come and go with the machine.
 */

import type { Static, TSchema } from 'typebox';
import type { Tree } from '../devicetree/tree.ts';
import { type HooksConfig, hookComplaints } from '../hooks/hooks-config.ts';
import type { BundleDefinition } from '../protocol/bundle.ts';
import { HOST, type VmId } from '../protocol/ids.ts';
import { backEndComplaints, namedVms } from './back-ends.ts';
import { readBundleFile } from './bundle-file.ts';
import { type AgentFile, type HostFile, KEYS_SCHEMA } from './daemon-config.ts';
import type { Path } from './faults.ts';
import { LIVE, ownTree, type TreePart } from './own-tree.ts';
import { ConfigError, complaintAt, readConfig } from './read.ts';

/** Files of this machine. */
export interface ConfigFiles {
  /** Returns the text of a file. Throws a ConfigError. */
  readText(path: string): string;
  /** Returns a path that stands in the file `config`, whose folder relative paths start from, as an absolute one. */
  besideConfig(config: string, path: string): string;
  /** Returns what is at `path`; undefined when nothing is. */
  look(path: string): FileLook | undefined;
  /** Names in a folder; none when there is no such folder. */
  list(path: string): readonly string[];
  /** The path without symbolic links; undefined when nothing is there. */
  realPath(path: string): string | undefined;
  /** Reads a device tree blob; of the path `live` that of this machine. Throws a ConfigError. */
  readTree(path: string): Tree;
  /** Why this program cannot speak MQTT; undefined when it can. */
  readonly mqttFault?: string | undefined;
}

/** What is at a path. */
export interface FileLook {
  readonly isFile: boolean;
  /** Permission bits, as in 0o600. */
  readonly mode: number;
  /** Whether this process may run it. */
  readonly isExecutable: boolean;
}

/** Longest path of a UNIX socket, in bytes: the kernel's 108 with the zero at the end. */
const SOCKET_PATH_BYTES_MAX = 107;

/** Returns what is wrong with the full path of a socket; undefined when it can be one. */
export function socketPathFault(path: string): string | undefined {
  const bytes = [...path].reduce((sum, char) => sum + utf8BytesOf(char.codePointAt(0)!), 0);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return undefined;
  return `${path} has ${bytes} bytes: expected the path of a socket, at most ${SOCKET_PATH_BYTES_MAX} bytes in all`;
}

function utf8BytesOf(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x1_0000 ? 3 : 4;
}

/** What following a configuration came to: every complaint, a line each, and the bundles, where they could be read. */
export interface FollowedAgent {
  readonly complaints: readonly string[];
  readonly bundles: readonly BundleDefinition[] | undefined;
}

/** Looks at all that a sound configuration of an agent names. */
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
  follow.control(config.control);
  if (transport.kind === 'mqtt') follow.mqtt(transport.passwordFile);
  const need = (peer: string, why: string) =>
    keys && !keys.has(peer) && follow.complain(['keys'], noKey(config.keys, peer, why));
  if (vm === HOST) follow.complain(['vm'], `"${HOST}": the host’s own name: expected the VM’s`);
  need(HOST, 'the host');
  for (const { id, owner } of bundles ?? []) if (owner !== vm) need(owner, `the owner of ${id}`);
  if (policy?.kind === 'program') follow.program(['policy', 'command'], policy.command);
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
      if (keys && !keys.has(borrower))
        follow.complain([...path, 'borrower'], noKey(config.keys, borrower, 'a borrower'));
    }
  }
  if (bundles) follow.hooks(hooks, bundles, vm as VmId);
  if (bundles) follow.tree(config.tree, bundles, vm as VmId);
  return { complaints: follow.complaints, bundles };
}

/** Returns every complaint about what a sound configuration of a host names, a line each. */
export function followHost(file: string, text: string, config: HostFile, files: ConfigFiles): string[] {
  const follow = new Follower(file, text, files);
  const { transport, enforcer } = config;
  const bundles = follow.bundles(config.bundles);
  const keys = follow.keys(config.keys);
  follow.control(config.control);
  if (transport.kind === 'mqtt') follow.mqtt(transport.passwordFile);
  if (enforcer.kind === 'command') follow.program(['enforcer', 'command'], enforcer.command);
  if (enforcer.kind === 'trusted-touch' && enforcer.lives.kind === 'command')
    follow.program(['enforcer', 'lives', 'command'], enforcer.lives.command);
  if (enforcer.kind === 'qmp') {
    for (const [vm, address] of Object.entries(enforcer.vms))
      follow.address(['enforcer', 'vms', vm], address);
    for (const [bundle, address] of Object.entries(enforcer.inputs))
      follow.address(['enforcer', 'inputs', bundle], address);
  }
  for (const { path, message } of bundles ? backEndComplaints(enforcer, bundles) : [])
    follow.complain(['enforcer', ...path], message, 'key');
  if (transport.kind === 'stream') follow.listens(transport.listen, bundles ?? []);
  if (!keys) return follow.complaints;
  for (const { id, owner } of bundles ?? []) {
    if (!keys.has(owner)) follow.complain(['keys'], noKey(config.keys, owner, `the owner of ${id}`));
  }
  for (const { vm, path, at } of namedVms(enforcer)) {
    if (!keys.has(vm)) follow.complain(['enforcer', ...path], noKey(config.keys, vm, 'a VM'), at);
  }
  for (const vm of transport.kind === 'stream' ? Object.keys(transport.listen) : []) {
    const path = ['transport', 'listen', vm];
    if (!keys.has(vm)) follow.complain(path, noKey(config.keys, vm, 'who is listened for here'), 'key');
  }
  return follow.complaints;
}

/** Follows the paths of one configuration. */
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

  /** Complains about the key or value at `path` in the configuration. */
  complain(path: Path, message: string, at: 'key' | 'value' = 'value'): void {
    this.complaints.push(complaintAt(this.#file, this.#text, { path, at, message }));
  }

  bundles(name: string): BundleDefinition[] | undefined {
    return this.#contents(['bundles'], name, 'the bundle file', readBundleFile);
  }

  /** Returns the names of the peers in the key file. */
  keys(name: string): ReadonlySet<string> | undefined {
    const keys = this.#contents(['keys'], name, 'the key file', reader(KEYS_SCHEMA));
    this.#secret(['keys'], name);
    return keys && new Set(Object.keys(keys));
  }

  /** Nobody else may read the file that the value at `path` names. */
  #secret(path: Path, name: string): void {
    const full = this.#files.besideConfig(this.#file, name);
    const { mode = 0, isFile } = this.#files.look(full) ?? {};
    if (!isFile || (mode & 0o077) === 0) return;
    const found = mode.toString(8).padStart(4, '0');
    this.complain(path, `"${name}": others may read it (mode ${found}): expected 0600; do chmod 600 ${full}`);
  }

  control(name: string): void {
    const fault = socketPathFault(this.#files.besideConfig(this.#file, name));
    if (fault !== undefined) this.complain(['control'], fault);
  }

  address(path: Path, address: string): void {
    // Of the form of a VMM the longer one of its two names counts, which a listener has.
    const [, file] = /^(?:vsock-)?unix:(.+)$/.exec(address) ?? [];
    const fault = file === undefined ? undefined : socketPathFault(file.replace(/:(?=\d+$)/, '_'));
    if (fault !== undefined) this.complain(path, fault);
  }

  /** Each VM has an address of its own: it says who is heard there. */
  listens(listen: Readonly<Record<string, string>>, bundles: readonly BundleDefinition[]): void {
    for (const { id, owner } of bundles)
      if (listen[owner] === undefined)
        this.complain(['transport', 'listen'], `no address for "${owner}", the owner of ${id}`);
    const vms = Object.keys(listen);
    for (const [index, vm] of vms.entries()) {
      const other = vms.slice(0, index).find((each) => listen[each] === listen[vm]);
      if (other) this.complain(['transport', 'listen', vm], `the same address as that of "${other}"`);
    }
  }

  mqtt(passwordFile: string | undefined): void {
    const { mqttFault } = this.#files;
    if (mqttFault !== undefined) this.complain(['transport', 'kind'], mqttFault);
    this.#password(passwordFile);
  }

  #password(name: string | undefined): void {
    if (name === undefined) return;
    const path = ['transport', 'passwordFile'];
    const isEmpty = this.#contents(path, name, 'a file with the password', (_, text) => text.trim() === '');
    if (isEmpty) this.complain(path, `"${name}": empty: expected a file with the password`);
    this.#secret(path, name);
  }

  /** A program that is looked up in PATH may be another one for the daemon than for us: only absolute paths count. */
  program(path: Path, command: readonly string[] | undefined): void {
    const [name = ''] = command ?? [];
    if (!name.startsWith('/')) return;
    const look = this.#files.look(name);
    const why = !look ? 'no such file' : look.isFile ? 'not executable' : 'not a file';
    if (!look?.isFile || !look.isExecutable)
      this.complain([...path, 0], `"${name}": ${why}: expected a program that this user may run`);
  }

  hooks(hooks: HooksConfig, bundles: readonly BundleDefinition[], self: VmId): void {
    for (const { path, message } of hookComplaints(hooks, bundles, self))
      this.complain(['hooks', ...path], message, 'key');
    for (const [bundle, devices] of Object.entries(hooks)) {
      for (const [device, { inspect, ...lists }] of Object.entries(devices)) {
        const path = ['hooks', bundle, device];
        if (inspect?.kind === 'command') this.program([...path, 'inspect', 'command'], inspect.command);
        for (const [list, steps = []] of Object.entries(lists)) {
          for (const [index, step] of steps.entries()) {
            if (step.kind !== 'command') continue;
            this.program([...path, list, index, 'command'], step.command);
            this.program([...path, list, index, 'undo'], step.undo);
          }
        }
      }
    }
  }

  tree(part: AgentFile['tree'], bundles: readonly BundleDefinition[], self: VmId): void {
    if (part === undefined) return;
    try {
      const { faults } = ownTree(part, bundles, self, treeOf(this.#file, part, this.#files));
      for (const { path, message } of faults) this.complain(['tree', ...path], message);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.complain(['tree', 'file'], error.message);
    }
  }

  /** Reads a file that the value at `path` names. What is wrong inside is told with its own file and line. */
  #contents<T>(
    path: Path,
    name: string,
    what: string,
    read: (file: string, text: string) => T,
  ): T | undefined {
    const full = this.#files.besideConfig(this.#file, name);
    const look = this.#files.look(full);
    if (!look?.isFile) {
      const why = look ? 'not a file' : 'no such file';
      this.complain(path, `"${name}": ${why}: expected ${what} at ${full}`);
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

/** The tree that an agent's configuration names. Throws a ConfigError. */
export function treeOf(file: string, { file: name = LIVE }: TreePart, files: ConfigFiles): Tree {
  return files.readTree(name === LIVE ? LIVE : files.besideConfig(file, name));
}

function reader<T extends TSchema>(schema: T): (file: string, text: string) => Static<T> {
  return (file, text) => readConfig(schema, file, text);
}

function noKey(keys: string, peer: string, who: string): string {
  return `no key for "${peer}", ${who}: expected one in ${keys}`;
}

function noBundle(bundle: string, bundles: readonly BundleDefinition[]): string {
  return `"${bundle}": no bundle of this name: expected ${bundles.map(({ id }) => `"${id}"`).join(' or ')}`;
}
