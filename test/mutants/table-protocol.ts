/** Bugs of the protocol's three tables: host, owner, borrower. */

import type { Mutant } from './sources.ts';

const HOST = 'test/core/protocol/requirements-host.test.ts';
const AGENTS = 'test/core/protocol/requirements.test.ts';
const ATTACKS = 'test/core/protocol/attacks.test.ts';
const RETURNS = 'test/core/protocol/returns.test.ts';
const RESTARTS = 'test/core/protocol/restarts.test.ts';
const LATE = 'test/core/protocol/late-words.test.ts';
const SCENARIOS = 'test/scenarios/scenarios.test.ts';
const GUARDS = 'test/core/protocol/guards.test.ts';
const EVIDENCE = 'test/core/protocol/evidence.test.ts';
const LIVES = 'test/drivers/host/lives.test.ts';

export const PROTOCOL_MUTANTS: readonly Mutant[] = [
  {
    name: 'a consent of another epoch counts',
    find: "if (claims.epoch !== state.holder?.epoch) return 'consentStale';",
    replace: '',
    breaks: 'S5, M1',
    caughtBy: [HOST, ATTACKS],
  },
  {
    name: 'a consent of another life counts',
    find: "if (claims.incarnation !== state.running[input.message.borrower]) return 'consentStale';",
    replace: '',
    breaks: 'S5, M1',
    caughtBy: [HOST, ATTACKS],
  },
  {
    name: 'a consent that is too old counts',
    find: 'ageMs > claims.validMs)',
    replace: 'ageMs > 2 * claims.validMs)',
    breaks: 'S5, M1',
    caughtBy: [HOST, ATTACKS],
  },
  {
    name: 'a consent for another owner’s bundle counts',
    find: "if (claims.bundle !== config.bundle || claims.owner !== config.owner) return 'consentInvalid';",
    replace: "if (claims.bundle !== config.bundle) return 'consentInvalid';",
    breaks: 'S5',
    caughtBy: [HOST, ATTACKS],
  },
  {
    name: 'longer terms than the owner’s count',
    find: 'claims.leaseMs <= leaseMs && claims.minTenureMs',
    replace: 'claims.minTenureMs',
    breaks: 'S5: what the policy allowed',
    caughtBy: GUARDS,
  },
  {
    name: 'weaker evidence than consented to is enough',
    find: "if (!isEvidenceEnough(config.evidence, claims.evidence)) return 'evidenceTooWeak';",
    replace: '',
    breaks: 'S5',
    caughtBy: [HOST, SCENARIOS],
  },
  {
    name: 'a barred borrower is lent to',
    find: "if (state.rejections.some(({ vm }) => vm === message.borrower)) return 'barred';",
    replace: '',
    breaks: 'no ping-pong',
    caughtBy: [HOST, SCENARIOS],
  },
  {
    name: 'a lend of another reservation is carried out',
    find: 'holds(x.state, x.input.from) && x.state.reservation?.epoch === x.input.message.epoch,',
    replace: 'holds(x.state, x.input.from) && x.state.reservation !== undefined,',
    breaks: 'S4: a command of an old epoch acts',
    caughtBy: GUARDS,
  },
  {
    name: 'settled before clean is skipped',
    find: "act: (x) => advance(x, attemptOf(x.state), 'settle'),",
    replace: "act: (x) => advance(x, attemptOf(x.state), 'clean'),",
    breaks: 'S3',
    caughtBy: HOST,
  },
  {
    name: 'granted without a reset',
    find: "act: (x) => advance(unexposed(x), { ...attemptOf(x.state), settled: true }, 'clean'),",
    replace: "act: (x) => advance(unexposed(x), { ...attemptOf(x.state), settled: true }, 'grant'),",
    breaks: 'S6',
    caughtBy: [HOST, SCENARIOS],
  },
  {
    name: 'a busy device is granted',
    find: "return inPhase('clean')(x) && result.ok && result.idle === false && attemptOf(x.state).drainsLeft > 0;",
    replace:
      "return inPhase('clean')(x) && result.ok && result.idle === undefined && attemptOf(x.state).drainsLeft > 0;",
    breaks: 'liveness: a device that is idle a moment later ends in quarantine',
    caughtBy: [HOST, 'test/core/protocol/returns.test.ts'],
  },
  {
    name: 'a phase of an earlier attempt counts',
    find: 'state.attempt?.epoch === input.epoch && state.attempt.phase === input.phase;',
    replace: 'state.attempt?.phase === input.phase;',
    breaks: 'S3: an answer to what was given up',
    caughtBy: GUARDS,
  },
  {
    name: 'a failed fence ends as isolated',
    find: "return quarantine(x, phase === 'fence' ? 'fenceFailed' : 'settleFailed', false);",
    replace: "return quarantine(x, phase === 'fence' ? 'fenceFailed' : 'settleFailed', true);",
    breaks: 'S7: said to be isolated, and nobody knows',
    caughtBy: [HOST, SCENARIOS],
  },
  {
    name: 'an exit is let go of before the fence is settled',
    find: 'if (!attempt.settled) return exposed || isLife(attempt.from) || isLife(attempt.to);',
    replace: 'if (!attempt.settled) return exposed;',
    breaks: 'M5',
    caughtBy: LIVES,
  },
  {
    name: 'an exit is let go of while the machine is read back',
    find: "if (name === 'starting') return true;",
    replace: "if (name === 'starting') return false;",
    breaks: 'M5',
    caughtBy: GUARDS,
  },
  {
    name: 'after a restart nobody counts as exposed',
    find: 'const now = { epoch, epochMax, running, exposed: true } as const;',
    replace: 'const now = { epoch, epochMax, running, exposed: false } as const;',
    breaks: 'M5',
    caughtBy: [HOST, RESTARTS],
  },
  {
    name: 'a restart believes its record against the machine',
    find: 'if (holder && reach === holder.vm && isAlive(state, holder)) return holdOn(x, holder);',
    replace: 'if (holder && isAlive(state, holder)) return holdOn(x, holder);',
    breaks: 'S7',
    caughtBy: [HOST, RESTARTS],
  },
  {
    name: 'after a reboot the record is believed',
    find: 'if (rebooted) return fenceAtBoot({ ...x, state }, mayBeElsewhere(old, x.config.owner));',
    replace: '',
    breaks: 'M6: after a reboot nobody holds',
    caughtBy: [HOST, RESTARTS],
  },
  {
    name: 'an epoch is used twice',
    find: 'const epoch = plan.reserved ?? ((state.epoch + 1) as Epoch);',
    replace: 'const epoch = plan.reserved ?? state.epoch;',
    breaks: 'S4',
    caughtBy: HOST,
  },
  {
    name: 'an attempt begins without a record of its plan',
    find: 'record, ...runPhase(config, attempt), audit,',
    replace: '...runPhase(config, attempt), audit,',
    breaks: 'a host that is killed does not find out what was begun',
    caughtBy: [HOST, RESTARTS],
  },
  {
    name: 'a forced return is not kept dark',
    find: 'guard: attempt.forced,',
    replace: 'guard: false,',
    breaks: 'M9',
    caughtBy: [HOST, RETURNS, SCENARIOS],
  },
  {
    name: 'force within the minimum tenure',
    find: "if (tenureLeftMs <= 0) return startNotice(x, 'reclaim');",
    replace: "if (tenureLeftMs <= Number.MAX_VALUE) return startNotice(x, 'reclaim');",
    breaks: 'S5: what was consented to',
    caughtBy: [HOST, SCENARIOS],
  },
  {
    name: 'a release by somebody else',
    find: 'holds(state, input.from) && state.holder?.epoch === input.message.epoch;',
    replace: 'state.holder?.epoch === input.message.epoch;',
    breaks: 'S4: only its holder gives back',
    caughtBy: GUARDS,
  },
  {
    name: 'a release of an old epoch',
    find: 'holds(state, input.from) && state.holder?.epoch === input.message.epoch;',
    replace: 'holds(state, input.from);',
    breaks: 'S4, M4',
    caughtBy: [HOST, ATTACKS],
  },
  {
    name: 'a cancel after the point of no return',
    find: "attempt.cause === 'lend' && attempt.phase !== 'grant'",
    replace: "attempt.cause === 'lend'",
    breaks: 'the grant is the point of no return',
    caughtBy: [HOST, ATTACKS],
  },
  {
    name: 'a lost lease has no end',
    find: "...(lease ? [timer('lease', lease.leaseMs)] : []),",
    replace: '',
    breaks: 'L2',
    caughtBy: [HOST, SCENARIOS],
  },
  {
    name: 'a lift hands out at once',
    find: "const isForNobody = attempt.forced || (attempt.cause === 'lift' && !x.state.isOwnerWaiting);",
    replace: 'const isForNobody = attempt.forced;',
    breaks: 'M14: only to parked',
    caughtBy: [HOST, RETURNS],
  },
  {
    name: 'the borrower resumes without a look at the evidence',
    find: "findMismatch(x.config, state.incarnation, x.state.terms?.evidence ?? 'none', message);",
    replace: 'undefined as string | undefined;',
    breaks: 'S2',
    caughtBy: AGENTS,
  },
  {
    name: 'evidence of another life is enough',
    find: 'if (told.incarnation !== incarnation) return',
    replace: 'if (told.incarnation === undefined) return',
    breaks: 'S2',
    caughtBy: EVIDENCE,
  },
  {
    name: 'evidence without a resource is enough',
    find: /if \(!entry\) return `[^`]*is missing`;/,
    replace: 'if (!entry) continue;',
    breaks: 'S2, S7',
    caughtBy: EVIDENCE,
  },
  {
    name: 'evidence of more than the bundle is enough',
    find: /if \(more\) return `[^`]*is not expected`;/,
    replace: '',
    breaks: 'S2',
    caughtBy: EVIDENCE,
  },
  {
    name: 'evidence that tells a resource twice is enough',
    find: 'if (granted.length !== expected.length) return',
    replace: 'if (granted.length < expected.length) return',
    breaks: 'S2',
    caughtBy: EVIDENCE,
  },
  {
    name: 'a grant of an old epoch is taken',
    find: 'holds: (x) => isOurs(x) && x.input.message.epoch > x.state.epoch,',
    replace: 'holds: (x) => isOurs(x),',
    breaks: 'S2, S4',
    caughtBy: GUARDS,
  },
  {
    name: 'an overtaken resume counts',
    find: "input.hook === 'resume' && input.result.ok && !state.overtaken && !state.unwanted,",
    replace: "input.hook === 'resume' && input.result.ok && !state.unwanted,",
    breaks: 'S2: an overtaken resume is undone',
    caughtBy: [AGENTS, LATE],
  },
  {
    name: 'a borrower releases what it rejected',
    find: "toHost(rejected ? { kind: 'reject', ...word, what: rejected.what } : { kind: 'release', ...word }),",
    replace: "toHost({ kind: 'release', ...word }),",
    breaks: 'R86',
    caughtBy: [AGENTS, LATE],
  },
  {
    name: 'the owner lends what it could not suspend',
    find: "input.hook === 'suspend' && input.result.ok && !state.dropped && !state.overtaken,",
    replace: "input.hook === 'suspend' && !state.dropped && !state.overtaken,",
    breaks: 'the drivers are silent before the bundle goes',
    caughtBy: [AGENTS, SCENARIOS],
  },
  {
    name: 'the owner suspends for another consent',
    find: 'input.message.epoch > state.heldEpoch && isForRequest(state, input.message),',
    replace: 'input.message.epoch > state.heldEpoch,',
    breaks: 'S5',
    caughtBy: GUARDS,
  },
  {
    name: 'the policy’s answer to another request counts',
    find: '=> input.decision.allow && state.request?.number === input.request,',
    replace: '=> input.decision.allow,',
    breaks: 'S5: what the policy allowed',
    caughtBy: GUARDS,
  },
];
