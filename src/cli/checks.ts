/** `baton audit verify` and `check-config`: checks of files, without a daemon. */

import { readBundleFile } from '../config/bundle-file.ts';
import { AGENT_SCHEMA, HOST_SCHEMA } from '../config/daemon-config.ts';
import { ConfigError, readConfig } from '../config/read.ts';
import { verifyAudit } from '../host/audit.ts';
import { parseWords } from './arguments.ts';
import { type CliWorld, EXIT, UsageError } from './world.ts';

export const AUDIT_HELP = `baton audit verify FILE

Checks the hash chain of an audit log, and prints its last hash: compare it with a copy kept elsewhere, for a tail
that was cut off does not show in the chain alone.
`;
export const CHECK_CONFIG_HELP = `baton check-config FILE...

Checks configurations of agents and hosts, and bundle files. Each complaint names file, line and column.
`;

export function audit(world: CliWorld, args: readonly string[]): number {
  const { plain, flags } = parseWords(args, {});
  const [verb, file] = plain;
  if (verb !== 'verify' || file === undefined) throw new UsageError('audit verify takes one FILE');
  const check = verifyAudit(world.readText(file));
  if (flags.has('--json')) world.out(JSON.stringify(check));
  else if (check.ok) world.out(`${file}: ${check.lines} lines, chain intact, last hash ${check.hash}`);
  else world.out(`${file}:${check.line}: ${check.error}`);
  return check.ok ? EXIT.ok : EXIT.failed;
}

export function checkConfig(world: CliWorld, args: readonly string[]): number {
  const { plain } = parseWords(args, {});
  if (plain.length === 0) throw new UsageError('check-config takes at least one FILE');
  let worst: number = EXIT.ok;
  for (const file of plain) {
    try {
      world.out(`${file}: ${checked(file, world.readText(file))}`);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      world.out(error.message);
      worst = EXIT.configuration;
    }
  }
  return worst;
}

/** Which kind of file it is shows in its keys. */
function checked(file: string, text: string): string {
  if (/"enforcer"\s*:/.test(text)) {
    readConfig(HOST_SCHEMA, file, text);
    return 'a sound configuration of baton-host';
  }
  if (/"vm"\s*:/.test(text)) {
    readConfig(AGENT_SCHEMA, file, text);
    return 'a sound configuration of baton-agent';
  }
  const bundles = readBundleFile(file, text);
  return `a sound bundle file: ${bundles.map(({ id }) => id).join(', ')}`;
}
