/** The back end `qmp` over fake QEMUs: routing, lives of guests, deadlines, bounds. */

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeLine } from '../../src/control/lines.ts';
import { type CheckResult, runConformance } from '../../src/enforcer/conformance.ts';
import type { EnforcerAnswer, EnforcerCall, EnforcerEvent } from '../../src/enforcer/port.ts';
import { openQmpEnforcer, type QmpEnforcer } from '../../src/enforcer/qmp.ts';
import { EVENTS_MAX, parseEvents } from '../../src/enforcer/qmp-input.ts';
import { REDIAL_MS } from '../../src/enforcer/qmp-link.ts';
import { foldAnswers, NO_TALLY, phaseRun } from '../../src/host/remap.ts';
import { BUNDLES_MAX } from '../../src/protocol/bundle.ts';
import type { BundleDefinition, BundleId, RemapPhase, VmId } from '../../src/protocol/index.ts';
import { ANDROID, PANEL, VAULT } from '../../src/simulation/machine/board.ts';
import { VirtualClock } from '../../src/simulation/virtual-clock.ts';
import { BenchWorld, TERMS } from '../support/bench-world.ts';
import { abs, FakeQemu, FakeStreams, Feeder, key, touch } from './fake-qmp.ts';

const LIMIT_MS = 700; // Longer than the pause before a redial, so that timers of both can cross.
const ADDRESS = { android: 'unix:/android.qmp', vault: 'unix:/vault.qmp', input: 'unix:/panel.input' };

const inputOf = (id: BundleId) => `unix:/${id}.input`;

let clock: VirtualClock;
let streams: FakeStreams;
let android: FakeQemu;
let vault: FakeQemu;
let events: EnforcerEvent[];
let logs: string[];

beforeEach(() => {
  clock = new VirtualClock();
  streams = new FakeStreams(clock);
  android = new FakeQemu(streams, ADDRESS.android);
  vault = new FakeQemu(streams, ADDRESS.vault);
  events = [];
  logs = [];
});

function options(at = clock, bundles: readonly BundleDefinition[] = [PANEL]) {
  return {
    bundles,
    vms: new Map([
      [ANDROID, ADDRESS.android],
      [VAULT, ADDRESS.vault],
    ]),
    inputs: new Map(bundles.map(({ id }) => [id, inputOf(id)])),
    limitMs: LIMIT_MS,
    machineBoot: 'one',
    network: streams,
    clock: at,
    log: (level: string, message: string, fields?: object) =>
      void logs.push(`${level} ${message} ${JSON.stringify(fields)}`),
  };
}

/** Opens the back end and listens. Returns it and how long the opening took. */
function open(bundles = [PANEL]): QmpEnforcer {
  let result: QmpEnforcer | Error | undefined;
  openQmpEnforcer(options(clock, bundles), (opened) => {
    result = opened;
  });
  for (let ms = 0; ms < 2 * LIMIT_MS && !result; ms++) clock.advance(1);
  if (result === undefined || result instanceof Error) throw result ?? new Error('not opened in time');
  result.onEvent((event) => events.push(event));
  return result;
}

function run(
  enforcer: QmpEnforcer,
  calls: readonly EnforcerCall[],
  bundle = PANEL.id,
): readonly EnforcerAnswer[] {
  let answers: readonly EnforcerAnswer[] | undefined;
  enforcer.run(bundle, calls, (given) => {
    answers = given;
  });
  for (let ms = 0; ms < 3 * LIMIT_MS && !answers; ms++) clock.advance(1);
  if (!answers) throw new Error('no answers in time');
  return answers;
}

/** A phase as the host orders it. */
function phase(enforcer: QmpEnforcer, name: RemapPhase, to?: VmId, bundle = PANEL) {
  const asked = phaseRun(bundle, name, to);
  return foldAnswers(asked, 'asserted', run(enforcer, asked.calls, bundle.id), NO_TALLY).result;
}

function move(enforcer: QmpEnforcer, to: VmId, bundle = PANEL): boolean[] {
  return (['fence', 'settle', 'clean', 'grant'] as const).map((name) => phase(enforcer, name, to, bundle).ok);
}

