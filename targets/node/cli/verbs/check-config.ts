/** `baton check-config`: checks of files, without a daemon. */

import { parseWords } from '../../../../src/cli/arguments.ts';
import type { Verb } from '../../../../src/cli/verb.ts';
import { EXIT, UsageError } from '../../../../src/cli/world.ts';
import { AGENT_SCHEMA } from '../../../../src/config/agent-config.ts';
import { BUNDLE_FILE_SCHEMA, readBundleFile } from '../../../../src/config/bundle-file.ts';
import { compareDaemons, type Daemon } from '../../../../src/config/compare.ts';
import { faultsOf } from '../../../../src/config/faults.ts';
import { type ConfigFiles, followAgent, followHost } from '../../../../src/config/follow.ts';
import { HOST_SCHEMA } from '../../../../src/config/host-config.ts';
import { ConfigError, parseConfig, readConfig } from '../../../../src/config/read.ts';
import { KEYS_SCHEMA } from '../../../../src/config/shared-parts.ts';
import { warnAgent, warnHost } from '../../../../src/config/warn.ts';
import { HOST } from '../../../../src/core/protocol/ids.ts';
import type { FileWorld } from '../world.ts';

const HELP = `baton check-config FILE...

Checks configurations of agents and hosts with all that they name (bundle file, key file, password file, programs,
addresses), bundle files and key files. The daemons do the same checks when they start. Each complaint names file, line
and column; what may have been forgotten is a warning. Given several configurations of one machine it compares them:
keys and bundles, names, addresses and brokers. Exit status: 78 when there is a complaint.

  --json  one object: ok, complaints, warnings
`;

/** An unknown key says more about the kind of a file than everything else that may be wrong with it. */
const KEY_WEIGHT = 1_000;

export function checkConfig(world: FileWorld, args: readonly string[]): number {
  const { plain, flags } = parseWords(args, {});
  const isJson = flags.has('--json');
  if (plain.length === 0) throw new UsageError('check-config takes at least one FILE');
  // However it is spelt, a file is checked once.
  const places = new Map(
    plain.map((file) => [absoluteOf(world, file), file]).reverse() as [string, string][],
  );
  const given = plain.filter((file) => places.get(absoluteOf(world, file)) === file);
  const found = [...new Set(given)].map((file): Checked => {
    try {
      return checked(world, file, world.readText(file));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return { is: '', complaints: error.message.split('\n') };
    }
  });
  const compared = compareDaemons(found.flatMap(({ daemon }) => (daemon ? [daemon] : [])));
  // Two configurations may name the same file, and so may the command line.
  const once = (lines: readonly string[]) => onceEach(world, given, lines);
  const complaints = once([...found.flatMap((each) => each.complaints), ...compared.complaints]);
  const warnings = once([...found.flatMap((each) => each.warnings ?? []), ...compared.warnings]);
  if (isJson) world.out(JSON.stringify({ ok: complaints.length === 0, complaints, warnings }));
  else {
    const sound = found.flatMap(({ is, complaints: { length } }, index) =>
      length === 0 ? [`${given[index]}: ${is}`] : [],
    );
    for (const line of [...sound, ...complaints, ...warnings]) world.out(line);
  }
  return complaints.length === 0 ? EXIT.ok : EXIT.configuration;
}

/** The whole path of a file of the command line, which is relative to the folder of this process. */
function absoluteOf(world: FileWorld, file: string): string {
  return world.besideConfig(file, file.slice(file.lastIndexOf('/') + 1));
}

/**
 * Lines that begin with a place in a file, each fault once: a file of the command line may be named by a whole path,
 * too.
 */
function onceEach(world: FileWorld, files: readonly string[], lines: readonly string[]): string[] {
  const whole = (line: string) => {
    const file = files.find((each) => line.startsWith(`${each}:`));
    return file === undefined ? line : absoluteOf(world, file) + line.slice(file.length);
  };
  return [...new Map([...lines].reverse().map((line) => [whole(line), line])).values()].reverse();
}

