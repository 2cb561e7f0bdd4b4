/**
 * An agent's endpoint with its facts and orders, where no single table decides: whether it watches the host, which
 * answer counts, and what it forgets when the host has another table.
 */

import { describe, expect, it } from 'vitest';
import { AgentEndpoint } from '../../../src/core/agent/agent-endpoint.ts';
import type { AgentFact, AgentOrder } from '../../../src/core/agent/agent-facts.ts';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { held, remapped, TERMS } from '../protocol/requirements-support.ts';

type Fact = AgentFact extends infer F ? (F extends AgentFact ? Omit<F, 'nowMs'> : never) : never;
const ONE = '1111111111111111';
const TWO = '2222222222222222';

/** A remap as it is told to who does not hold. */
const toldOf = (vm: VmId, at: number) => remapped(vm, at, { proof: undefined });

/** An endpoint whose hooks succeed at once, and which hears from the host only what a test says. */
class Rig {
  readonly endpoint: AgentEndpoint;
  readonly orders: AgentOrder[] = [];
  readonly self: VmId;
  nowMs = 0;

  constructor(self: VmId) {
    this.self = self;
    const challenges = new Uint8Array(8);
    this.endpoint = new AgentEndpoint({ self, bundles: [PANEL], challenges, firstRequest: 1 });
    this.feed({ on: 'start' }).feed({ on: 'sessionUp', peer: HOST, tableId: ONE });
  }

  get state() {
    return this.endpoint.state.bundles[PANEL.id]!.state;
  }

  feed(fact: Fact): this {
    for (const order of this.endpoint.step({ ...fact, nowMs: this.nowMs } as AgentFact)) {
      this.orders.push(order);
      const bundle = PANEL.id;
      if (order.do === 'inspect')
        this.feed({ on: 'driverInspected', bundle, status: this.self === ANDROID ? 'active' : 'suspended' });
      if (order.do === 'hook')
        this.feed({ on: 'hookDone', bundle, hook: order.hook, result: { ok: true } as never });
    }
    return this;
  }

  hear(said: Message, from: VmId = HOST): this {
    return this.feed({ on: 'message', from, message: said });
  }

  /** Challenges of the questions so far, oldest first. */
  asked(): Uint8Array[] {
    return this.orders.flatMap((order) =>
      order.do === 'send' && order.message.kind === 'queryState' ? [order.message.challenge] : [],
    );
  }

  /** The host answers the last question: `vm` holds. */
  told(vm: VmId, at: number): this {
    return this.hear({ ...held(vm, at, this.self), challenge: this.asked().at(-1)! });
  }

  watches(): string[] {
    return this.orders.flatMap((order) =>
      (order.do === 'timer' || order.do === 'stopTimer') && order.timer === 'watch' ? [order.do] : [],
    );
  }

  hooks(): string[] {
    return this.orders.flatMap((order) => (order.do === 'hook' ? [`${order.hook} ${order.epoch}`] : []));
  }
}

describe('the watch over the host', () => {
  const borrowing = () => {
    const vault = new Rig(VAULT).told(ANDROID, 1).feed({ on: 'borrow', bundle: PANEL.id, terms: TERMS });
    return vault.told(ANDROID, 1).hear(remapped(VAULT, 2));
  };

  it('wakes nobody while nothing is lent', () => {
    for (const vm of [ANDROID, VAULT]) {
      const idle = new Rig(vm).told(ANDROID, 1);
      expect(['held', 'idle']).toContain(idle.state.name);
      expect(idle.watches()).not.toContain('timer');
    }
  });

  it('runs as long as this VM has borrowed', () => {
    const vault = borrowing();
    expect(vault.state.name).toBe('held');
    expect(vault.watches().at(-1)).toBe('timer');
    vault.feed({ on: 'return', bundle: PANEL.id });
    vault.hear(toldOf(ANDROID, 3));
    expect(vault.state.name).toBe('idle');
    expect(vault.watches().at(-1)).toBe('stopTimer');
  });

  it('runs while this VM has lent', () => {
    const owner = new Rig(ANDROID).told(ANDROID, 1).hear(toldOf(VAULT, 2));
    expect(owner.state.name).toBe('lent');
    expect(owner.watches().at(-1)).toBe('timer');
  });

  it('tells once of a silence, and asks who holds when the host is heard again', () => {
    const borrower = borrowing();
    borrower.nowMs = 4_000;
    borrower.feed({ on: 'timer', bundle: undefined, timer: 'watch', lateMs: 0 });
    expect(borrower.orders.at(-2)).toEqual({ do: 'hostSilent', silentMs: 4_000 });
    const before = borrower.asked().length;
    borrower.hear({ kind: 'heartbeat' });
    expect(borrower.asked()).toHaveLength(before + 1);
  });
});

describe('an answer', () => {
  it('to an older question does not count, nor a second to the same', () => {
    const owner = new Rig(ANDROID);
    const [first] = owner.asked();
    owner.feed({ on: 'sessionUp', peer: HOST, tableId: ONE });
    owner.hear({ ...held(ANDROID, 1), challenge: first! });
    expect(owner.state.name).toBe('unknown');
    owner.told(ANDROID, 1);
    expect(owner.state).toMatchObject({ name: 'held', heldEpoch: 1 });
    owner.told(VAULT, 2);
    expect(owner.state).toMatchObject({ name: 'held', heldEpoch: 1 });
  });
});

describe('another table of the host', () => {
  it('voids the epochs of the last one: an owner resumes at a lower epoch of it', () => {
    const owner = new Rig(ANDROID).told(ANDROID, 50);
    owner.feed({ on: 'sessionUp', peer: HOST, tableId: TWO }).told(ANDROID, 2);
    expect(owner.hooks()).toEqual(['resume 2']);
    expect(owner.state).toMatchObject({ epoch: 2, heldEpoch: 2 });
  });

  it('voids them for a borrower: what it held is not its own, and the next grant is', () => {
    const vault = new Rig(VAULT).told(ANDROID, 49).feed({ on: 'borrow', bundle: PANEL.id, terms: TERMS });
    vault.told(ANDROID, 49).hear(remapped(VAULT, 50));
    expect(vault.state).toMatchObject({ name: 'held', epoch: 50 });
    vault.feed({ on: 'sessionUp', peer: HOST, tableId: TWO }).told(ANDROID, 2);
    expect(vault.hooks()).toEqual(['resume 50', 'suspend 2']);
    vault.feed({ on: 'borrow', bundle: PANEL.id, terms: TERMS }).told(ANDROID, 2);
    vault.hear(remapped(VAULT, 3, { requestId: 2 }));
    expect(vault.hooks().at(-1)).toBe('resume 3');
  });

  it('is none where the session names the same, or none', () => {
    for (const tableId of [ONE, undefined]) {
      const owner = new Rig(ANDROID).told(ANDROID, 50);
      owner.feed({ on: 'sessionUp', peer: HOST, tableId }).told(ANDROID, 2);
      expect(owner.state).toMatchObject({ name: 'held', epoch: 50, heldEpoch: 50 });
    }
  });
});
