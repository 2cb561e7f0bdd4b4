/**
 * What systemd is told, and how often, on a virtual clock. That it arrives is tested with processes
 * (test/quickjs/supervisor.test.ts).
 */

import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';
import { supervisorOf } from '../../targets/native/supervisor.ts';

const EAGAIN = -11;

/** A supervisor with this environment, and what was told to it. */
function supervised(environment: Record<string, string>) {
  const clock = new VirtualClock();
  const told: (readonly [where: string, word: string])[] = [];
  const warned: string[] = [];
  const world = { result: 0 };
  const core = {
    sendDatagram: (where: string, buffer: ArrayBufferLike, offset: number, count: number) => {
      told.push([where, new TextDecoder().decode(new Uint8Array(buffer, offset, count))]);
      return world.result;
    },
  };
  const log = (_level: string, message: string) => warned.push(message);
  return {
    clock,
    told,
    warned,
    world,
    supervisor: supervisorOf({ core, clock, environment, pid: 42, log }),
  };
}

describe('systemd', () => {
  it('is told nothing where it is not there', () => {
    const { supervisor, told } = supervised({ WATCHDOG_USEC: '1000000' });
    supervisor.ready();
    supervisor.stopping();
    expect(told).toEqual([]);
  });

  it('is told that the daemon serves and that it ends, at an abstract name as well', () => {
    const { supervisor, told, clock } = supervised({ NOTIFY_SOCKET: '@notify' });
    supervisor.ready();
    clock.advance(60_000);
    supervisor.stopping();
    expect(told).toEqual([
      ['\0notify', 'READY=1'],
      ['\0notify', 'STOPPING=1'],
    ]);
  });

  it('is told twice in each limit that the daemon is alive, from when it serves', () => {
    const { supervisor, told, clock } = supervised({
      NOTIFY_SOCKET: '/run/systemd/notify',
      WATCHDOG_USEC: '10000000',
      WATCHDOG_PID: '42',
    });
    clock.advance(60_000);
    expect(told).toEqual([]);
    supervisor.ready();
    clock.advance(14_999);
    expect(told.map(([, word]) => word)).toEqual(['READY=1', 'WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
    clock.advance(1);
    expect(told).toHaveLength(5);
  });

  it('watches another process: nothing is told of this one', () => {
    const { supervisor, told, clock } = supervised({
      NOTIFY_SOCKET: '/run/systemd/notify',
      WATCHDOG_USEC: '10000000',
      WATCHDOG_PID: '41',
    });
    supervisor.ready();
    clock.advance(60_000);
    expect(told.map(([, word]) => word)).toEqual(['READY=1']);
  });

  it('does not hear: said once, until it hears again', () => {
    const { supervisor, warned, world, clock } = supervised({
      NOTIFY_SOCKET: '/run/systemd/notify',
      WATCHDOG_USEC: '2000000',
    });
    world.result = EAGAIN;
    supervisor.ready();
    clock.advance(5_000);
    expect(warned).toEqual(['cannot notify systemd: EAGAIN']);
    world.result = 0;
    clock.advance(1_000);
    world.result = EAGAIN;
    clock.advance(5_000);
    expect(warned).toHaveLength(2);
  });
});
