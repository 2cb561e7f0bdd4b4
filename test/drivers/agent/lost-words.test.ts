/** Words that are lost on a network that looks well, and sessions that one side has lost: everybody finds out. */

import { describe, expect, it } from 'vitest';
import { againMs, answered, asked, NO_QUESTION, stepped } from '../../../src/core/agent/question.ts';
import { HOST, type Incarnation } from '../../../src/core/protocol/ids.ts';
import { Link, type LinkListener } from '../../../src/drivers/link/link.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { MemoryNetwork, NO_FAULTS } from '../../../src/edges/transport/memory.ts';
import type { EnforcerDescription } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { seededRandom } from '../../../targets/lab/machine/random.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { pairKey, TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];

class ForcingEnforcer extends NoneEnforcer {
  override describe(): EnforcerDescription {
    const description = super.describe();
    return { ...description, capabilities: { ...description.capabilities, forceRevoke: true } };
  }
}

const parts = { bundles: [PANEL], vms: VMS, machineBoot: 'one' };

/** A world in which the borrower holds for 1.5 s with 500 ms of notice. */
function lentWorld(Enforcer: typeof NoneEnforcer): UnisolatedWorld {
  const made = new UnisolatedWorld(VMS, [PANEL], () => new Enforcer(parts));
  made.startHost();
  made.startAgent(ANDROID, 'active');
  made.startAgent(VAULT, 'suspended');
  made.clock.advance(1_500);
  made.agents.get(VAULT)!.borrow(PANEL.id, { ...TERMS, leaseMs: 1_500, noticeMs: 500 });
  made.clock.advance(100);
  expect(made.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: true });
  return made;
}

const everythingLost = { ...NO_FAULTS, loss: 1 };

describe('a borrower whose network swallows everything from before its lease ends', () => {
  it('finds out that the bundle was taken, when words arrive again', () => {
    const made = lentWorld(ForcingEnforcer);
    made.network.faults = everythingLost;
    made.clock.advance(8_000);
    expect(made.host.views()[0]).toMatchObject({ holder: ANDROID });
    expect(made.agents.get(VAULT)!.view(PANEL.id).state).toBe('held');
    made.network.faults = NO_FAULTS;
    made.clock.advance(2_500);
    expect(made.told(VAULT)).toEqual(['granted', 'lost', 'returned']);
    expect(made.drivers.get(VAULT)!.status).toBe('suspended');
    expect(made.host.views()[0]).toMatchObject({ holder: ANDROID, confirmed: true });
  });

  it('gives the bundle back late where nobody can force it', () => {
    const made = lentWorld(NoneEnforcer);
    made.network.faults = everythingLost;
    made.clock.advance(8_000);
    expect(made.host.views()[0]).toMatchObject({ holder: VAULT });
    made.network.faults = NO_FAULTS;
    made.clock.advance(4_000);
    expect(made.told(VAULT)).toEqual(['granted', 'recalled', 'returned']);
    expect(made.host.views()[0]).toMatchObject({ holder: ANDROID, confirmed: true });
  });
});

describe('a borrower that thinks better of a request', () => {
  it('sends only the last one again while there is no session with the owner', () => {
    const made = new UnisolatedWorld(VMS, [PANEL], () => new NoneEnforcer(parts));
    made.startHost();
    made.startAgent(ANDROID, 'active');
    made.startAgent(VAULT, 'suspended');
    made.clock.advance(1_500);
    made.agents.get(ANDROID)!.stop();
    const vault = made.startAgent(VAULT, 'suspended');
    made.clock.advance(1_500);
    vault.borrow(PANEL.id, { ...TERMS, leaseMs: 3_600_000 });
    vault.giveBack(PANEL.id);
    vault.borrow(PANEL.id, { ...TERMS, leaseMs: 5_000 });
    const asked: number[] = [];
    made.startAgent(ANDROID, 'active', ({ leaseMs }, done) => {
      asked.push(leaseMs);
      done({ allow: true });
    });
    made.clock.advance(3_000);
    expect(new Set(asked)).toEqual(new Set([5_000]));
    expect(made.told(VAULT)).toEqual(['granted']);
  });
});

