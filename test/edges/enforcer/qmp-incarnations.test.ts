/** The enforcer `qmp` over fake QEMUs: lives of guests, and QEMUs that do not answer. */

import { beforeEach, describe, expect, it } from 'vitest';
import { phaseRun } from '../../../src/core/host/remap.ts';
import { openQmpEnforcer, type QmpEnforcer } from '../../../src/edges/enforcer/kinds/qmp/qmp-enforcer.ts';
import { REDIAL_MS } from '../../../src/edges/enforcer/kinds/qmp/qmp-link.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { Feeder, key } from './fake-qmp.ts';
import {
  ADDRESS,
  android,
  clock,
  events,
  LIMIT_MS,
  logs,
  MOVED,
  move,
  open,
  options,
  phase,
  reset,
  run,
  streams,
  vault,
} from './qmp-rig.ts';

beforeEach(() => reset());

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
    // It comes back as a new incarnation.
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
