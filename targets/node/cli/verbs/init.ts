/** `baton init`: the files of every party of a machine, with new keys. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type OptionTable, parseWords, type Words } from '../../../../src/cli/arguments.ts';
import type { Verb } from '../../../../src/cli/verb.ts';
import { EXIT, UsageError } from '../../../../src/cli/world.ts';
import { bundleFileText, readBundleFile } from '../../../../src/config/bundle-file.ts';
import { BROKER_PASSWORDS, type NewFile, setupFiles } from '../../../../src/config/init/files.ts';
import { nextSteps } from '../../../../src/config/init/next-steps.ts';
import { enforcerForms, parseEnforcer, parseWay, type Setup } from '../../../../src/config/init/setup.ts';
import { listed, shellWord } from '../../../../src/config/init/text.ts';
import { ConfigError } from '../../../../src/config/read.ts';
import { withoutSecret } from '../../../../src/config/secrets.ts';
import type { BundleDefinition } from '../../../../src/core/protocol/bundle.ts';
import {
  bundleId,
  DEFAULT_MACHINE,
  ID_WORDS,
  isId,
  isVm,
  takenName,
  type VmId,
} from '../../../../src/core/protocol/ids.ts';
import { Board } from '../../../../src/planner/board.ts';
import { definitionOf } from '../../../../src/planner/definition.ts';
import { planBundle } from '../../../../src/planner/plan.ts';
import { verdictOf } from '../../../../src/planner/survey.ts';
import type { Tree } from '../../../../src/planner/tree.ts';
import { ENTROPY } from '../../system/entropy.ts';
import { nodesOf, plainName } from '../board-nodes.ts';
import { newPlace, writeNewFolder } from '../new-folder.ts';
import { SHIPPED } from '../shipped-files.ts';
import type { FileWorld } from '../world.ts';

const HELP = `\
baton init --bundles FILE --vm VM --vm VM... --enforcer KIND [--transport KIND] [--machine NAME] --out DIR
baton init --tree TREE --node NODE... [--name BUNDLE] --vm VM --vm VM... (the same)

Writes what host and agents need into a new folder, a folder for each machine: DIR/host, and DIR/VM for each VM.
Configurations with comments, a new key for each pair of parties that talks, the bundle file, units of systemd; over
MQTT the users and the access list of the broker. Says what goes where, and the next commands; DIR/README.txt has that,
too. Nothing is ever overwritten, and after an error nothing is left. Keys and passwords are not printed.

  --bundles FILE    the bundle file, as baton plan TREE NODE --owner VM -o FILE makes it
  --tree, --node    or a device tree and devices, as of baton plan: one bundle, of the first VM; --name names it
  --vm VM           a VM, once for each: the owners of all bundles, and those that may borrow
  --enforcer KIND   what switches access: ${enforcerForms().join(', ')};
                    none isolates nothing. For another write "enforcer" of host.json by hand
  --transport KIND  how messages travel: vsock[:PORT] (the default, a port for each VM from 7000 on), tcp:HOST:PORT (a
                    port for each VM from that one on), mqtt://HOST[:PORT] (the broker, as host and VMs reach it), unix
                    (all parties on this machine, to try: no units; state and sockets are in DIR)
  --machine NAME    name of the machine, in topics and logs (default: ${DEFAULT_MACHINE})
  --out DIR         the new folder

Each owner lends to all other VMs, for a minute at most, until its policy says otherwise. Hooks are comments until
somebody writes them. Exit status: 78 when the bundle file cannot be used, or DIR is there already or cannot be made; of
a tree as of baton plan.

  --json  one object: folder, and the path and mode of each file
`;

/** Time that mosquitto_passwd has, in ms: it hashes a few passwords. */
const HASH_MS = 10_000;

