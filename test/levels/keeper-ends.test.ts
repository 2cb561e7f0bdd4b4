/** R66: a lent bundle comes back when the keeper of its supplies has ended, whenever that happened. */
import { describe, expect, it } from 'vitest';
import {
  type HostConfig,
  type HostEffect,
  type HostInput,
  type HostState,
  initialHost,
  type PhaseResult,
  type RemapPhase,
} from '../../src/core/host/host-state.ts';
import { HOST_TABLE } from '../../src/core/host/host-table.ts';
import { command, HOST_CONFIG, prepare } from '../core/protocol/requirements-support.ts';

const OK: PhaseResult = { ok: true, idle: true };
class H {
  state: HostState = initialHost();
  effects: readonly HostEffect[] = [];
  nowMs = 0;
  config: HostConfig = { ...HOST_CONFIG, keeper: 'owner' };
  feed(input: object): this {
    const step = HOST_TABLE.run(this.state, { nowMs: this.nowMs, ...input } as HostInput, this.config);
    this.state = step.state;
    this.effects = step.effects;
    return this;
  }
  ended(phase: RemapPhase, result: PhaseResult): this {
    return this.feed({
      on: 'phaseDone',
      epoch: this.state.attempt?.epoch ?? this.state.epoch,
      phase,
      result,
    });
  }
  phases(...names: RemapPhase[]): this {
    for (const phase of names) this.ended(phase, OK);
    return this;
  }
  boot(): this {
    return this.feed({ on: 'start', recovered: { kind: 'new' }, running: { android: 1, vault: 1 } }).phases(
      'fence',
      'settle',
      'clean',
      'grant',
    );
  }
}
const gone = { on: 'vmExited', vm: 'android' };
/** The borrower holds, with a lease, and nothing is under way to take the bundle from it. */
const keptByBorrower = (s: HostState) =>
  s.name === 'held' && s.holder?.vm === 'vault' && s.holder.ending === undefined;

describe('R111 keeper "owner": its VM ends', () => {
  const lending = () =>
    new H()
      .boot()
      .feed(prepare({}))
      .feed(command('android' as never, 'lend', { epoch: 2 }));
  it('while it is lent (control)', () => {
    const h = lending().phases('fence', 'settle', 'clean', 'grant').feed(gone);
    expect(keptByBorrower(h.state)).toBe(false);
  });
  it.each([[[]], [['fence']], [['fence', 'settle']], [['fence', 'settle', 'clean']]] as RemapPhase[][][])(
    'during the lend, after %s',
    (done) => {
      const all: RemapPhase[] = ['fence', 'settle', 'clean', 'grant'];
      const h = lending()
        .phases(...done)
        .feed(gone);
      for (const phase of all.slice(done.length)) if (h.state.attempt?.phase === phase) h.ended(phase, OK);
      expect(keptByBorrower(h.state)).toBe(false);
    },
  );
  it('while the host is down', () => {
    const h = lending().phases('fence', 'settle', 'clean', 'grant');
    const record = h.state;
    const again = new H();
    again.feed({
      on: 'start',
      recovered: { kind: 'record', state: record, rebooted: false },
      running: { vault: 1 },
    });
    again.ended('inspect', { ok: true, reach: 'vault' as never });
    expect(keptByBorrower(again.state)).toBe(false);
  });
});