/** What a file is, and what is wrong with it. */
export interface Checked {
  /** What it is, when there are no complaints. */
  readonly is: string;
  readonly complaints: readonly string[];
  readonly warnings?: readonly string[];
  /** Of a daemon's configuration: what is compared with others. */
  readonly daemon?: Daemon;
}

/** A file is taken for the kind that knows most of its keys, and else for that of which the fewest things are wrong. */
export function checked(world: ConfigFiles, file: string, text: string): Checked {
  const value: unknown = parseConfig(file, text);
  if (isKeyFile(value)) return checkedKeys(world, file, text);
  const wrongness = [BUNDLE_FILE_SCHEMA, AGENT_SCHEMA, HOST_SCHEMA].map((schema) => {
    const faults = faultsOf(schema, value);
    return faults.filter(({ at }) => at === 'key').length * KEY_WEIGHT + faults.length;
  });
  const kind = wrongness.indexOf(Math.min(...wrongness));
  if (kind === 1) {
    const config = readConfig(AGENT_SCHEMA, file, text);
    const { complaints } = followAgent(file, text, config, world);
    const warnings = complaints.length === 0 ? warnAgent(file, text, config, world) : [];
    const daemon = { ...readFiles(world, file, text, config), party: config.vm, agent: config };
    return { is: 'a sound configuration of baton-agent', complaints, warnings, daemon };
  }
  if (kind === 2) {
    const config = readConfig(HOST_SCHEMA, file, text);
    const complaints = followHost(file, text, config, world);
    const warnings = complaints.length === 0 ? warnHost(file, text, config, world) : [];
    const daemon = { ...readFiles(world, file, text, config), party: HOST, host: config };
    return { is: 'a sound configuration of baton-host', complaints, warnings, daemon };
  }
  const names = readBundleFile(file, text).map(({ id }) => id);
  return { is: `a sound bundle file: ${names.join(', ')}`, complaints: [] };
}

/** What a configuration names, where it can be read: what is wrong with it was told already. */
function readFiles(
  world: ConfigFiles,
  file: string,
  text: string,
  { keys, bundles }: { readonly keys: string; readonly bundles: string },
): Pick<Daemon, 'file' | 'text' | 'keys' | 'bundles' | 'beside'> {
  const beside = (path: string) => world.besideConfig(file, path);
  const read = <T>(path: string, parse: (file: string, text: string) => T): T | undefined => {
    try {
      return parse(path, world.readText(path));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return undefined;
    }
  };
  return {
    file,
    text,
    beside,
    keys: read(beside(keys), (path, found) => readConfig(KEYS_SCHEMA, path, found)),
    bundles: read(beside(bundles), readBundleFile),
  };
}

/**
 * A key file has texts, and no key of a configuration or bundle file: whatever else is wrong with it, its names and
 * values are not shown.
 */
function isKeyFile(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const known = [BUNDLE_FILE_SCHEMA, AGENT_SCHEMA, HOST_SCHEMA].flatMap(({ properties }) =>
    Object.keys(properties),
  );
  const texts = Object.values(value).filter((text) => typeof text === 'string');
  return texts.length > 0 && !Object.keys(value).some((key) => known.includes(key));
}

function checkedKeys(world: ConfigFiles, file: string, text: string): Checked {
  const names = Object.keys(readConfig(KEYS_SCHEMA, file, text));
  const { mode = 0 } = world.look(file) ?? {};
  const isOpen = (mode & 0o077) !== 0;
  const found = mode.toString(8).padStart(4, '0');
  return {
    is: `a sound key file: ${names.join(', ')}`,
    complaints: isOpen
      ? [`${file}: others may read it (mode ${found}): expected 0600; do chmod 600 ${file}`]
      : [],
  };
}

export const CHECK_CONFIG: Verb<FileWorld> = {
  says: 'check configuration files',
  help: HELP,
  alone: checkConfig,
};