/** Options, with the kind of each. */
const OPTIONS: OptionTable = {
  '--bundles': 'value',
  '--tree': 'value',
  '--node': 'list',
  '--name': 'value',
  '--vm': 'list',
  '--enforcer': 'value',
  '--transport': 'value',
  '--machine': 'value',
  '--out': 'value',
};

export function init(world: FileWorld, args: readonly string[]): number {
  const words = parseWords(args, OPTIONS);
  const { plain, values, lists, flags } = words;
  if (plain.length > 0)
    throw new UsageError(`init takes options alone: ${JSON.stringify(plain[0])} is too much`);
  const vms = vmsOf(lists.get('--vm') ?? []);
  const enforcer = parsed('--enforcer', needed(words, '--enforcer', 'KIND'), (text) =>
    parseEnforcer(text, vms),
  );
  const machine = values.get('--machine');
  if (machine !== undefined && !isId(machine))
    throw new UsageError(`--machine ${JSON.stringify(machine)}: expected ${ID_WORDS}`);
  const folder = needed(words, '--out', 'DIR');
  const place = newPlace(folder);
  const way = parsed('--transport', values.get('--transport') ?? 'vsock', (text) =>
    parseWay(text, vms, place),
  );
  const source = sourceOf(world, words, vms[0]!);
  if (typeof source === 'number') return source;
  const { file, text: bundleText } = source;
  const bundles = readBundleFile(file, bundleText);
  if (bundles.length === 0) throw new ConfigError(`${file}: no bundle in it: expected one at least`);
  checkOwners(file, bundles, vms);
  const setup: Setup = { machine, vms, bundles, bundleText, way, enforcer };
  const { files, steps } = write(world, setup, place, folder);
  if (flags.has('--json')) {
    const written = files.map(({ path, mode }) => ({ path, mode: `0${mode.toString(8)}` }));
    world.out(JSON.stringify({ folder: place, files: written }));
  } else for (const line of steps) world.out(line);
  for (const vm of strangers(setup))
    world.err(`${file}: has views of ${vm}, which cannot take part: it is no --vm`);
  return EXIT.ok;
}

function needed({ values }: Words, option: string, form: string): string {
  const value = values.get(option);
  if (value === undefined || value === '') throw new UsageError(`init takes ${option} ${form}`);
  return value;
}

/** A bundle file, and where it is from. */
interface Source {
  readonly file: string;
  readonly text: string;
}

/** Reads the bundle file, or plans one bundle of `owner`; returns an exit status when there can be none. */
function sourceOf(world: FileWorld, words: Words, owner: VmId): Source | number {
  const { values, lists } = words;
  const nodes = lists.get('--node') ?? [];
  const file = values.get('--bundles');
  const stray = ['--tree', '--name'].find((option) => values.has(option)) ?? (nodes.length > 0 && '--node');
  if (file !== undefined && stray)
    throw new UsageError(`--bundles and ${stray}: expected a bundle file or a tree, not both`);
  if (file !== undefined) return { file, text: world.readText(needed(words, '--bundles', 'FILE')) };
  if (!stray) throw new UsageError('init takes --bundles FILE, or --tree TREE and --node NODE');
  const place = needed(words, '--tree', 'TREE');
  if (nodes.length === 0) throw new UsageError('init takes --node NODE; baton plan TREE --list shows them');
  const name = values.get('--name');
  if (name !== undefined && !isId(name))
    throw new UsageError(`--name ${JSON.stringify(name)}: expected ${ID_WORDS}`);
  let tree: Tree;
  try {
    tree = world.readTree(place);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const line of error.message.split('\n')) world.err(`baton init: ${line}`);
    return EXIT.noInput;
  }
  const wanted = nodesOf(tree, nodes);
  const found = planBundle(new Board(tree), wanted, {});
  const bundle = definitionOf(found, bundleId(name ?? plainName(wanted[0]!)), owner);
  if (bundle) return { file: place, text: bundleFileText([bundle]) };
  const command = ['baton plan', ...[place, ...nodes].map(shellWord)].join(' ');
  world.err(
    `baton init: ${place}: no bundle can be made of it as it is, and nothing was written; ${command}`,
  );
  world.err('says what stands in the way and the ways out, and with -o writes a bundle file for --bundles');
  return verdictOf(found) === 'unsure' ? EXIT.unsure : EXIT.failed;
}

