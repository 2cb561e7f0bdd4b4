/** Bugs of agents, their hooks and journals, of configuration and planner. */

import type { Mutant } from './sources.ts';

const SENDERS = 'test/drivers/agent/senders.test.ts';
const AGENT = 'test/drivers/agent/agent.test.ts';
const SLEEP = 'test/core/agent/sleep.test.ts';
const NOTE = 'test/edges/hooks/note.test.ts';
const RUNS = 'test/edges/hooks/runs.test.ts';
const FORMAT = 'test/drivers/journal/format.test.ts';
const FILE = 'test/node/file-journal.test.ts';
const BUNDLES = 'test/config/bundle-file.test.ts';
const PLAN = ['test/planner/plan.test.ts', 'test/planner/plan-blockers.test.ts'];

export const AGENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'another agent speaks for the host',
    find: "if ((sender === 'host') !== (from === HOST)) return drop(",
    replace: "if (sender !== 'host' && from === HOST) return drop(",
    breaks: 'S2: only the host says who holds',
    caughtBy: SENDERS,
  },
  {
    name: 'somebody else declines for the owner',
    find: "if (sender === 'owner' && from !== config.definition.owner)",
    replace: "if (sender === 'owner' && from === HOST)",
    breaks: 'a third VM ends a request',
    caughtBy: SENDERS,
  },
  {
    name: 'an answer to an older question counts',
    find: 'const isOpen = question.open !== 0 && sameBytes(challenge, this.#challenge(question.open));',
    replace: 'const isOpen = true as boolean;',
    breaks: 'M6: freshness of what is reported',
    caughtBy: SENDERS,
  },
  {
    name: 'a note that cannot be written ends the hook',
    find: /const text = (?=`.*this record is skipped)/,
    replace: 'if (error) throw error; const text = ',
    breaks: 'liveness: a full disk keeps an agent from its hook',
    caughtBy: AGENT,
  },
  {
    name: 'policy: a purpose that is not on the list',
    find: 'const fitting = own.filter((rule) => !rule.purposes || rule.purposes.includes(purpose));',
    replace: 'const fitting = own.filter((rule) => !rule.purposes || rule.purposes.length > 0);',
    breaks: 'S5: what the owner allows',
    caughtBy: 'test/core/agent/policy.test.ts',
  },
  {
    name: 'policy: a lease that is too long',
    find: 'if (leaseMs > leaseMaxMs) return',
    replace: 'if (leaseMs > 2 * leaseMaxMs) return',
    breaks: 'S5',
    caughtBy: 'test/core/agent/policy.test.ts',
  },
  {
    name: 'policy: one refusal of several entries is enough',
    find: 'if (allowing.length === 0) return',
    replace: 'if (allowing.length < fitting.length) return',
    breaks: 'the list is the union of its entries',
    caughtBy: 'test/core/agent/policy.test.ts',
  },
  {
    name: 'sleep: lends while the VM falls asleep',
    find: 'if (!this.state.isAsleep) return',
    replace: 'if (this.state.isAsleep !== undefined) return',
    breaks: 'M11',
    caughtBy: SLEEP,
  },
  {
    name: 'sleep: asleep while something is lent',
    find: 'if (lent.length === 0) {',
    replace: 'if (lent.length >= 0) {',
    breaks: 'M11',
    caughtBy: SLEEP,
  },
  {
    name: 'sleep: a recall is said again and again',
    find: "if (name !== 'lent' || borrower === undefined || sleepRequest.recalled.includes(lease)) continue;",
    replace: "if (name !== 'lent' || borrower === undefined) continue;",
    breaks: 'its borrower has the grace anew each time',
    caughtBy: SLEEP,
  },
  {
    name: 'hooks: a step is changed before it is noted',
    find: 'if (fault !== undefined && isStrict)',
    replace: 'if (fault !== undefined && !isStrict)',
    breaks: 'M17: nothing undoes it after a crash',
    caughtBy: [NOTE, RUNS],
  },
  {
    name: 'hooks: the note of an earlier boot is believed',
    find: "if (note['boot'] !== boot) return new Map();",
    replace: '',
    breaks: 'M6: values of another boot are written',
    caughtBy: NOTE,
  },
  {
    name: 'hooks: what was found first is forgotten',
    find: 'if (changes()?.some(({ path }) => path === change.path)) return;',
    replace: '',
    breaks: 'undo writes what we wrote ourselves',
    caughtBy: [NOTE, 'test/edges/hooks/found.test.ts'],
  },
  {
    name: 'hooks: a failed lend is not undone',
    find: 'if (failure) return undo(run, plan, done, failure); } for',
    replace: "if (failure) return failed('failed', [text(failure)], failure); } for",
    breaks: 'the owner’s screen stays dark',
    caughtBy: RUNS,
  },
  {
    name: 'hooks: a step that may have acted is not undone',
    find: 'if (!failure || failure.error.mayHaveActed) done.push(item);',
    replace: 'if (!failure) done.push(item);',
    breaks: 'M17: a timed-out hook is unknown',
    caughtBy: [RUNS, NOTE],
  },
  {
    name: 'hooks: consumers resume before suppliers',
    find: 'for (const device of [...plan].reverse()) { // It was',
    replace: 'for (const device of [...plan]) { // It was',
    breaks: 'suppliers first',
    caughtBy: RUNS,
  },
  {
    name: 'journal: damage of what was durable is a torn tail',
    find: 'if (at < durableBytes || (at < file.length && reader.laterMark(at, nextSequence) > at)) {',
    replace: 'if (at < durableBytes && at < 0) {',
    breaks: 'M6: a journal that lies',
    caughtBy: FORMAT,
  },
  {
    name: 'journal: a block of an earlier file is a record',
    find: 'reader.seed = crc32c(id);',
    replace: 'reader.seed = 0 * crc32c(id);',
    breaks: 'M6',
    caughtBy: FORMAT,
  },
  {
    name: 'journal: bodies are not checked',
    find: 'if (this.#view.getUint32(at + BODY_CRC_AT) !== crc32c(body, this.seed)) return undefined;',
    replace: '',
    breaks: 'S8',
    caughtBy: FORMAT,
  },
  {
    name: 'journal: what has to be durable is not synced',
    find: 'if (sync) fdatasyncSync(fd);',
    replace: '',
    breaks: 'M6',
    caughtBy: FILE,
  },
  {
    name: 'bundles that share a resource',
    find: 'if (overlaps(a.resource, b.resource, ({ physical }) => physical)) refuse(',
    replace: 'if (a === b) refuse(',
    breaks: 'M12: two epochs and two holders for one thing',
    caughtBy: BUNDLES,
  },
  {
    name: 'parts of pages in a bundle',
    find: 'if (!isEmpty && bytes.every((at) => at % PAGE_BYTES === 0)) continue;',
    replace: 'if (!isEmpty) continue;',
    breaks: 'S1: what shares the page moves along',
    caughtBy: BUNDLES,
  },
  {
    name: 'a mask that takes too many IDs',
    find: 'if (streamIdsOf(stream).length > STREAM_IDS_MAX)',
    replace: 'if (streamIdsOf(stream).length > 4 * STREAM_IDS_MAX)',
    breaks: 'S8: a move of bounded length',
    caughtBy: BUNDLES,
  },
  {
    name: 'an enforcer without reset is believed to have reset',
    find: "residualStates.some(({ clearedBy }) => clearedBy === 'reset'),",
    replace: "residualStates.every(({ clearedBy }) => clearedBy === 'reset'),",
    breaks: 'S6',
    caughtBy: 'test/config/enforcers.test.ts',
  },
  {
    name: 'planner: DMA of which nobody knows is none',
    find: "else if (dma.kind === 'unknown')",
    replace: "else if (dma.kind === 'unconfined')",
    breaks: 'S1: a wrong “can move”',
    caughtBy: ['test/planner/dma-evidence.test.ts', 'test/planner/plan-dma.test.ts'],
  },
  {
    name: 'planner: an IOMMU can move',
    find: 'for (let at: DtNode | undefined = node; at !== undefined; at = at.parent) if (isIommu(at)) return true;',
    replace: '',
    breaks: 'S1: who holds it holds all behind it',
    caughtBy: PLAN,
  },
  {
    name: 'planner: a shared page is not seen',
    find: "add('sharedPage', range, [], board.onPage(page), whole);",
    replace: '',
    breaks: 'S1',
    caughtBy: PLAN,
  },
  {
    name: 'planner: a shared reset line is not seen',
    find: "if (need.role === 'reset') add('sharedReset',",
    replace: "if (need.role === 'reset' && whole.length > 99) add('sharedReset',",
    breaks: 'S6, M11',
    caughtBy: PLAN,
  },
  {
    name: 'planner: ATS is not seen',
    find: "const ats = [node, ...root].find(({ properties }) => properties.has('ats-supported'));",
    replace: "const ats = [...root].find(({ properties }) => properties.has('ats-supported'));",
    breaks: 'M12: translations kept in the device',
    caughtBy: PLAN,
  },
];
