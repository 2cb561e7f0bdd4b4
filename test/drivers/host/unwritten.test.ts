/**
 * A host that cannot write: it lends nothing, gives back all the same, uses no epoch that a later start could use
 * again, and ends where it could not keep to that. And what else must not fill a log or be written down.
 */

import { beforeEach, describe, expect, it } from 'vitest';
import { AUDIT_START } from '../../../src/core/host/audit.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { HostTable } from '../../../src/drivers/host/table.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { EnforcerDescription, EnforcerEvent, FaultRecord } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { checkAudit } from '../../support/check-audit.ts';
import { MemoryJournal } from '../../support/memory-journal.ts';
import { TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];
const FULL = 'ENOSPC: no space left on device';

/** An enforcer that can take by force, and says what a test has it say. */
class Rig extends NoneEnforcer {
  readonly acknowledged: string[] = [];
  readonly ran: string[] = [];
  waiting: FaultRecord[] = [];
  tell: (event: EnforcerEvent) => void = () => {};

  override describe(): EnforcerDescription {
    const { capabilities, ...rest } = super.describe();
    return { ...rest, capabilities: { ...capabilities, forceRevoke: true } };
  }

  override run(...args: Parameters<NoneEnforcer['run']>): void {
    this.ran.push(args[1].map(({ op }) => op).join(' '));
    super.run(...args);
  }

  override onEvent(listener?: (event: EnforcerEvent) => void): void {
    if (listener) this.tell = listener;
  }

  override faults(): readonly FaultRecord[] {
    return this.waiting.splice(0);
  }

  override acknowledgeStart(vm?: VmId): void {
    this.acknowledged.push(`start ${vm}`);
  }

  override acknowledgeExit(vm?: VmId): void {
    this.acknowledged.push(`exit ${vm}`);
  }
}

let rig: Rig;
let world: UnisolatedWorld;
beforeEach(() => {
  rig = new Rig({ bundles: [PANEL], vms: VMS, machineBoot: '1' });
  world = new UnisolatedWorld(VMS, [PANEL], () => rig);
  world.startHost();
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(1_500);
});

const view = () => world.host.views()[0]!;
const borrow = () => {
  world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
  world.clock.advance(100);
};
/** The bundle as a new start of the service would find it. */
const records = () => new HostTable(new MemoryJournal(world.journal.records)).records()!;
const written = () => records().bundles.get(PANEL.id)!;
const errors = () => world.logs.filter((line) => line.includes('host error'));

describe('a host whose table cannot be written', () => {
  it('gives back what is lent, and lends nothing until it can be written again', () => {
    borrow();
    expect(view()).toMatchObject({ holder: VAULT, confirmed: true });
    world.journal.broken = FULL;
    world.agents.get(VAULT)!.giveBack(PANEL.id);
    world.clock.advance(100);
    const { epoch } = view();
    expect(view()).toMatchObject({ holder: ANDROID, state: 'held', confirmed: true });
    expect(world.host.facts().writeFault).toContain(FULL);
    const before = world.logs.length;
    borrow();
    // The reservation is undone before anybody hears of it.
    const heard = world.logs.slice(before).filter((line) => /"on":"(prepared|handoverPending)"/.test(line));
    expect(heard).toEqual([]);
    expect(world.notices.at(-1)?.notice).toMatchObject({ notice: 'declined', reason: 'busy' });
    expect(view()).toMatchObject({ holder: ANDROID, state: 'held', epoch });
    expect(world.drivers.get(ANDROID)!.status).toBe('active');
    world.journal.broken = undefined;
    world.clock.advance(1_000);
    expect(world.host.facts().writeFault).toBeNull();
    expect(written().holder).toMatchObject({ vm: ANDROID, epoch });
    borrow();
    expect(view()).toMatchObject({ holder: VAULT, confirmed: true });
    expect(view().epoch).toBeGreaterThan(epoch);
    expect(world.ends).toEqual([]);
  });

  it('takes the bundle of a VM that ended, and lets it be freed', () => {
    borrow();
    world.journal.broken = FULL;
    rig.tell({ kind: 'vmExited', vm: VAULT });
    expect(rig.acknowledged).toContain('exit vault');
    world.clock.advance(1_000);
    expect(view()).toMatchObject({ holder: ANDROID, state: 'held' });
  });

  it('lets a VM run its first instruction only when its life is on disk', () => {
    rig.tell({ kind: 'vmExited', vm: VAULT });
    world.journal.broken = FULL;
    rig.tell({ kind: 'vmStarting', vm: VAULT });
    world.clock.advance(5_000);
    expect(rig.acknowledged).not.toContain('start vault');
    world.journal.broken = undefined;
    world.clock.advance(1_000);
    expect(rig.acknowledged).toContain('start vault');
    expect(records().registry?.incarnations[VAULT]).toBe(2);
  });

  it('says so once in a while, not each time it tries', () => {
    world.journal.broken = FULL;
    rig.tell({ kind: 'vmExited', vm: VAULT });
    world.clock.advance(59_000);
    expect(errors()).toHaveLength(1);
    expect(errors()[0]).toContain(`${FULL}; free space`);
    world.clock.advance(60_000);
    expect(errors()).toHaveLength(2);
  });

  it('uses no epoch that its next start could use again', () => {
    borrow();
    world.journal.broken = FULL;
    world.agents.get(VAULT)!.giveBack(PANEL.id);
    world.clock.advance(100);
    const { epoch } = view();
    expect(written().holder?.vm).toBe(VAULT);
    // The process is killed: what was not written is lost with it.
    world.host.stop();
    world.journal.broken = undefined;
    world.startHost();
    world.clock.advance(2_000);
    expect(view()).toMatchObject({ holder: ANDROID, state: 'held', confirmed: true });
    expect(view().epoch).toBeGreaterThan(epoch);
    const begun = world.audit
      .filter((line) => line.includes('"event":"moving"'))
      .map((line) => (JSON.parse(line) as { epoch: number }).epoch);
    expect(begun).toContain(epoch);
    expect(begun).toEqual([...new Set(begun)]);
  });

  it('ends before it uses an epoch that is not reserved, and touches the machine no more', () => {
    world.journal.broken = FULL;
    const { epochs } = JSON.parse(new TextDecoder().decode(world.bounds.found)) as { epochs: number };
    let ran = 0;
    for (let i = 0; i < 1_100 && world.ends.length === 0; i++) {
      ran = rig.ran.length;
      rig.tell({ kind: 'vmExited', vm: ANDROID });
      if (world.ends.length === 0) rig.tell({ kind: 'vmStarting', vm: ANDROID });
    }
    expect(world.ends).toEqual([expect.stringContaining(`epoch ${epochs + 1} may not be used`)]);
    expect(rig.ran.length - ran).toBeLessThanOrEqual(4);
    const calls = rig.ran.length;
    world.clock.advance(10_000);
    expect(rig.ran).toHaveLength(calls);
  });

  it('does not begin', () => {
    world.host.stop();
    world.journal.broken = FULL;
    const calls = rig.ran.length;
    world.startHost();
    world.clock.advance(5_000);
    expect(world.ends).toEqual([expect.stringContaining(FULL)]);
    // It may have looked, but changed nothing.
    expect(rig.ran.slice(calls).filter((ops) => !/^(inspect ?)*$/.test(ops))).toEqual([]);
  });
});

