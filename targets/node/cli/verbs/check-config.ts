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
addresses), bundle files and key files. The daemons do the same checks when they start. Each complaint gives file, line
and column; a probable omission is a warning. Several configurations of one machine are also compared with each other:
keys and bundles, names, addresses and brokers. Exit status: 78 if there is a complaint.

  --json  one object: ok, complaints, warnings
`;

/** Weight of an unknown key in the choice of a file's kind: more than all other faults together. */
const KEY_WEIGHT = 1_000;

export function checkConfig(world: FileWorld, args: readonly string[]): number {
  const { plain, flags } = parseWords(args, {});
  const isJson = flags.has('--json');
  if (plain.length === 0) throw new UsageError('check-config takes at least one FILE');
  // A file is checked once, however its path is written.
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
  // Two configurations, or a configuration and the command line, may name the same file.
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

/** Returns the absolute path of a file of the command line. */
function absoluteOf(world: FileWorld, file: string): string {
  return world.besideConfig(file, file.slice(file.lastIndexOf('/') + 1));
}

/**
 * Lines that begin with a place in a file, each fault once: a configuration may name a file of the command line by its
 * absolute path.
 */
function onceEach(world: FileWorld, files: readonly string[], lines: readonly string[]): string[] {
  const whole = (line: string) => {
    const file = files.find((each) => line.startsWith(`${each}:`));
    return file === undefined ? line : absoluteOf(world, file) + line.slice(file.length);
  };
  return [...new Map([...lines].reverse().map((line) => [whole(line), line])).values()].reverse();
}

/** What a file is, and its complaints. */
export interface Checked {
  /** Description of a file without complaints. */
  readonly is: string;
  readonly complaints: readonly string[];
  readonly warnings?: readonly string[];
  /** For a daemon's configuration: the parts that are compared with others. */
  readonly daemon?: Daemon;
}

/** Chooses the kind of a file: the one that knows most of its keys, then the one with the fewest faults. */
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

/** Reads the files that a configuration names, as far as possible; their faults were reported already. */
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
 * A file counts as a key file if it has texts as values and no key of a configuration or bundle file. Complaints about
 * it show neither its names nor its values, whatever else is wrong with it.
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
