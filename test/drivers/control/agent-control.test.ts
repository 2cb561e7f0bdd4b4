/** What connections to an agent's control socket hear of each other's borrowing. */

import { beforeEach, expect, test } from 'vitest';
import { encodeLine, type Json } from '../../../src/common/lines.ts';
import { AgentControl } from '../../../src/drivers/control/agent-control.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import type { Enforcer } from '../../../src/ports/enforcer.ts';
import type { ByteStreamListener } from '../../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { SimulatedMachine } from '../../../targets/lab/machine/machine.ts';
import { ScriptedDriver, TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';

const VMS = [ANDROID, VAULT];

let world: UnisolatedWorld;
let control: AgentControl;
beforeEach(() => start(() => new NoneEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: '1' }), 0));

/** A driver that takes its time to resume. */
class SlowDriver extends ScriptedDriver {
  resumeMs = 0;

  override run(...[bundle, hook, epoch, done]: Parameters<ScriptedDriver['run']>): void {
    const ms = hook === 'resume' ? this.resumeMs : 0;
    super.run(bundle, hook, epoch, (result) => world.clock.after(ms, () => done(result)));
  }
}

/** Starts host and agents. */
function start(enforcer: () => Enforcer, resumeMs: number): void {
  world = new UnisolatedWorld(VMS, [PANEL], enforcer);
  const driver = new SlowDriver(world.clock, 'suspended');
  driver.resumeMs = resumeMs;
  world.drivers.set(VAULT, driver);
  world.startHost();
  owners = new AgentControl(world.startAgent(ANDROID, 'active'), world.log('owner'), world.clock);
  control = new AgentControl(world.startAgent(VAULT, 'suspended'), world.log('control'), world.clock);
  world.clock.advance(1_500);
}

/** A control socket of the owner. */
let owners: AgentControl;

/** One connection. */
class Program {
  readonly heard: Json[] = [];
  #listener!: ByteStreamListener;

  constructor(at: AgentControl = control) {
    at.accept({
      open: (listener) => {
        this.#listener = listener;
      },
      write: (bytes) => this.heard.push(JSON.parse(new TextDecoder().decode(bytes)) as Json) > 0,
      close: () => {},
    });
  }

  send(request: Json): void {
    this.#listener.onData(encodeLine(request));
  }
}

const BORROW = { id: 'b', do: 'borrow', bundle: 'panel', ...TERMS };
const RETURN = { id: 'r', do: 'return', bundle: 'panel' };

test('a program whose bundle another one returns is told', () => {
  const [borrower, other] = [new Program(), new Program()];
  borrower.send(BORROW);
  world.clock.advance(100);
  other.send(RETURN);
  world.clock.advance(100);
  expect(other.heard).toMatchObject([{ id: 'r', ok: true, event: 'returned' }]);
  expect(borrower.heard).toMatchObject([
    { id: 'b', ok: true },
    { event: 'returned', bundle: 'panel' },
  ]);
});

test('a program that returns its bundle itself hears of it once', () => {
  const borrower = new Program();
  borrower.send(BORROW);
  world.clock.advance(100);
  borrower.send(RETURN);
  world.clock.advance(100);
  expect(borrower.heard).toMatchObject([{ id: 'b' }, { id: 'r', ok: true, event: 'returned' }]);
});

test('a request that another program withdraws is answered', () => {
  const [borrower, other] = [new Program(), new Program()];
  borrower.send(BORROW);
  other.send(RETURN);
  world.clock.advance(1_000);
  expect(borrower.heard).toMatchObject([{ id: 'b', ok: false, error: { code: 'withdrawn' } }]);
  expect(other.heard).toMatchObject([{ id: 'r', ok: true, event: 'withdrawn' }]);
  expect(world.host.views()[0]).toMatchObject({ holder: ANDROID });
});

test('a request whose bundle is lost before the driver resumed is answered', () => {
  const machine = new SimulatedMachine({ vms: VMS, bundles: [PANEL], seed: 1, sabotages: [] });
  // Longer than the host waits for a confirmation.
  start(() => machine.enforcer(), 8_000);
  const borrower = new Program();
  borrower.send({ ...BORROW, noticeMs: 0 });
  for (let i = 0; i < 1_500; i++) {
    machine.tick(8);
    world.clock.advance(8);
  }
  expect(borrower.heard).toMatchObject([{ id: 'b', ok: false, error: { code: 'lost' } }]);
});

test('a recall while the host is dead says at once that it is', () => {
  const [borrower, owner] = [new Program(), new Program(owners)];
  const recall = { id: 'c', do: 'recall', bundle: 'panel', graceMs: 500, force: true };
  borrower.send({ ...BORROW, leaseMs: 60_000 });
  world.clock.advance(200);
  world.host.stop();
  world.clock.advance(1_000);
  owner.send(recall);
  world.clock.advance(600);
  expect(owner.heard).toMatchObject([{ id: 'c', ok: true, hostSilent: { peer: 'host', up: false } }]);
  world.startHost();
  world.clock.advance(3_000);
  owner.send({ ...recall, id: 'd' });
  world.clock.advance(600);
  expect(owner.heard.at(-1)).not.toHaveProperty('hostSilent');
});

const OFFER = { id: 'o', do: 'offer', bundle: 'panel', to: VAULT };

test('an unasked offer is taken by a program there that watches, or withdrawn by a recall', () => {
  const [borrower, owner] = [new Program(), new Program(owners)];
  borrower.send({ id: 'w', do: 'watch' });
  world.clock.advance(10);
  owner.send(OFFER);
  world.clock.advance(100);
  expect(owner.heard).toEqual([{ id: 'o', ok: true, bundle: 'panel', to: VAULT, reservedMs: 10_000 }]);
  expect(borrower.heard).toContainEqual({
    ...{ event: 'offered', bundle: 'panel', leaseMs: 30_000, reservedMs: 10_000 },
  });
  owner.send({ id: 'c', do: 'recall', bundle: 'panel' });
  world.clock.advance(100);
  expect(owner.heard.at(-1)).toEqual({ id: 'c', ok: true, isOffer: true });
  owner.send(OFFER);
  world.clock.advance(100);
  borrower.send({ ...BORROW, progress: true });
  world.clock.advance(500);
  expect(borrower.heard).toContainEqual(expect.objectContaining({ id: 'b', ok: true, event: 'granted' }));
});

test.each([
  ['somebody who does not own it', () => control, OFFER, 'notOwner'],
  ['a VM that nobody knows', () => owners, { ...OFFER, to: 'nobody' }, 'badRequest'],
  ['a time that is none', () => owners, { ...OFFER, reservedMs: -1 }, 'badRequest'],
])('refuses an offer by or to %s', (_name, at, request, code) => {
  const program = new Program(at());
  program.send(request);
  expect(program.heard).toMatchObject([{ id: 'o', ok: false, error: { code } }]);
});

test('refuses an offer of what is lent', () => {
  const [borrower, owner] = [new Program(), new Program(owners)];
  borrower.send(BORROW);
  world.clock.advance(100);
  owner.send(OFFER);
  expect(owner.heard).toMatchObject([{ id: 'o', ok: false, error: { code: 'notNow' } }]);
});

test('a description has the present time on the clock of its events', () => {
  const program = new Program();
  program.send({ id: 'd', do: 'describe', bundle: 'panel' });
  world.clock.advance(600);
  const [{ nowMs, events }] = program.heard as [{ nowMs: number; events: string[] }];
  expect(nowMs).toBeLessThanOrEqual(world.clock.nowMs());
  expect(nowMs).toBeGreaterThanOrEqual(Number.parseInt(events.at(-1)!, 10));
});
