/**
 * The conformance suite for every enforcer, including vendors' ones; `baton enforcer-test` runs it.
 *
 * It moves one bundle between two running VMs through the Enforcer port and checks what the enforcer declares: an
 * undeclared capability is `not-claimed`, never a failure. If the caller can access the device from inside a VM,
 * `probe` checks real accesses instead of the enforcer's answers.
 */

import { type BundleDefinition, resourcesOf } from '../../core/protocol/bundle.ts';
import type { ResourceId, VmId } from '../../core/protocol/ids.ts';
import type { Enforcer, EnforcerAnswer, EnforcerCall, FaultRecord } from '../../ports/enforcer.ts';

/** Verdict of one check. `text`: what was seen, or why it is not claimed. */
export interface CheckResult {
  readonly name: string;
  readonly verdict: 'pass' | 'fail' | 'not-claimed';
  readonly text: string;
}

/** Real accesses from inside a VM. */
export interface AccessProbe {
  /** Accesses a register resource as `vm`'s driver would. Returns whether the device answered. */
  touch(vm: VmId, resource: ResourceId): boolean;
}

export interface ConformanceOptions {
  readonly enforcer: Enforcer;
  readonly bundle: BundleDefinition;
  /** Two running VMs, the bundle's owner first. */
  readonly vms: readonly [VmId, VmId];
  readonly probe?: AccessProbe;
}

/** Number of `drained` calls before a device counts as never idle. */
export const DRAINED_ASKS_MAX = 1000;

/** Runs every check in order on an unused bundle, leaves it blocked, and passes on the verdicts. */
export function runConformance(
  options: ConformanceOptions,
  done: (results: readonly CheckResult[]) => void,
): void {
  const bench = new Bench(options);
  const results: CheckResult[] = [];
  const next = (index: number): void => {
    const check = CHECKS[index];
    if (check === undefined) {
      done(results);
      return;
    }
    const missing = check.needs?.(options);
    if (missing !== undefined) {
      results.push({ name: check.name, verdict: 'not-claimed', text: missing });
      next(index + 1);
      return;
    }
    check.run(bench, (fault) => {
      results.push({
        name: check.name,
        verdict: fault === undefined ? 'pass' : 'fail',
        text: fault ?? 'as it should',
      });
      next(index + 1);
    });
  };
  next(0);
}

/** Names of all checks, in the order they run. */
export function conformanceChecks(): readonly string[] {
  return CHECKS.map(({ name }) => name);
}

/** Ends a check, with the fault if there was one. */
type Verdict = (fault: string | undefined) => void;

interface Check {
  readonly name: string;
  /** Returns why the check does not apply, or undefined. */
  readonly needs?: (options: ConformanceOptions) => string | undefined;
  readonly run: (bench: Bench, verdict: Verdict) => void;
}

/** Calls that checks consist of. */
class Bench {
  readonly options: ConformanceOptions;
  readonly resources: readonly ResourceId[];

  constructor(options: ConformanceOptions) {
    this.options = options;
    this.resources = resourcesOf(options.bundle).map(({ id }) => id);
  }

  run(calls: readonly EnforcerCall[], done: (answers: readonly EnforcerAnswer[]) => void): void {
    this.options.enforcer.run(this.options.bundle.id, calls, done);
  }

  /** Runs calls that must all succeed; fails the check otherwise. */
  must(
    calls: readonly EnforcerCall[],
    verdict: Verdict,
    then: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    this.run(calls, (answers) => {
      const last = answers[answers.length - 1];
      if (last !== undefined && !last.ok) verdict(`${calls[answers.length - 1]?.op}: ${last.error}`);
      else if (answers.length !== calls.length) verdict(`${answers.length} answers to ${calls.length} calls`);
      else then(answers);
    });
  }

  fence(): EnforcerCall[] {
    return this.resources.map((resource) => ({ op: 'fence', resource }));
  }

  grant(vm: VmId): EnforcerCall[] {
    return this.resources.map((resource) => ({ op: 'grant', resource, vm }));
  }

  /** Fence, settle, reset, drained, grant: as the host does. */
  move(vm: VmId, verdict: Verdict, then: () => void): void {
    const resets = this.options.bundle.devices.map(({ id }) => ({ op: 'reset', device: id }) as const);
    this.must([...this.fence(), { op: 'settle' }, ...resets], verdict, () => {
      this.idle(verdict, () => this.must(this.grant(vm), verdict, () => then()));
    });
  }

