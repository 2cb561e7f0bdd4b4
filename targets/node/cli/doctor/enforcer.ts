/** Checks of the enforcer: it answers, its evidence is enough for borrowers, and it keeps the contract. */

import type { Json } from '../../../../src/common/lines.ts';
import type { HostFile } from '../../../../src/config/host-config.ts';
import { EVIDENCE_LEVELS } from '../../../../src/core/protocol/codes.ts';
import { vmId } from '../../../../src/core/protocol/ids.ts';
import { openCommandEnforcer } from '../../../../src/edges/enforcer/kinds/command/command-enforcer.ts';
import { enforcerKindOf } from '../../../../src/edges/enforcer/kinds.ts';
import type { EnforcerDescription } from '../../../../src/ports/enforcer.ts';
import { runLineCommand } from '../../host/run-line.ts';
import { conformanceOf } from '../verbs/enforcer-test.ts';
import { type Check, fault, ok, skipped } from './check.ts';
import { within } from './machine.ts';
import { answered, type Subject } from './subject.ts';

/** Time that the program of an enforcer has for its description, in ms, unless the configuration says otherwise. */
const DESCRIBE_MS = 2_500;
/** Longest run of the conformance suite, in ms: some 100 orders, each of up to half a second. */
const CONFORMANCE_MS = 60_000;

type Described = EnforcerDescription | { readonly error: string } | { readonly why: string };

/** The program that is asked for a description; undefined: another kind. */
function programOf({ enforcer }: HostFile): { command: readonly string[]; limitMs?: number } | undefined {
  if (enforcer.kind === 'command') return enforcer;
  if (enforcer.kind === 'trusted-touch' && enforcer.incarnations.kind === 'command')
    return enforcer.incarnations;
  return undefined;
}

/**
 * Returns the enforcer's description. It is asked only while no host runs: what it has to report goes with the first
 * answer, whoever asks.
 */
function described(subject: Subject): Promise<Described> {
  return subject.once('enforcer', async () => {
    const config = subject.daemon.host!;
    if (answered(await subject.status())) return { why: 'the running host has it open' };
    const program = programOf(config);
    if (!program) return { why: `of kind ${config.enforcer.kind}, which only the host or --enforcer opens` };
    const [name = '', ...args] = program.command;
    const command = [name.includes('/') ? subject.daemon.beside(name) : name, ...args];
    return new Promise<Described>((resolve) =>
      openCommandEnforcer(
        subject.daemon.bundles ?? [],
        runLineCommand(command, program.limitMs ?? DESCRIBE_MS),
        (result) => {
          if (!result.ok) return resolve({ error: result.error });
          result.enforcer.close();
          resolve(result.enforcer.describe());
        },
      ),
    );
  });
}

const ANSWERS: Check = {
  name: 'enforcer-answers',
  of: 'host',
  run: async (subject) => {
    const { kind } = subject.daemon.host!.enforcer;
    const description = await described(subject);
    if ('why' in description) return skipped(kind, description.why);
    if (!('error' in description)) return ok(kind, `${description.name}, evidence ${description.evidence}`);
    return fault(
      kind,
      description.error,
      'a description, as docs/PLATFORMS.md has it',
      `echo '{"hello":1}' | ${programOf(subject.daemon.host!)!.command[0]}; chmod +x, or mend what it prints`,
    );
  },
};

const EVIDENCE: Check = {
  name: 'evidence-enough',
  of: 'both',
  run: async (subject) => {
    const status = await subject.status();
    const views = answered(status) ? ((status['bundles'] ?? []) as readonly Json[]) : [];
    const told = views.flatMap(({ bundle, evidence }) =>
      typeof evidence === 'string' ? [{ about: String(bundle), evidence }] : [],
    );
    if (told.length === 0 && subject.isHost) {
      const description = await described(subject);
      if ('evidence' in description) told.push({ about: description.name, evidence: description.evidence });
    }
    if (told.length === 0) return skipped('evidence', 'nobody says what the enforcer proves');
    return told.flatMap(({ about, evidence }) => judged(subject.may.minEvidence, about, evidence));
  },
};

function judged(asked: string, about: string, evidence: string) {
  const levelOf = (level: string) => (EVIDENCE_LEVELS as readonly string[]).indexOf(level);
  if (levelOf(evidence) >= levelOf(asked)) return ok(about, evidence);
  return fault(
    about,
    evidence === 'none' ? 'none: NO ISOLATION' : evidence,
    `${asked}, which borrowers ask for`,
    `an enforcer that proves more (docs/PLATFORMS.md); or, where that is enough, ` +
      `--min-evidence ${evidence} with borrow and doctor`,
  );
}

/** It moves a bundle, so it is done only when asked for, and with the host stopped. */
const CONFORMS: Check = {
  name: 'enforcer-conforms',
  of: 'host',
  run: async (subject) => {
    const { daemon, machine } = subject;
    const { kind } = daemon.host!.enforcer;
    if (!subject.may.enforcer)
      return skipped(kind, 'it moves a bundle: --enforcer runs it, with the host stopped');
    if (answered(await subject.status())) return skipped(kind, 'the host runs: stop it first');
    const [bundle] = daemon.bundles ?? [];
    if (!bundle) return skipped(kind, 'there is no bundle');
    const named = (enforcerKindOf(daemon.host!.enforcer).vms?.(daemon.host!.enforcer) ?? []).map(
      ({ vm }) => vm,
    );
    const other = [...named, ...subject.peers].find((vm) => vm !== bundle.owner) ?? 'other';
    const vms = [bundle.owner, vmId(other)] as const;
    const run = conformanceOf(daemon.file, daemon.host!, daemon.bundles!, bundle, vms);
    const { results } = await within(machine, CONFORMANCE_MS, `not done in ${CONFORMANCE_MS} ms`, run);
    const failed = results.filter(({ verdict }) => verdict === 'fail');
    if (failed.length === 0) return ok(kind, `${results.length} checks of its contract, none failed`);
    return failed.flatMap(({ name, text }) =>
      fault(
        kind,
        `${name}: ${text}`,
        'an enforcer that keeps its contract',
        `baton enforcer-test ${daemon.file} --other ${other}; docs/PLATFORMS.md`,
      ),
    );
  },
};

/** Every check of the enforcer. */
export const ENFORCER_CHECKS: readonly Check[] = [ANSWERS, EVIDENCE, CONFORMS];