describe('a borrower that thinks better of a request, and whose word of that is lost', () => {
  it('R87 is never granted what it asked for first', () => {
    const made = new UnisolatedWorld(VMS, [PANEL], () => new NoneEnforcer(parts));
    made.startHost();
    made.startAgent(ANDROID, 'active');
    made.startAgent(VAULT, 'suspended');
    made.clock.advance(1_500);
    const vault = made.agents.get(VAULT)!;
    const leases: number[] = [];
    vault.on('notice', (_, notice) => {
      if (notice.notice === 'granted') leases.push(notice.leaseMs);
    });
    vault.borrow(PANEL.id, { ...TERMS, leaseMs: 3_600_000 });
    made.network.faults = everythingLost;
    vault.giveBack(PANEL.id);
    made.network.faults = NO_FAULTS;
    vault.borrow(PANEL.id, { ...TERMS, leaseMs: 5_000 });
    made.clock.advance(500);
    expect(leases).toEqual([5_000]);
    expect(made.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: true });
  });
});

describe('a network whose round trip is longer than the time between two questions', () => {
  it('R20 still lets agents learn who holds', () => {
    const made = new UnisolatedWorld(
      VMS,
      [PANEL],
      () => new ForcingEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: 'one' }),
    );
    made.network.faults = { ...NO_FAULTS, delayMinMs: 700, delayMaxMs: 700 };
    made.startHost();
    made.startAgent(ANDROID, 'active');
    made.startAgent(VAULT, 'suspended');
    made.clock.advance(30_000);
    expect(made.agents.get(ANDROID)!.view(PANEL.id)).toMatchObject({ state: 'held', holder: ANDROID });
    expect(made.agents.get(VAULT)!.view(PANEL.id)).toMatchObject({ state: 'idle' });
  });
});

describe('the question who holds', () => {
  /** The question of one bundle, as the endpoint keeps it. */
  const made = () => {
    let question = NO_QUESTION;
    let next = 0;
    let on = '';
    return {
      stepped: (input: string, effects: Parameters<typeof stepped>[2]) => {
        on = input;
        question = stepped(question, on, effects);
      },
      ask: () => {
        question = asked(question, on, ++next);
        return question.open;
      },
      isAnsweredBy: (number: number) => {
        if (question.open !== number) return false;
        question = answered(question);
        return true;
      },
      againMs: () => againMs(question),
    };
  };

  it('is asked less and less often of a host that does not answer', () => {
    const question = made();
    question.stepped('hostUp', []);
    question.ask();
    const waits = Array.from({ length: 20 }, () => {
      question.stepped('timer:query', [{ do: 'timer', timer: 'query' }]);
      question.ask();
      return question.againMs();
    });
    expect(waits.slice(0, 7)).toEqual([1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000]);
    expect(waits.slice(7, 10)).toEqual([2_000, 4_000, 8_000]);
    expect(waits.at(-1)).toBe(60_000);
    question.stepped('hostUp', []);
    question.ask();
    expect(question.againMs()).toBe(1_000);
  });

  it('is the same when a timer repeats it, and its answer counts once', () => {
    const question = made();
    question.stepped('hostUp', []);
    const first = question.ask();
    question.stepped('timer:query', []);
    expect(question.ask()).toEqual(first);
    expect(question.isAnsweredBy(first)).toBe(true);
    expect(question.isAnsweredBy(first)).toBe(false);
    question.stepped('timer:query', []);
    expect(question.ask()).not.toEqual(first);
  });

  it.each(['lease', 'release', 'lend'])('R20 is a new one when the timer %s ends another wait', (timer) => {
    const question = made();
    question.stepped('hostUp', []);
    const first = question.ask();
    question.stepped(`timer:${timer}`, [{ do: 'timer', timer }]);
    const second = question.ask();
    expect(question.isAnsweredBy(first)).toBe(false);
    // The same wait goes on, also where it has two timers.
    question.stepped('timer:query', [{ do: 'timer', timer: 'query' }]);
    expect(question.ask()).toEqual(second);
    question.stepped(`timer:${timer}`, [{ do: 'timer', timer }]);
    expect(question.ask()).toEqual(second);
    // The timer was started anew.
    question.stepped('hookDone', [{ do: 'timer', timer }]);
    question.stepped(`timer:${timer}`, [{ do: 'timer', timer }]);
    expect(question.ask()).not.toEqual(second);
  });

  it('R20 is a new one after news: an answer from before does not settle it', () => {
    const question = made();
    question.stepped('hostUp', []);
    const first = question.ask();
    question.stepped('refused', []);
    const second = question.ask();
    expect(question.isAnsweredBy(first)).toBe(false);
    question.stepped('refused', []);
    question.ask();
    expect(question.isAnsweredBy(second)).toBe(false);
  });

  it('is a new one when nobody waited for the answer to the last', () => {
    const question = made();
    question.stepped('hostUp', []);
    const first = question.ask();
    question.stepped('remapped', [{ do: 'stopTimer', timer: 'query' }]);
    question.stepped('timer:lease', []);
    expect(question.ask()).not.toEqual(first);
  });
});