describe('an audit log that cannot be written', () => {
  it('does not end the service, and is caught up with, chain intact', () => {
    world.auditBroken = FULL;
    borrow();
    world.clock.advance(500);
    expect(view()).toMatchObject({ holder: VAULT, confirmed: true });
    expect(world.host.facts().writeFault).toContain(FULL);
    world.auditBroken = undefined;
    world.clock.advance(1_000);
    expect(world.host.facts().writeFault).toBeNull();
    expect(world.audit.at(-1)).toContain('"event":"confirmed"');
    expect(checkAudit(`${world.audit.join('\n')}\n`)).toMatchObject({ ok: true, losses: [] });
  });

  it('is waited for by a bounded number of lines; a line says how many were lost', () => {
    world.host.facts();
    world.audit.length = 0;
    world.auditBroken = FULL;
    const fault = { by: 'cpu', vm: VAULT, bundle: PANEL.id, write: true, event: 'abort', count: 1 } as const;
    for (let i = 0; i < 1_200; i++) {
      rig.waiting.push({ ...fault, address: i * 4096, lost: false, stream: i });
      rig.tell({ kind: 'faultsPending' });
      world.clock.advance(25);
    }
    world.auditBroken = undefined;
    world.clock.advance(1_000);
    const [first, ...rest] = world.audit;
    expect(first).toContain('"event":"linesLost"');
    const lost = Number(/"detail":"(\d+) lines/.exec(first!)?.[1]);
    expect(lost).toBeGreaterThan(100);
    expect(rest.length).toBeLessThan(1_100);
    expect(first).not.toContain(AUDIT_START);
  });
});

describe('the log and the table of a host', () => {
  it('are not filled by a VM that touches what is in no bundle', () => {
    const before = world.logs.length;
    for (let i = 0; i < 2_000; i++) {
      const fault = { by: 'cpu', vm: VAULT, write: false, event: 'abort', count: 1, lost: false } as const;
      rig.waiting.push({ ...fault, address: 0x7000_0000 + 4096 * i });
      rig.tell({ kind: 'faultsPending' });
      world.clock.advance(1);
    }
    const lines = world.logs.slice(before).filter((line) => line.includes('outside every bundle'));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(20);
  });

  it('take no harm from an enforcer that is gone: the host ends, and its next run reads the machine back', () => {
    borrow();
    const { epoch } = view();
    world.clock.advance(100);
    rig.tell({ kind: 'lost', error: 'closed by the peer' });
    expect(world.ends).toEqual(['the enforcer is gone: closed by the peer']);
    expect(written()).toMatchObject({ name: 'held', holder: { vm: VAULT, epoch } });
    world.startHost();
    world.clock.advance(1_500);
    expect(view()).toMatchObject({ holder: VAULT, state: 'held', epoch });
  });
});