  /** Repeats `drained` until every device is idle. */
  idle(verdict: Verdict, then: () => void, asks = 0): void {
    const calls = this.options.bundle.devices.map(({ id }) => ({ op: 'drained', device: id }) as const);
    this.must(calls, verdict, (answers) => {
      if (answers.every((answer) => answer.ok && answer.idle === true)) then();
      else if (asks >= DRAINED_ASKS_MAX) verdict(`devices not idle after ${asks} questions`);
      else this.idle(verdict, then, asks + 1);
    });
  }

  /** Checks that every resource is reached as `want` says. */
  expectReach(want: VmId | 'blocked', verdict: Verdict, then: () => void): void {
    const calls = this.resources.map((resource) => ({ op: 'inspect', resource }) as const);
    this.must(calls, verdict, (answers) => {
      const wrong = answers.findIndex((answer) => answer.ok && answer.reach !== want);
      const seen = answers[wrong];
      if (seen === undefined) then();
      else verdict(`${this.resources[wrong]} is ${seen.ok ? seen.reach : seen.error}, should be ${want}`);
    });
  }

  /** Returns registers that a probe can access. */
  registers(): readonly ResourceId[] {
    return resourcesOf(this.options.bundle)
      .filter(({ kind }) => kind === 'mmio')
      .map(({ id }) => id);
  }
}

/** Expects the last answer to be a refusal whose error names the cause. */
function expectRefusal(answers: readonly EnforcerAnswer[], name: string, verdict: Verdict): void {
  const last = answers[answers.length - 1];
  if (last === undefined || last.ok) verdict('was carried out instead of refused');
  else if (!last.error.includes(name)) verdict(`the error does not name ${name}: ${last.error}`);
  else verdict(undefined);
}

const needsProbe = ({ probe }: ConformanceOptions): string | undefined =>
  probe === undefined ? 'nobody can touch the device from inside a VM here' : undefined;
const needsEvidence = ({ enforcer }: ConformanceOptions): string | undefined =>
  enforcer.describe().evidence === 'none' ? 'evidence none: nothing is isolated' : undefined;

function holdsFaultOf(records: readonly FaultRecord[], vm: VmId): boolean {
  return records.some((record) => record.by === 'cpu' && record.vm === vm && record.resource !== undefined);
}

