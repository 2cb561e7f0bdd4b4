/** The enforcer `qmp` over fake QEMUs: routing of events, and opening. */

import { beforeEach, describe, expect, it } from 'vitest';
import { phaseRun } from '../../../src/core/host/remap.ts';
import { type CheckResult, runConformance } from '../../../src/edges/enforcer/conformance.ts';
import { openQmpEnforcer, type QmpEnforcer } from '../../../src/edges/enforcer/kinds/qmp/qmp-enforcer.ts';
import type { EnforcerCall } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { abs, Feeder, key, touch } from './fake-qmp.ts';
import {
  ADDRESS,
  android,
  clock,
  inputOf,
  LIMIT_MS,
  logs,
  MOVED,
  move,
  open,
  options,
  phase,
  reset,
  run,
  several,
  streams,
  vault,
} from './qmp-rig.ts';

beforeEach(() => reset());

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
