/** What each phase of a remap asks of an enforcer, in which order, and what is made of the answers. */

import { describe, expect, it } from 'vitest';
import { foldAnswers, NO_TALLY, phaseRun } from '../../../src/core/host/remap.ts';
import { resourcesOf } from '../../../src/core/protocol/bundle.ts';
import type { EnforcerAnswer, EnforcerCall } from '../../../src/ports/enforcer.ts';
import { ANDROID, KEYS_BUNDLE, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';

const kindOf = (call: EnforcerCall) =>
  'resource' in call ? resourcesOf(PANEL).find(({ id }) => id === call.resource)!.kind : call.op;
/** Kinds in the order of the calls, each once. */
const kinds = (calls: readonly EnforcerCall[]) => [...new Set(calls.map(kindOf))];
const calls = (phase: 'fence' | 'settle' | 'clean' | 'grant' | 'inspect') =>
  phaseRun(PANEL, phase, phase === 'grant' ? VAULT : undefined).calls;
const ops = (list: readonly EnforcerCall[]) => [...new Set(list.map(({ op }) => op))];
const names = resourcesOf(PANEL).map(({ id }) => id);
const named = (list: readonly EnforcerCall[]) =>
  list.map((call) => ('resource' in call ? call.resource : ''));

describe('order', () => {
  it('fence: interrupts, then DMA, registers last; every resource once', () => {
    expect(ops(calls('fence'))).toEqual(['fence']);
    expect(kinds(calls('fence'))).toEqual(['interrupt', 'stream', 'mmio']);
    expect(named(calls('fence')).sort()).toEqual([...names].sort());
  });

  it('grant: DMA, then registers, interrupts last; then a look at every resource', () => {
    const grants = calls('grant').filter(({ op }) => op === 'grant');
    expect(ops(calls('grant'))).toEqual(['grant', 'inspect']);
    expect(kinds(grants)).toEqual(['stream', 'mmio', 'interrupt']);
    expect(named(grants).sort()).toEqual([...names].sort());
    expect(grants.every((call) => call.op === 'grant' && call.vm === VAULT)).toBe(true);
    expect(named(calls('grant').filter(({ op }) => op === 'inspect'))).toEqual(names);
  });

  it('clean: every reset before the first look whether a device is idle', () => {
    expect(calls('clean').map(({ op }) => op)).toEqual(['reset', 'reset', 'drained', 'drained']);
  });

  it('nothing is granted, reset or settled together with a fence', () => {
    expect(calls('settle')).toEqual([{ op: 'settle' }]);
    expect(ops(calls('inspect'))).toEqual(['inspect']);
    expect(() => phaseRun(PANEL, 'grant', undefined)).toThrow('a grant needs a new holder');
  });
});

describe('answers', () => {
  const fold = (
    phase: 'settle' | 'clean' | 'grant' | 'inspect',
    answers: readonly EnforcerAnswer[],
    bundle = PANEL,
  ) =>
    foldAnswers(
      phaseRun(bundle, phase, phase === 'grant' ? VAULT : undefined),
      'observed',
      answers,
      NO_TALLY,
    );
  const inspected = (...reaches: readonly string[]) =>
    fold(
      'inspect',
      names.map((_, index) => ({ ok: true, reach: (reaches[index] ?? reaches[0]) as never })),
    ).result;
  const granted = (reach: (index: number) => string) =>
    fold(
      'grant',
      calls('grant').map((call, index) =>
        call.op === 'grant'
          ? { ok: true, before: new Uint8Array(100), after: Uint8Array.of(index) }
          : {
              ok: true,
              reach: reach(
                named(calls('inspect')).indexOf(call.op === 'inspect' ? call.resource : ''),
              ) as never,
            },
      ),
    );

  it('a failed call is the result of its phase', () => {
    const { result, tally } = fold('clean', [{ ok: true }, { ok: false, error: 'stuck' }]);
    expect(result).toEqual({ ok: false, error: 'stuck' });
    expect(tally).toBe(NO_TALLY);
  });

  it('fewer answers than calls are a failure', () => {
    expect(fold('clean', [{ ok: true }]).result).toEqual({ ok: false, error: '1 answers to 4 calls' });
  });

  it('one device that is not idle is enough', () => {
    const answers = [
      { ok: true },
      { ok: true },
      { ok: true, idle: true },
      { ok: true, idle: false },
    ] as const;
    expect(fold('clean', answers).result).toEqual({ ok: true, idle: false });
    expect(fold('clean', [...answers.slice(0, 3), { ok: true, idle: true }]).result).toEqual({
      ok: true,
      idle: true,
    });
  });

  it('syncs add up; a device counts as reset when the reset clears all that it leaves', () => {
    expect(fold('settle', [{ ok: true, syncs: 2 }]).tally).toEqual({ syncs: 2, resets: [] });
    expect(fold('clean', new Array(4).fill({ ok: true })).tally.resets).toEqual(['touch', 'display']);
    expect(fold('clean', new Array(2).fill({ ok: true }), KEYS_BUNDLE).tally.resets).toEqual([]);
    const run = phaseRun(PANEL, 'clean', undefined);
    const unreset = foldAnswers(run, 'observed', new Array(4).fill({ ok: true }), NO_TALLY, false);
    expect(unreset.tally.resets).toEqual([]);
  });

  it('a read-back is one VM’s, nobody’s, mixed or unknown', () => {
    expect(inspected(ANDROID)).toMatchObject({ ok: true, reach: ANDROID, proof: { evidence: 'observed' } });
    const found = inspected(ANDROID);
    const proof = found.ok ? found.proof! : undefined;
    // What was there before a restart is not known: no entry, no sync, no reset is claimed.
    expect(proof).toMatchObject({ syncs: 0, resets: [] });
    expect(proof!.resources.map(({ before, after }) => before.length + after.length)).toEqual(
      names.map(() => 0),
    );
    expect(inspected('blocked')).toEqual({ ok: true, reach: 'blocked' });
    expect(inspected(ANDROID, 'blocked')).toEqual({ ok: true, reach: 'mixed' });
    expect(inspected(ANDROID, 'unknown')).toEqual({ ok: true, reach: 'unknown' });
  });

  it('a grant is proved by every read-back, and by nothing less', () => {
    const { result } = granted(() => VAULT);
    expect(result).toMatchObject({ ok: true, proof: { evidence: 'observed' } });
    const resources = result.ok ? result.proof!.resources : [];
    expect(resources.map(({ resource }) => resource)).toEqual(names);
    expect(resources.every(({ before, after }) => before.length <= 32 && after.length === 1)).toBe(true);
    expect(granted((index) => (index === 3 ? ANDROID : VAULT)).result).toEqual({
      ok: false,
      error: `${names[3]} reads back as android, expected vault`,
    });
    expect(granted((index) => (index === 0 ? 'unknown' : VAULT)).result.ok).toBe(false);
  });
});