const CHECKS: readonly Check[] = [
  {
    name: 'description is stable and complete',
    run: ({ options: { enforcer } }, verdict) => {
      const describe = () => JSON.stringify([enforcer.describe(), enforcer.machineBoot()]);
      const first = describe();
      const isStable = first === describe();
      verdict(isStable ? undefined : 'describe or machineBoot changes from call to call');
    },
  },
  {
    name: 'both VMs run',
    run: ({ options: { enforcer, vms } }, verdict) => {
      const absent = vms.find((vm) => !enforcer.running().includes(vm));
      verdict(absent === undefined ? undefined : `${absent} is not among the running VMs`);
    },
  },
  {
    name: 'an empty list of calls is answered by an empty list',
    run: (bench, verdict) =>
      bench.run([], (answers) => verdict(answers.length === 0 ? undefined : 'answers to no calls')),
  },
  {
    name: 'fence and settle block every resource',
    run: (bench, verdict) =>
      bench.must([...bench.fence(), { op: 'settle' }], verdict, () =>
        bench.expectReach('blocked', verdict, () => verdict(undefined)),
      ),
  },
  {
    name: 'fence and settle are idempotent',
    run: (bench, verdict) =>
      bench.must(
        [
          ...bench.fence(),
          ...bench.fence(),
          { op: 'settle' },
          { op: 'settle' },
          ...bench.fence(),
          { op: 'settle' },
        ],
        verdict,
        () => bench.expectReach('blocked', verdict, () => verdict(undefined)),
      ),
  },
  {
    name: 'a whole move makes every resource the new holder’s',
    run: (bench, verdict) =>
      bench.move(bench.options.vms[0], verdict, () =>
        bench.expectReach(bench.options.vms[0], verdict, () => verdict(undefined)),
      ),
  },
  {
    name: 'grant is idempotent',
    run: (bench, verdict) =>
      bench.must(bench.grant(bench.options.vms[0]), verdict, () =>
        bench.expectReach(bench.options.vms[0], verdict, () => verdict(undefined)),
      ),
  },
  {
    name: 'a grant to another VM without fence is refused',
    run: (bench, verdict) =>
      bench.run(bench.grant(bench.options.vms[1]), (answers) =>
        expectRefusal(answers, bench.resources[0]!, (fault) =>
          fault === undefined
            ? bench.expectReach(bench.options.vms[0], verdict, () => verdict(undefined))
            : verdict(fault),
        ),
      ),
  },
  {
    name: 'a grant after fence without settle is refused',
    needs: needsEvidence,
    run: (bench, verdict) =>
      bench.must(bench.fence(), verdict, () =>
        bench.run(bench.grant(bench.options.vms[1]), (answers) =>
          expectRefusal(answers, bench.resources[0]!, verdict),
        ),
      ),
  },
  {
    name: 'reset and drained are idempotent on a blocked device',
    needs: ({ enforcer }) => (enforcer.describe().capabilities.reset ? undefined : 'does not reset devices'),
    run: (bench, verdict) => {
      const resets = bench.options.bundle.devices.map(({ id }) => ({ op: 'reset', device: id }) as const);
      bench.must([...bench.fence(), { op: 'settle' }, ...resets, ...resets], verdict, () =>
        bench.idle(verdict, () => bench.idle(verdict, () => verdict(undefined))),
      );
    },
  },
  {
    name: 'the bundle moves to the second VM and back',
    run: (bench, verdict) => {
      const [owner, borrower] = bench.options.vms;
      bench.move(borrower, verdict, () =>
        bench.expectReach(borrower, verdict, () =>
          bench.move(owner, verdict, () => bench.expectReach(owner, verdict, () => verdict(undefined))),
        ),
      );
    },
  },
  {
    name: 'an unknown resource is refused by name',
    run: (bench, verdict) =>
      bench.run([{ op: 'fence', resource: 'nosuch.mmio0' as ResourceId }], (answers) =>
        expectRefusal(answers, 'nosuch.mmio0', verdict),
      ),
  },
  {
    name: 'an unknown device is refused by name',
    run: (bench, verdict) =>
      bench.run([{ op: 'drained', device: 'nosuch' as never }], (answers) =>
        expectRefusal(answers, 'nosuch', verdict),
      ),
  },
  {
    name: 'an unknown bundle is refused by name',
    run: ({ options }, verdict) =>
      options.enforcer.run('nosuch' as never, [{ op: 'settle' }], (answers) =>
        expectRefusal(answers, 'nosuch', verdict),
      ),
  },
  {
    name: 'a grant to a VM that does not run is refused by name',
    run: (bench, verdict) =>
      bench.must([...bench.fence(), { op: 'settle' }], verdict, () =>
        bench.run(bench.grant('nosuch' as VmId), (answers) => expectRefusal(answers, 'nosuch', verdict)),
      ),
  },
  {
    name: 'calls after a failed one are not carried out',
    run: (bench, verdict) => {
      const [owner] = bench.options.vms;
      const calls: EnforcerCall[] = [
        { op: 'fence', resource: 'nosuch.mmio0' as ResourceId },
        ...bench.grant(owner),
      ];
      bench.must([...bench.fence(), { op: 'settle' }], verdict, () =>
        bench.run(calls, (answers) => {
          if (answers.length !== 1) verdict(`${answers.length} answers, should be 1`);
          else bench.expectReach('blocked', verdict, () => verdict(undefined));
        }),
      );
    },
  },
  {
    name: 'the holder reaches the device, the other VM does not',
    needs: needsProbe,
    run: (bench, verdict) => {
      const [owner, borrower] = bench.options.vms;
      bench.move(borrower, verdict, () => {
        const wrong = bench.registers().find((id) => !bench.options.probe!.touch(borrower, id));
        const open = bench.registers().find((id) => bench.options.probe!.touch(owner, id));
        if (wrong !== undefined) verdict(`${borrower} holds ${wrong} and does not reach it`);
        else verdict(open === undefined ? undefined : `${owner} still reaches ${open}`);
      });
    },
  },
  {
    name: 'after fence and settle no VM reaches the device',
    needs: needsProbe,
    run: (bench, verdict) =>
      bench.must([...bench.fence(), { op: 'settle' }], verdict, () => {
        const { vms, probe } = bench.options;
        const open = vms.find((vm) => bench.registers().some((id) => probe!.touch(vm, id)));
        verdict(open === undefined ? undefined : `${open} reaches the blocked device`);
      }),
  },
  {
    name: 'a refused access is reported with VM and resource',
    needs: (options) =>
      options.enforcer.describe().capabilities.faultReport ? needsProbe(options) : 'does not report faults',
    run: (bench, verdict) => {
      const { enforcer, vms, probe } = bench.options;
      const register = bench.registers()[0];
      if (register === undefined) return verdict(undefined);
      enforcer.faults();
      probe!.touch(vms[0], register);
      const records = enforcer.faults();
      if (!holdsFaultOf(records, vms[0])) return verdict(`no record names ${vms[0]} and a resource`);
      verdict(enforcer.faults().length === 0 ? undefined : 'fetched records come again');
    },
  },
];
