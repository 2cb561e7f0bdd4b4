/** Bugs of the host service: phases, incarnations of VMs, faults, table and audit log. */

import type { Mutant } from './sources.ts';

const HOST = 'test/core/protocol/requirements-host.test.ts';
const ENDPOINT = 'test/core/host/host-endpoint.test.ts';
const LIVES = 'test/drivers/host/incarnations.test.ts';
const REMAP = 'test/core/host/remap.test.ts';
const UNWRITTEN = 'test/drivers/host/unwritten.test.ts';
const TABLE = 'test/drivers/host/table.test.ts';

const RENEWAL = 'test/core/protocol/renewal.test.ts';

export const HOST_MUTANTS: readonly Mutant[] = [
  {
    name: 'a consent serves another request',
    find: "if (claims.requestId !== input.message.requestId) return 'consentInvalid';",
    replace: '',
    breaks: 'R97',
    caughtBy: 'test/core/protocol/agreed.test.ts',
  },
  {
    name: 'a consent for a renewal lends',
    find: 'if (claims.use !== use || claims.renewal !== renewal || claims.leaseMs === 0)',
    replace: 'if (claims.leaseMs === 0)',
    breaks: 'R97, R118',
    caughtBy: ['test/core/protocol/agreed.test.ts', RENEWAL],
  },
  {
    name: 'a renewal is carried out as often as it is repeated',
    find: 'const isMade = (x: Seen) => leaseOf(x)?.renewal === x.input.message.renewal;',
    replace: 'const isMade = (x: Seen) => leaseOf(x)?.renewal === x.input.message.renewal + 1_000;',
    breaks: 'R118: a borrower whose answers are lost is refused',
    caughtBy: RENEWAL,
  },
  {
    name: 'a lease is renewed although its return has begun',
    find: "if (state.holder.ending) return 'tooLate';",
    replace: '',
    breaks: 'M8, R118',
    caughtBy: RENEWAL,
  },
  {
    name: 'a renewal lasts longer than the owner allowed',
    find: "if (message.renewal !== wanted.renewal || consent.claims.leaseMs > message.leaseMs) return 'consentTerms';",
    replace: '',
    breaks: 'R118: the policy bounds nothing',
    caughtBy: RENEWAL,
  },
  {
    name: 'a renewal counts from the grant',
    find: 'const lease = { ...before, leaseMs: pastMs + claims.leaseMs, renewal: claims.renewal };',
    replace: 'const lease = { ...before, leaseMs: claims.leaseMs, renewal: claims.renewal };',
    breaks: 'R118: a renewed lease ends early',
    caughtBy: RENEWAL,
  },
  {
    name: 'an owner renews without its policy',
    find: 'guard: ({ state, input }) => input.decision.allow && state.renewal?.number === input.request,',
    replace: 'guard: ({ state }) => state.renewal !== undefined,',
    breaks: 'R117',
    caughtBy: RENEWAL,
  },
  {
    name: 'a borrower takes the answer of another renewal',
    find: 'guard: (x) => isOfLease(x) && x.input.message.renewal === x.state.renewals + 1,',
    replace: 'guard: isOfLease,',
    breaks: 'R115: it counts renewals that were not made',
    caughtBy: RENEWAL,
  },
  {
    name: 'renewals have no bound in all',
    find: 'if (heldMs > 0 && heldMs + leaseMs > totalMaxMs)',
    replace: 'if (heldMs < 0)',
    breaks: 'R117, M7: a borrower keeps the bundle for good',
    caughtBy: RENEWAL,
  },
  {
    name: '(a) an exit acknowledged by the first of several bundles',
    find: 'if (own.length === 0 || own.some(({ bundles }) => bundles.length > 0)) return;',
    replace:
      'if (own.length === 0 || own.every(({ bundles }) => bundles.length === this.#configs.size)) return;',
    breaks: 'M5: memory is freed in reach of the other bundle',
    caughtBy: LIVES,
  },
  {
    name: '(j) fence and grant order reversed: registers first',
    find: "byKind(bundle, ['interrupt', 'stream', 'mmio'])",
    replace: "byKind(bundle, ['mmio', 'stream', 'interrupt'])",
    breaks: 'the old holder is signalled what it can no longer stop',
    caughtBy: REMAP,
  },
  {
    name: '(j) fence and grant order reversed: interrupts first',
    find: "...byKind(bundle, ['stream', 'mmio', 'interrupt'])",
    replace: "...byKind(bundle, ['interrupt', 'mmio', 'stream'])",
    breaks: 'the new holder is signalled what it cannot reach',
    caughtBy: REMAP,
  },
  {
    name: '(k) the start of a VM not held back',
    find: 'if (isHeld) continue;',
    replace: '',
    breaks: 'a VM runs while its bundle is on the way to it',
    caughtBy: LIVES,
  },
  {
    name: '(l) a session kept after its VM’s exit',
    find: "this.#do({ do: 'forget', vm });",
    replace: '',
    breaks: 'S4: the next run speaks in the session of the last',
    caughtBy: LIVES,
  },
  {
    name: '(m) faults of a grant booked on the old holder',
    find: "if (attempt?.from && attempt.phase !== 'grant') return",
    replace: 'if (attempt?.from) return',
    breaks: 'R74: what is unsure is booked on nobody',
    caughtBy: LIVES,
  },
  {
    name: '(m) faults fetched at the end of the grant',
    find: "const fetchesFaults = phase === 'settle' || phase === 'clean';",
    replace: "const fetchesFaults = phase !== 'fence';",
    breaks: 'R74',
    caughtBy: LIVES,
  },
  {
    name: 'faults not fetched when the fence is settled',
    find: "const fetchesFaults = phase === 'settle' || phase === 'clean';",
    replace: "const fetchesFaults = phase === 'clean';",
    breaks: 'R74: they are booked on the next holder',
    caughtBy: LIVES,
  },
  {
    name: 'a fault after lost ones is booked all the same',
    find: 'if (fault.lost) return { fault, epoch };',
    replace: '',
    breaks: 'R74',
    caughtBy: LIVES,
  },
  {
    name: 'a VM starts before its incarnation is recorded',
    find: 'if (!this.state.areVmsRecorded) return;',
    replace: '',
    breaks: 'S4: two incarnations of one number',
    caughtBy: UNWRITTEN,
  },
  {
    name: 'an epoch that is not reserved is used',
    find: 'if (epoch > state.epochMax) throw new NoEpochLeft(config.bundle, epoch, state.unwritable);',
    replace: '',
    breaks: 'S4: the next start uses it again',
    caughtBy: [HOST, UNWRITTEN],
  },
  {
    name: 'a reservation that could not be written is kept',
    find: 'const state: HostState = { ...x.state, reservation: undefined, unwritable: x.input.fault };',
    replace: 'const state: HostState = { ...x.state, unwritable: x.input.fault };',
    breaks: 'S4: lent under an epoch of which no record knows',
    caughtBy: [HOST, UNWRITTEN],
  },
  {
    name: 'a grant that reads back as another’s counts',
    find: 'const wrong = resources.find((_, i) => inspected[i]!.reach !== to);',
    replace: "const wrong = resources.find((_, i) => inspected[i]!.reach === 'blocked');",
    breaks: 'S2: evidence of what is not so',
    caughtBy: REMAP,
  },
  {
    name: 'fewer answers than calls are enough',
    find: 'if (answers.length !== calls.length) {',
    replace: 'if (answers.length > calls.length) {',
    breaks: 'S3: a phase counts as done that was not',
    caughtBy: REMAP,
  },
  {
    name: 'one idle device is enough',
    find: 'idle: good.every((answer) => answer.idle !== false)',
    replace: 'idle: good.some((answer) => answer.idle !== false)',
    breaks: 'S6: DMA under way lands at the next holder',
    caughtBy: REMAP,
  },
  {
    name: 'a mixed read-back counts as the first',
    find: "return all.size === 1 ? [...all][0]! : 'mixed';",
    replace: 'return [...all][0]!;',
    breaks: 'S7',
    caughtBy: REMAP,
  },
  {
    name: 'an unknown read-back is left out',
    find: "if (all.has('unknown') || all.size === 0) return 'unknown';",
    replace: "if (all.size === 0) return 'unknown'; all.delete('unknown');",
    breaks: 'S7',
    caughtBy: REMAP,
  },
  {
    name: 'a reset that clears nothing is proved',
    find: ".filter((device) => device.residualStates.every((residualState) => residualState.clearedBy === 'reset'))",
    replace: '.filter((device) => device.residualStates.length >= 0)',
    breaks: 'S6: evidence of what is not so',
    caughtBy: REMAP,
  },
  {
    name: 'incarnations are counted anew after a reboot',
    find: 'incarnations: { ...record?.incarnations },',
    replace: 'incarnations: isSameBoot ? { ...record.incarnations } : {},',
    breaks: 'S4: an old consent is good again',
    caughtBy: 'test/core/host/registry.test.ts',
  },
  {
    name: 'a VM that runs after a reboot is in its old life',
    find: 'const before = isSameBoot ? record.running : [];',
    replace: 'const before = record ? record.running : [];',
    breaks: 'S4, M6',
    caughtBy: 'test/core/host/registry.test.ts',
  },
  {
    name: 'a block that was written reserves nothing',
    find: "this.#feed(bundle, { on: 'epochsReserved', to: bounds.epochs as Epoch, nowMs });",
    replace: 'continue;',
    breaks: 'liveness: the host ends at the last epoch of its first block',
    caughtBy: ENDPOINT,
  },
  {
    name: 'what is not durable counts as reserved',
    find: 'const next = boundsAt(bounds.tableId, bounds.machineBoot, epoch, incarnation);',
    replace:
      'const next = boundsAt(bounds.tableId, bounds.machineBoot, epoch, incarnation);\n' +
      'for (const each of this.#configs.keys())\n' +
      "this.#feed(each, { on: 'epochsReserved', to: next.epochs as Epoch, nowMs: 0 });",
    breaks: 'S4: an epoch is used twice after a power cut',
    caughtBy: [ENDPOINT, UNWRITTEN],
  },
  {
    name: 'a start goes on at the epoch of the record',
    find: 'const epoch = Math.max(from, recorded) as Epoch;',
    replace: 'const epoch = recorded as Epoch;',
    breaks: 'S4: epochs that were used without a record are used again',
    caughtBy: [HOST, UNWRITTEN],
  },
  {
    name: 'a record with a wrong field is believed',
    find: 'return fields.find(([name, check]) => !check((value as Record<string, unknown>)[name]))?.[0];',
    replace:
      'return fields.find(([name, check]) => !check((value as Record<string, unknown>)[name]) && name < "b")?.[0];',
    breaks: 'S8: a damaged table is not repaired by guessing',
    caughtBy: TABLE,
  },
  {
    name: 'the audit chain is not checked',
    find: 'if (this.lines > 1 && link.previous !== this.hash)',
    replace: 'if (this.lines > 1 && link.previous === link.hash)',
    breaks: 'the audit log shows what was put in or taken out',
    caughtBy: 'test/core/host/audit.test.ts',
  },
  {
    name: 'the hash of an audit line is not checked',
    find: /if \(hex\(sha256\(asciiBytes\(`[^`]*`\)\)\) !== hash\)/,
    replace: 'if (hash.length === 0)',
    breaks: 'the audit log shows what was changed',
    caughtBy: 'test/core/host/audit.test.ts',
  },
  {
    name: 'audit lines are forgotten when they cannot be written',
    find: "this.#complain('audit', (error as Error).message); this.#later();",
    replace: "this.#entries = []; this.#complain('audit', (error as Error).message); this.#later();",
    breaks: 'the audit log is whole, or says what it lost',
    caughtBy: ['test/drivers/host/host-writer.test.ts', UNWRITTEN],
  },
  {
    name: 'a VM fills the audit log',
    find: 'if (!this.#shares.take(cause, entry, this.#parts.clock.nowMs())) return this.#leftOutLater();',
    replace: '',
    breaks: 'S8: growth without bound',
    caughtBy: 'test/core/host/audit-share.test.ts',
  },
  {
    name: 'a timestamp token of another boot counts',
    find: /sameBytes\(hostTime\.subarray\(0, BOOT_PART_BYTES\), bootId\.subarray\(0, BOOT_PART_BYTES\)\)/,
    replace: 'hostTime.length === 16',
    breaks: 'M1: a consent outlives the host’s boot',
    caughtBy: 'test/core/host/host-time.test.ts',
  },
  {
    name: 'faults reported without a pause',
    find: 'if (kind && nowMs < kind.nextMs) {',
    replace: 'if (kind && nowMs < kind.nextMs - REPORT_EVERY_MS) {',
    breaks: 'M10, S8',
    caughtBy: 'test/core/host/audit-share.test.ts',
  },
];