/** Bundles alike, each with an input of its own. */
const several = (count: number): BundleDefinition[] =>
  Array.from({ length: count }, (_, i) => ({ ...PANEL, id: `b${i}` as BundleId }));

const MOVED = [true, true, true, true];

describe('routing', () => {
  it('passes what it claims of the conformance suite', () => {
    let results: readonly CheckResult[] | undefined;
    runConformance({ enforcer: open(), bundle: PANEL, vms: [ANDROID, VAULT] }, (given) => {
      results = given;
    });
    clock.advance(1_000);
    expect(results?.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
    expect(results?.filter(({ verdict }) => verdict === 'pass')).toHaveLength(15);
  });

  it('sends events to the holder alone, and to nobody while nobody holds', () => {
    const enforcer = open();
    const feeder = new Feeder(streams, ADDRESS.input);
    feeder.send(key('a', true), key('a', false));
    clock.advance(5);
    expect(move(enforcer, ANDROID)).toEqual(MOVED);
    feeder.send(key('b', true), key('b', false));
    clock.advance(5);
    expect(move(enforcer, VAULT)).toEqual(MOVED);
    feeder.send(abs('x', 7), abs('y', 9), touch(true), touch(false));
    clock.advance(5);
    phase(enforcer, 'fence');
    feeder.send(key('c', true));
    clock.advance(5);
    expect(android.seen).toEqual(['+b', '-b']);
    expect(vault.seen).toEqual(['x=7', 'y=9', '+left', '-left']);
  });

  it('opens when all of a bundle is granted, and closes with the first fence', () => {
    const enforcer = open();
    const feeder = new Feeder(streams, ADDRESS.input);
    const [first, ...others] = phaseRun(PANEL, 'grant', VAULT).calls.filter(({ op }) => op === 'grant');
    run(enforcer, [first!]);
    feeder.send(touch(true));
    clock.advance(5);
    run(enforcer, others);
    feeder.send(key('a', true));
    clock.advance(5);
    run(enforcer, [phaseRun(PANEL, 'fence', undefined).calls[0]!]);
    feeder.send(key('b', true));
    clock.advance(5);
    expect(vault.seen).toEqual(['+a']);
  });

  it('releases at the former holder what is down, and passes no end of it to the next', () => {
    const enforcer = open();
    const feeder = new Feeder(streams, ADDRESS.input);
    move(enforcer, ANDROID);
    feeder.send(key('shift', true), touch(true));
    clock.advance(5);
    move(enforcer, VAULT);
    feeder.send(key('shift', false), touch(false), key('1', true));
    clock.advance(5);
    expect(android.seen).toEqual(['+shift', '+left', '-shift', '-left']);
    expect(vault.seen).toEqual(['+1']);
  });

  it('of what a slow holder has not been sent drops everything but releases, when the bundle leaves it', () => {
    const enforcer = open();
    move(enforcer, VAULT);
    const feeder = new Feeder(streams, ADDRESS.input);
    feeder.send(key('a', true));
    clock.advance(5);
    vault.reactions.set('input-send-event', 'later');
    for (let i = 1; i <= 50; i++) feeder.send(abs('x', i));
    clock.advance(5);
    const sent = vault.commands.filter((command) => command === 'input-send-event').length - 1;
    expect(sent).toBeLessThan(20);
    phase(enforcer, 'fence');
    clock.after(20, () => vault.catchUp());
    expect(phase(enforcer, 'settle').ok).toBe(true);
    expect(vault.seen).toEqual(['+a', ...Array.from({ length: sent }, (_, i) => `x=${i + 1}`), '-a']);
  });

  it('releases at the former holder what was let go while it was slow, and had not been sent', () => {
    const enforcer = open();
    move(enforcer, VAULT);
    const feeder = new Feeder(streams, ADDRESS.input);
    feeder.send(key('a', true));
    clock.advance(5);
    vault.reactions.set('input-send-event', 'later');
    for (let i = 1; i <= 20; i++) feeder.send(abs('x', i));
    feeder.send(key('a', false));
    clock.advance(5);
    phase(enforcer, 'fence');
    clock.after(20, () => vault.catchUp());
    expect(phase(enforcer, 'settle').ok).toBe(true);
    expect([vault.seen[0], vault.seen.at(-1)]).toEqual(['+a', '-a']);
  });

  it('is taken at once, while another bundle settles at a QEMU that hangs', () => {
    const [first, second] = several(2);
    const enforcer = open([first!, second!]);
    move(enforcer, ANDROID, first);
    move(enforcer, VAULT, second);
    android.reactions.set('input-send-event', 'silence');
    new Feeder(streams, inputOf(first!.id)).send(key('a', true));
    const feeder = new Feeder(streams, inputOf(second!.id));
    clock.advance(5);
    phase(enforcer, 'fence', undefined, first);
    let isSettled = false;
    enforcer.run(first!.id, [{ op: 'settle' }], () => {
      isSettled = true;
    });
    const startMs = clock.nowMs();
    expect(phase(enforcer, 'fence', undefined, second).ok).toBe(true);
    feeder.send(key('b', true));
    clock.advance(5);
    expect([clock.nowMs() - startMs, isSettled, vault.seen]).toEqual([5, false, []]);
    expect(phase(enforcer, 'settle', undefined, second).ok).toBe(true);
    expect(isSettled).toBe(false);
    clock.advance(LIMIT_MS);
    expect(isSettled).toBe(true);
  });

  it('carries out the runs of one bundle in turn, and bounded', () => {
    const enforcer = open();
    move(enforcer, ANDROID);
    android.reactions.set('input-send-event', 'later');
    new Feeder(streams, ADDRESS.input).send(key('a', true));
    clock.advance(5);
    const told: string[] = [];
    const order = (name: string, calls: readonly EnforcerCall[]) =>
      enforcer.run(PANEL.id, calls, (answers) => told.push(`${name} ${answers.every(({ ok }) => ok)}`));
    order('fence', phaseRun(PANEL, 'fence', undefined).calls);
    order('settle', [{ op: 'settle' }]);
    order('grant', phaseRun(PANEL, 'grant', VAULT).calls);
    for (let i = 0; i < 7; i++) order('more', []);
    expect(told).toEqual(['fence true', 'more false']);
    android.catchUp();
    clock.advance(10);
    expect(told.slice(2)).toEqual(['settle true', 'grant true', ...Array(6).fill('more true')]);
  });

  it('goes on after a move to the same VM', () => {
    const enforcer = open();
    const feeder = new Feeder(streams, ADDRESS.input);
    move(enforcer, VAULT);
    move(enforcer, VAULT);
    feeder.send(key('a', true), key('a', false));
    clock.advance(5);
    expect(vault.seen).toEqual(['+a', '-a']);
  });

  it('releases what is down when who reads the device is gone', () => {
    const enforcer = open();
    move(enforcer, VAULT);
    const feeder = new Feeder(streams, ADDRESS.input);
    feeder.send(key('a', true));
    clock.advance(5);
    feeder.stream.close();
    clock.advance(5);
    expect(vault.seen).toEqual(['+a', '-a']);
  });

  it('says once when a QEMU has no such input device', () => {
    vault.reactions.set('input-send-event', 'error');
    const enforcer = open();
    move(enforcer, VAULT);
    const feeder = new Feeder(streams, ADDRESS.input);
    for (let i = 0; i < 5; i++) feeder.send(abs('x', i));
    clock.advance(20);
    expect(logs.filter((line) => line.startsWith('warn'))).toEqual([
      'warn input-send-event is not for us {"vm":"vault","bundle":"panel"}',
    ]);
  });
});

describe('input from outside', () => {
  it.each([
    [{}],
    [{ events: 7 }],
    [{ events: Array.from({ length: EVENTS_MAX + 1 }, () => touch(true)) }],
    [{ events: [null] }],
    [{ events: [{ type: 'key', data: { down: 1, key: { type: 'qcode', data: 'a' } } }] }],
    [{ events: [{ type: 'key', data: { down: true, key: { type: 'qcode', data: 'A"' } } }] }],
    [{ events: [{ type: 'key', data: { down: true, key: { type: 'number', data: 70_000 } } }] }],
    [{ events: [{ type: 'btn', data: { down: true, button: {} } }] }],
    [{ events: [{ type: 'abs', data: { axis: 'z', value: 1 } }] }],
    [{ events: [{ type: 'abs', data: { axis: 'x', value: -1 } }] }],
    [{ events: [{ type: 'rel', data: { axis: 'x', value: 1.5 } }] }],
    [{ events: [{ type: 'mtt', data: {} }] }],
  ])('%j is not passed on', (line) => {
    expect(parseEvents(line)).toBeUndefined();
  });

  it('is passed on without what is not known', () => {
    const line = { events: [{ ...touch(true), extra: 1, data: { down: true, button: 'left', more: [] } }] };
    expect(parseEvents(line)).toEqual([{ type: 'btn', data: { down: true, button: 'left' } }]);
  });

  it('that is not JSON, or from a fifth program, changes nothing', () => {
    const enforcer = open();
    move(enforcer, VAULT);
    const feeders = Array.from({ length: 5 }, () => new Feeder(streams, ADDRESS.input));
    feeders[0]!.stream.write(Uint8Array.from([0xff, 0x7b, 0x0a, 0x0a]));
    feeders[0]!.stream.write(Uint8Array.from([0x7b, 0x7d, 0x0a]));
    clock.advance(5);
    expect(feeders.map(({ isClosed }) => isClosed)).toEqual([false, false, false, false, true]);
    feeders[0]!.send(key('a', true));
    clock.advance(5);
    expect(vault.seen).toEqual(['+a']);
    expect(logs.filter((line) => line.includes('not understood'))).toHaveLength(1);
  });

  it('that comes faster than a QEMU takes it is dropped, but never a release', () => {
    const enforcer = open();
    move(enforcer, VAULT);
    const feeder = new Feeder(streams, ADDRESS.input);
    feeder.send(key('a', true));
    clock.advance(5);
    vault.reactions.set('input-send-event', 'silence');
    for (let i = 0; i < 2_000; i++) feeder.send(abs('x', i));
    feeder.send(key('a', false), key('b', true));
    clock.advance(5);
    expect(vault.commands.filter((command) => command === 'input-send-event').length).toBeLessThan(12);
    expect(logs.filter((line) => line.includes('dropped'))).toHaveLength(1);
  });
});

it('loses no release where every bundle has as much on its way to one slow QEMU as it may', () => {
  const bundles = several(BUNDLES_MAX);
  const enforcer = open(bundles);
  for (const bundle of bundles) move(enforcer, VAULT, bundle);
  const feeders = bundles.map(({ id }) => new Feeder(streams, inputOf(id)));
  feeders.at(-1)!.send(key('a', true));
  clock.advance(5);
  vault.reactions.set('input-send-event', 'later');
  for (const feeder of feeders.slice(0, -1)) for (let i = 0; i < 20; i++) feeder.send(abs('x', i));
  clock.advance(5);
  feeders.at(-1)!.send(key('a', false));
  clock.advance(5);
  vault.catchUp();
  clock.advance(20);
  expect(vault.seen.filter((text) => text.endsWith('a'))).toEqual(['+a', '-a']);
  expect(logs.filter((line) => line.startsWith('warn'))).toEqual([]);
});

describe('lives', () => {
  it('of QEMUs that run are known at once; one that starts and one that ends are told', () => {
    vault.die();
    const enforcer = open();
    expect(enforcer.running()).toEqual([ANDROID]);
    vault.start();
    clock.advance(REDIAL_MS + 20);
    expect(events).toEqual([{ kind: 'vmStarting', vm: VAULT }]);
    expect(enforcer.running()).toEqual([ANDROID, VAULT]);
    android.die();
    clock.advance(5);
    expect(events.at(-1)).toEqual({ kind: 'vmExited', vm: ANDROID });
    expect(enforcer.running()).toEqual([VAULT]);
  });

  it('of what changes before anybody listens are told to who does', () => {
    let enforcer: QmpEnforcer | undefined;
    openQmpEnforcer(options(), (opened) => {
      enforcer = opened as QmpEnforcer;
    });
    clock.advance(20);
    vault.die();
    clock.advance(20);
    expect(enforcer!.running()).toEqual([ANDROID, VAULT]);
    enforcer!.onEvent((event) => events.push(event));
    expect(events).toEqual([{ kind: 'vmExited', vm: VAULT }]);
    expect(enforcer!.running()).toEqual([ANDROID]);
  });

  it('that wait for their first instruction run when that is acknowledged', () => {
    vault.status = 'prelaunch';
    const enforcer = open();
    expect(events).toEqual([{ kind: 'vmStarting', vm: VAULT }]);
    expect(enforcer.running()).toEqual([ANDROID]);
    expect(move(enforcer, VAULT)).toEqual(MOVED);
    enforcer.acknowledgeStart(VAULT);
    clock.advance(5);
    expect(vault.status).toBe('running');
    expect(enforcer.running()).toEqual([ANDROID, VAULT]);
    expect(phase(enforcer, 'inspect')).toMatchObject({ reach: VAULT });
  });

  it.each(['SHUTDOWN', 'RESET'])('end with %s, and what they held with them', (event) => {
    const enforcer = open();
    move(enforcer, VAULT);
    vault.status = event === 'SHUTDOWN' ? 'shutdown' : 'running';
    vault.emit(event);
    clock.advance(10);
    expect(events[0]).toEqual({ kind: 'vmExited', vm: VAULT });
    expect(phase(enforcer, 'inspect')).toMatchObject({ reach: 'unknown' });
    expect(events.slice(1)).toEqual(event === 'RESET' ? [{ kind: 'vmStarting', vm: VAULT }] : []);
    new Feeder(streams, ADDRESS.input).send(key('a', true));
    clock.advance(5);
    expect(vault.seen).toEqual([]);
    expect(move(enforcer, ANDROID)).toEqual(MOVED);
  });

  it('do not begin in a QEMU whose guest is shut down', () => {
    vault.status = 'shutdown';
    const enforcer = open();
    expect(enforcer.running()).toEqual([ANDROID]);
    expect(run(enforcer, phaseRun(PANEL, 'grant', VAULT).calls)[0]).toMatchObject({
      ok: false,
      error: expect.stringContaining('vault is not running'),
    });
  });
});

describe('a QMP that does not answer', () => {
  it('at its greeting, or to the connection, keeps nobody waiting for ever', () => {
    vault.greets = false;
    streams.silent.add(ADDRESS.android);
    const enforcer = open();
    expect(enforcer.running()).toEqual([]);
    expect(logs).toContain(
      `warn no QMP: no QMP greeting within ${LIMIT_MS} ms {"vm":"vault","address":"unix:/vault.qmp"}`,
    );
    clock.advance(20 * (REDIAL_MS + LIMIT_MS));
    // The same trouble is told once, and no connection piles up.
    expect(logs.filter((line) => line.startsWith('warn'))).toHaveLength(2);
    expect(vault.connections).toBeLessThanOrEqual(1);
    expect(streams.dials).toBeLessThan(50);
  });

  it.each(['qmp_capabilities', 'query-status'])(
    'but with an error to %s is named, keeps nobody waiting, and is found when it is well',
    (command) => {
      vault.reactions.set(command, 'error');
      const enforcer = open();
      expect(enforcer.running()).toEqual([ANDROID]);
      clock.advance(5 * REDIAL_MS);
      // The same trouble is told once, and each attempt leaves one connection and one timer at most.
      expect(logs.filter((line) => line.startsWith('warn'))).toEqual([
        `warn no QMP: ${command}: ${command} is not for us {"vm":"vault","address":"unix:/vault.qmp"}`,
      ]);
      expect(streams.dials).toBeLessThan(10);
      expect(vault.connections).toBeLessThanOrEqual(1);
      vault.reactions.clear();
      clock.advance(REDIAL_MS + 20);
      expect(enforcer.running()).toEqual([ANDROID, VAULT]);
      expect(vault.connections).toBe(1);
    },
  );

  it('but with an error to its status after a reset is dialled again', () => {
    const enforcer = open();
    vault.reactions.set('query-status', 'error');
    vault.emit('RESET');
    clock.advance(10);
    vault.reactions.clear();
    clock.advance(REDIAL_MS + 20);
    expect(enforcer.running()).toEqual([ANDROID, VAULT]);
  });

  it('to an event counts as ended, and the bundle can leave it', () => {
    const enforcer = open();
    move(enforcer, VAULT);
    vault.reactions.set('input-send-event', 'silence');
    const feeder = new Feeder(streams, ADDRESS.input);
    feeder.send(key('a', true));
    clock.advance(5);
    const startMs = clock.nowMs();
    expect(move(enforcer, ANDROID)).toEqual(MOVED);
    expect(clock.nowMs() - startMs).toBeLessThanOrEqual(LIMIT_MS + 10);
    expect(events[0]).toEqual({ kind: 'vmExited', vm: VAULT });
    expect(logs.join('\n')).toContain(`QMP did not answer input-send-event within ${LIMIT_MS} ms`);
    // It comes back as a new life.
    clock.advance(REDIAL_MS + 20);
    expect(events.at(-1)).toEqual({ kind: 'vmStarting', vm: VAULT });
  });

  it('to a connection that comes about too late is given up, and that connection closed', () => {
    streams.slow.set(ADDRESS.vault, LIMIT_MS + 20);
    const enforcer = open();
    expect(enforcer.running()).toEqual([ANDROID]);
    clock.advance(REDIAL_MS - 10);
    expect(vault.connections).toBe(0);
    streams.slow.clear();
    clock.advance(2 * REDIAL_MS);
    expect(enforcer.running()).toEqual([ANDROID, VAULT]);
  });

  it('of the connection before does not end the next one', () => {
    const enforcer = open();
    move(enforcer, VAULT);
    vault.reactions.set('input-send-event', 'silence');
    new Feeder(streams, ADDRESS.input).send(key('a', true));
    clock.advance(5);
    vault.die();
    clock.advance(5);
    vault.reactions.clear();
    vault.start();
    const { length } = events;
    clock.advance(REDIAL_MS + 3 * LIMIT_MS);
    expect(events.slice(length)).toEqual([{ kind: 'vmStarting', vm: VAULT }]);
  });

  it('but babbles is dropped, and dialled again', () => {
    const enforcer = open();
    vault.babble('no JSON at all\n');
    clock.advance(5);
    expect(enforcer.running()).toEqual([ANDROID]);
    clock.advance(REDIAL_MS + 20);
    expect(enforcer.running()).toEqual([ANDROID, VAULT]);
    vault.say({ id: 'x', return: 1 });
    vault.say({ id: 999, error: 'odd' });
    vault.say({ event: {} });
    clock.advance(5);
    expect(enforcer.running()).toEqual([ANDROID, VAULT]);
  });
});

it('throws at nothing that a QEMU or a feeder says', () => {
  const word = fc.constantFrom('QMP', 'event', 'id', 'return', 'error', 'events', 'type', 'data', 'status');
  const value = fc.anything({ withNullPrototype: true, maxDepth: 3 });
  const said = fc.dictionary(
    fc.oneof(word, fc.string()),
    fc.oneof(value, fc.constantFrom('RESET', 'SHUTDOWN', 1, 2)),
  );
  fc.assert(
    fc.property(fc.array(said, { maxLength: 12 }), (lines) => {
      clock = new VirtualClock();
      streams = new FakeStreams(clock);
      android = new FakeQemu(streams, ADDRESS.android);
      vault = new FakeQemu(streams, ADDRESS.vault);
      const enforcer = open();
      move(enforcer, VAULT);
      const feeder = new Feeder(streams, ADDRESS.input);
      for (const line of lines) {
        const json = JSON.parse(
          JSON.stringify(line, (_, inner) => (typeof inner === 'bigint' ? `${inner}` : inner)),
        );
        vault.say(json);
        feeder.stream.write(encodeLine(json));
        feeder.stream.write(encodeLine({ events: [json] }));
        clock.advance(3);
      }
      clock.advance(2 * (REDIAL_MS + LIMIT_MS));
      expect(move(enforcer, ANDROID)).toEqual(MOVED);
      expect(android.connections).toBe(1);
    }),
    { numRuns: 200 },
  );
});

it('does not open where an input cannot be listened for, and leaves nothing behind', () => {
  streams.listeners.set(ADDRESS.input, () => {});
  let result: QmpEnforcer | Error | undefined;
  openQmpEnforcer(options(), (opened) => {
    result = opened;
  });
  clock.advance(20);
  expect(result).toBeInstanceOf(Error);
  const { dials } = streams;
  clock.advance(5_000);
  expect(streams.dials).toBe(dials);
  expect(android.connections).toBe(0);
});

it('routes nothing after a restart of the host until it grants anew, and the owner is granted', () => {
  const made: { enforcer?: QmpEnforcer } = {};
  const world = new BenchWorld([ANDROID, VAULT], [PANEL], () => made.enforcer!);
  streams = new FakeStreams(world.clock);
  android = new FakeQemu(streams, ADDRESS.android);
  vault = new FakeQemu(streams, ADDRESS.vault);
  const openAt = (machineBoot: string) => {
    openQmpEnforcer({ ...options(world.clock), machineBoot }, (opened) => {
      made.enforcer = opened as QmpEnforcer;
    });
    world.clock.advance(20);
  };
  openAt('one');
  world.startHost();
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(1_500);
  const borrow = () => world.agents.get(VAULT)!.borrow(PANEL.id, { ...TERMS, evidence: 'asserted' });
  borrow();
  world.clock.advance(200);
  expect(world.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: true });
  world.host.stop();
  made.enforcer!.close();
  world.clock.advance(20);
  openAt('two');
  new Feeder(streams, ADDRESS.input).send(key('1', true), key('1', false));
  world.startHost();
  world.clock.advance(4_000);
  expect(vault.seen).toEqual([]);
  expect(world.host.views()[0]).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
  expect(world.told(VAULT).at(-1)).toBe('returned');
  expect(world.drivers.get(VAULT)!.status).toBe('suspended');
  borrow();
  world.clock.advance(300);
  expect(world.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: true });
});