describe('a forged frame while a policy decides', () => {
  it('renews the session and does not void the consent under way', () => {
    const made = new UnisolatedWorld(
      VMS,
      [PANEL],
      () => new ForcingEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: 'one' }),
    );
    made.startHost();
    made.startAgent(ANDROID, 'active', (_, done) => void made.clock.after(500, () => done({ allow: true })));
    made.startAgent(VAULT, 'suspended');
    let frame: Uint8Array | undefined;
    made.network.tap = (what, from, to, bytes) => {
      if (what === 'sent' && from === VAULT && to === HOST) frame = bytes.slice();
    };
    made.clock.advance(1_500);
    made.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    made.clock.advance(100);
    const ups = () => made.logs.filter((line) => line.includes('host info: session up')).length;
    const before = ups();
    frame![frame!.length - 1]! ^= 1;
    made.network.inject(VAULT, HOST, frame!);
    made.clock.advance(700);
    expect(ups()).toBe(before + 1);
    expect(made.told(VAULT)).toEqual(['granted']);
  });
});

describe('a session that one side has lost', () => {
  it('R82 is made anew when frames do not verify, at most every two seconds', () => {
    const clock = new VirtualClock();
    const random = seededRandom(7);
    const network = new MemoryNetwork(clock, () => 0.5);
    const linkOf = (self: typeof HOST, listener: Partial<LinkListener>) => {
      const link = new Link({
        self,
        pairKeys: new Map([[self === HOST ? VAULT : HOST, pairKey(HOST, VAULT)]]),
        bootId: Uint8Array.from({ length: 16 }, () => random(256)),
        bundles: [],
        transport: network.transport(self),
        clock,
        entropy: { random: (count) => Uint8Array.from({ length: count }, () => random(256)) },
        log: () => {},
      });
      link.open({ onMessage() {}, onUp() {}, onDown() {}, onDigestMismatch() {}, ...listener });
      return link;
    };
    const heard: string[] = [];
    const host = linkOf(HOST, {
      incarnationOf: () => 1 as Incarnation,
      onMessage: (_from, message) => heard.push(message.kind),
    });
    const first = linkOf(VAULT, {});
    clock.advance(1_000);
    // Another process under the same name takes the session, and goes.
    const second = linkOf(VAULT, {});
    clock.advance(1_000);
    second.close();
    network.transport(VAULT).open(first);
    const confirm = { kind: 'confirm', bundle: PANEL.id, epoch: 1 } as never;
    first.send(HOST, confirm);
    clock.advance(100);
    expect(heard).toEqual([]);
    first.send(HOST, confirm);
    clock.advance(100);
    expect(heard).toEqual(['confirm']);
    // Injected frames start no flood of handshakes.
    let hellos = 0;
    network.tap = (what, from, _to, frame) => {
      const isHello = String.fromCharCode(...frame.subarray(0, 64)).includes('/h');
      if (what === 'sent' && from === HOST && isHello) hellos += 1;
    };
    const stale: Uint8Array[] = [];
    const tapped = network.tap;
    network.tap = (what, from, to, frame) => {
      tapped(what, from, to, frame);
      if (what === 'sent' && from === VAULT && stale.length === 0) stale.push(frame.slice());
    };
    first.send(HOST, confirm);
    clock.advance(10);
    const forged = stale[0]!;
    forged[forged.length - 1]! ^= 1;
    for (let i = 0; i < 1_000; i++) {
      network.inject(VAULT, HOST, forged);
      clock.advance(10);
    }
    expect(hellos).toBeGreaterThanOrEqual(4);
    expect(hellos).toBeLessThanOrEqual(6);
    expect(host.isUp(VAULT)).toBe(true);
    first.close();
    host.close();
  });
});
