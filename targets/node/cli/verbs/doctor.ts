/** `baton doctor`: looks for what goes wrong in practice, live, and says what mends it. */

import { type OptionTable, parseWords } from '../../../../src/cli/arguments.ts';
import type { Verb } from '../../../../src/cli/verb.ts';
import { type CliWorld, EXIT, table, UsageError } from '../../../../src/cli/world.ts';
import { nearest } from '../../../../src/common/near.ts';
import { EVIDENCE_LEVELS } from '../../../../src/core/protocol/codes.ts';
import { CHECK_NAMES, examine, type Line } from '../doctor/checks.ts';
import { MACHINE, type Machine } from '../doctor/machine.ts';
import { readSubjects } from '../doctor/subject.ts';
import type { FileWorld } from '../world.ts';

const HELP = `baton doctor [CONFIG...] [--dial] [--enforcer] [--no-try] [--min-evidence LEVEL] [--only CHECK] [--json]

Looks for what goes wrong in practice, and observes it: broker, login, access list, keys, daemons, clocks, driver hooks,
devices, units, disk, enforcer. CONFIG: configurations of agents and of the host, as on this machine; without one those
in /etc/baton. Given several it compares them. Each line is a check: what was found, what was expected, what mends it.
Run it as the user of the daemons, or as root. It borrows nothing. Attributes of hooks are written and put back only
where this VM owns the bundle, has it and nothing goes on.
  --dial          connect to the host where no agent says whether it can be reached
  --enforcer      run the conformance suite of the enforcer: it moves a bundle; the host must be stopped
  --no-try        write no attribute
  --min-evidence  the least evidence that borrowers ask for: none, asserted, observed (the default) or attested
  --only          make this check alone; may be given several times
  --json          one object: ok, counts, checks
Exit status: 1 when there is a fault, 78 when a CONFIG cannot be read.
`;

/** Where the configurations of a machine are, when none is named. */
const DEFAULTS = ['/etc/baton/host.json', '/etc/baton/agent.json'];
const OPTIONS: OptionTable = {
  '--dial': 'flag',
  '--enforcer': 'flag',
  '--no-try': 'flag',
  '--min-evidence': 'value',
  '--only': 'list',
};
const ORDER = ['fault', 'ok', 'skipped'] as const;

/** Runs the checks. Throws a ConfigError when a configuration cannot be read, a UsageError without any. */
export async function doctor(world: FileWorld, args: readonly string[]): Promise<number> {
  return doctorOn({ ...MACHINE, onSignal: (listener) => world.onSignal(() => listener()) }, world, args);
}

/** The same on any machine. */
export async function doctorOn(
  machine: Machine,
  world: Pick<CliWorld, 'out'>,
  args: readonly string[],
): Promise<number> {
  const { plain, flags, values, lists } = parseWords(args, OPTIONS);
  const only = lists.get('--only') ?? CHECK_NAMES;
  const unknown = only.find((name) => !CHECK_NAMES.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`--only ${unknown}: no check${nearest(unknown, CHECK_NAMES)}`);
  const minEvidence = values.get('--min-evidence') ?? 'observed';
  if (!EVIDENCE_LEVELS.some((level) => level === minEvidence))
    throw new UsageError(`--min-evidence ${minEvidence}: expected ${EVIDENCE_LEVELS.join(', ')}`);
  const files = plain.length > 0 ? plain : DEFAULTS.filter((file) => machine.files.look(file)?.isFile);
  if (files.length === 0)
    throw new UsageError(`no CONFIG is given, and there is none of ${DEFAULTS.join(', ')}`);
  const may = {
    dial: flags.has('--dial'),
    enforcer: flags.has('--enforcer'),
    tries: !flags.has('--no-try'),
    minEvidence,
  };
  const lines = await examine(readSubjects([...new Set(files)], machine, may), only);
  const counts = Object.fromEntries(
    ORDER.map((result) => [result, lines.filter((line) => line.result === result).length]),
  ) as Record<(typeof ORDER)[number], number>;
  const isWell = counts.fault === 0;
  if (flags.has('--json')) world.out(JSON.stringify({ ok: isWell, counts, checks: lines }));
  else {
    for (const line of textOf(lines)) world.out(line);
    world.out(
      `${counts.fault} fault${counts.fault === 1 ? '' : 's'}, ${counts.ok} ok, ${counts.skipped} skipped`,
    );
  }
  return isWell ? EXIT.ok : EXIT.failed;
}

/** A line each, faults first. */
function textOf(lines: readonly Line[]): readonly string[] {
  const sorted = ORDER.flatMap((result) => lines.filter((line) => line.result === result));
  return table(
    sorted.map((line) => {
      const about = line.party === undefined ? line.about : `${line.party}: ${line.about}`;
      return [line.result === 'fault' ? 'FAULT' : line.result, line.check, `${about}: ${sayingOf(line)}`];
    }),
  );
}

function sayingOf(line: Line): string {
  if (line.result === 'ok') return line.found;
  if (line.result === 'skipped') return line.why;
  return `${line.found}; expected: ${line.expected}; to mend it: ${line.mend}`;
}

export const DOCTOR: Verb<FileWorld> = {
  says: 'find what is wrong, live',
  help: HELP,
  alone: doctor,
  isWrapped: true,
};