it('takes a bundle from a borrower that hangs, under a host', () => {
  const made: { enforcer?: QmpEnforcer } = {};
  const world = new BenchWorld([ANDROID, VAULT], [PANEL], () => made.enforcer!);
  streams = new FakeStreams(world.clock);
  android = new FakeQemu(streams, ADDRESS.android);
  vault = new FakeQemu(streams, ADDRESS.vault);
  openQmpEnforcer(options(world.clock), (opened) => {
    made.enforcer = opened as QmpEnforcer;
  });
  world.clock.advance(20);
  world.startHost();
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(1_500);
  const terms = { ...TERMS, evidence: 'asserted', leaseMs: 1_500, noticeMs: 200 } as const;
  world.agents.get(VAULT)!.borrow(PANEL.id, terms);
  world.clock.advance(200);
  expect(world.host.views()[0]).toMatchObject({ holder: VAULT, confirmed: true });
  const feeder = new Feeder(streams, ADDRESS.input);
  feeder.send(key('1', true), key('1', false));
  world.clock.advance(10);
  // Guest and agent hang: nothing is answered, by QMP or by the agent.
  world.drivers.get(VAULT)!.next = { suspend: 'hang', quiesce: 'hang' };
  vault.reactions.set('*', 'silence');
  world.clock.advance(4_000);
  expect(world.host.views()[0]).toMatchObject({ state: 'held', holder: ANDROID, confirmed: true });
  feeder.send(key('2', true));
  world.clock.advance(10);
  expect([vault.seen, android.seen]).toEqual([['+1', '-1'], ['+2']]);
});