/** Writes the folder; returns its files, and what is to be done next. */
function write(
  world: FileWorld,
  setup: Setup,
  place: string,
  shown: string,
): { readonly files: readonly NewFile[]; readonly steps: readonly string[] } {
  const hasher = programAt(world, 'mosquitto_passwd');
  const isHashed = hasher !== undefined;
  const readme = `${nextSteps(setup, '.', isHashed).join('\n')}\n`;
  const files = [
    { path: 'README.txt', text: readme, mode: 0o644 },
    ...setupFiles(setup, SHIPPED, (bytes) => Buffer.from(ENTROPY.random(bytes)).toString('hex')),
  ];
  // A signal in between ends this process after the unfinished folder is gone or has its name.
  const stop = world.onSignal(() => {});
  try {
    writeNewFolder(place, files, (unfinished) => {
      if (setup.way.kind === 'mqtt' && isHashed) hashPasswords(hasher, join(unfinished, BROKER_PASSWORDS));
    });
  } finally {
    stop();
  }
  return { files, steps: nextSteps(setup, shown, isHashed) };
}

/** Replaces the passwords in the broker's file by their hashes. Throws a ConfigError. */
function hashPasswords(program: string, file: string): void {
  // What it prints may repeat a line of the file, so it is not shown.
  const how = { stdio: 'ignore', timeout: HASH_MS } as const;
  const { status, signal, error } = spawnSync(program, ['-U', file], how);
  if (status === 0) return;
  const why = error?.message ?? `it ended with ${status ?? signal}`;
  throw new ConfigError(
    `${program} -U cannot hash the passwords of the broker, and nothing was written: ${why}`,
  );
}

function programAt({ programFolders = [], look }: FileWorld, name: string): string | undefined {
  return programFolders.map((folder) => `${folder}/${name}`).find((path) => look(path)?.isExecutable);
}

/** Parses the value of an option. Throws a UsageError. */
function parsed<T>(option: string, text: string, parse: (text: string) => T | string): T {
  const value = parse(text);
  if (typeof value === 'string') throw new UsageError(`${option} ${withoutSecret(text)}: ${value}`);
  return value;
}

function vmsOf(names: readonly string[]): readonly VmId[] {
  for (const [index, name] of names.entries()) {
    if (!isVm(name))
      throw new UsageError(`--vm ${JSON.stringify(name)}: ${takenName(name) ?? `expected ${ID_WORDS}`}`);
    if (names.indexOf(name) < index) throw new UsageError(`--vm ${name} stands twice: expected each VM once`);
  }
  if (names.length < 2)
    throw new UsageError('init takes a --vm for each VM, two at least: one that lends, one that borrows');
  return names as readonly VmId[];
}

function checkOwners(file: string, bundles: readonly BundleDefinition[], vms: readonly VmId[]): void {
  for (const { id, owner } of bundles)
    if (!vms.includes(owner))
      throw new UsageError(
        `${file}: the owner of ${id} is ${owner}, not ${listed(vms)}: expected --vm ${owner}, too`,
      );
}

/** VMs of which the bundle file has views, and that the command line does not name. */
function strangers({ bundles, vms }: Setup): readonly string[] {
  const viewers = bundles.flatMap(({ devices }) =>
    devices.flatMap(({ resources }) => resources.flatMap(({ views }) => Object.keys(views))),
  );
  return [...new Set(viewers)].filter((vm) => !vms.some((known) => known === vm));
}

export const INIT: Verb<FileWorld> = {
  says: 'write the files of host and agents, with new keys',
  help: HELP,
  alone: init,
};
