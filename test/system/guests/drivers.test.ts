/**
 * Every kind of hook on a real kernel: two plain guests, an agent in each, lend devices of theirs to each other. What
 * a hook has done is judged by the kernel alone: by what a consumer of the input device reads, and by attributes that
 * no step writes.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import {
  type DriverBundle,
  DriverTestbed,
  missingForDrivers,
} from '../../../targets/lab/testbed/driver-testbed.ts';
import { ANDROID, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import type { GuestCommand } from '../../../targets/lab/testbed/plain-guest.ts';
import { paced } from '../../support/pace.ts';
import { Finger } from './touch.ts';

const ROOT = join(import.meta.dirname, '../../..');
const AGENT = join(ROOT, 'dist/quickjs/aarch64/baton-agent');
const missing = missingForDrivers() ?? (existsSync(AGENT) ? undefined : 'needs npm run build:quickjs');
if (missing !== undefined) console.warn(`test:guests ${missing}`);

/** Handovers of each kind. */
const ROUNDS = 2;
/** Places that are felt before a loan, so that it has something to interrupt. */
const FELT_FIRST = 6;
const STEP_MS = paced(10_000);
/** Of linux/input-event-codes.h, as `guest-drivers events` prints them: type and code. */
const X = 'event 3 53 ';
const FINGER_GONE = 'event 3 57 -1';
const TOUCH_UP = 'event 1 330 0';
const TABLET_X = 'event 3 0 ';

const testbed = new DriverTestbed(ROOT);
const touch = (name: DriverBundle) => `/sys/devices/platform/touch-${name}`;

describe.skipIf(missing !== undefined).sequential(`driver hooks${missing ? `: ${missing}` : ''}`, () => {
  beforeAll(() => testbed.start());
  afterAll(() => testbed.stop());

  const read = (path: string, vm: VmId = ANDROID) => testbed.guest(vm).tell(`cat ${path}`);
  const poke = (name: DriverBundle, what: string, vm: VmId = ANDROID) =>
    testbed.guest(vm).tell(`echo "${what}" > ${touch(name)}/touch`);
  const sees = (consumer: GuestCommand, line: string) =>
    testbed.guest(ANDROID).until(`a consumer reads ${line}`, STEP_MS, () => consumer.lines.includes(line));
  /** A program in `android` that has an input device open, and reads it. */
  const consume = async (name: string) => {
    const consumer = await testbed.guest(ANDROID).command(`/baton/guest-drivers events '${name}'`);
    await sees(consumer, 'open');
    return consumer;
  };
  /** A few handovers. */
  const lend = async (bundle: DriverBundle, look: (isLent: boolean, round: number) => Promise<void>) => {
    for (let round = 0; round < ROUNDS; round++) {
      await testbed.borrow(bundle);
      await look(true, round);
      await testbed.giveBack(bundle);
      await look(false, round);
    }
  };

  it.each(['inhibit', 'off', 'command', 'shell', 'socket'] as const)(
    '%s: what has the device open reads nothing while it is lent, and reads on after that',
    async (name) => {
      const consumer = await consume(`touch-${name}`);
      await poke(name, '1 1');
      await sees(consumer, `${X}1`);
      const lostBefore = Number(await read(`${touch(name)}/lost`));
      await lend(name, async (isLent, round) => {
        const place = 10 * (round + 1);
        if (isLent) {
          // The finger was down: the kernel lifts it for whoever reads.
          await sees(consumer, FINGER_GONE);
          await sees(consumer, TOUCH_UP);
          expect(await read(`${touch(name)}/power/runtime_status`)).toBe('suspended');
          await poke(name, `${place} 1`);
          await poke(name, 'up');
        } else {
          expect(await read(`${touch(name)}/power/runtime_status`)).toBe('active');
          await poke(name, `${place + 1} 1`);
          await sees(consumer, `${X}${place + 1}`);
        }
      });
      const places = consumer.lines.filter((line) => line.startsWith(X));
      expect(places).toEqual(['1', '11', '21'].map((place) => X + place));
      expect(Number(await read(`${touch(name)}/lost`)) - lostBefore).toBe(2 * ROUNDS);
      expect(consumer.lines.join()).not.toContain('gone');
      consumer.close();
    },
  );

  it('input-inhibit: a finger that always moves on a device of virtio is felt only while it is held', async () => {
    const consumer = await consume('QEMU Virtio Tablet');
    const finger = await Finger.on(testbed.guest(ANDROID).qmp);
    const places = () =>
      consumer.lines.flatMap((line) =>
        line.startsWith(TABLET_X) ? [Number(line.slice(TABLET_X.length))] : [],
      );
    const feels = (from: number) =>
      testbed.guest(ANDROID).until('android feels the finger', STEP_MS, () => (places().at(-1) ?? 0) > from);
    const lent: [number, number][] = [];
    let from = 0;
    // However slowly it moves.
    await testbed
      .guest(ANDROID)
      .until('android feels the finger', STEP_MS, () => places().length > FELT_FIRST);
    await lend('tablet', async (isLent) => {
      if (isLent) {
        from = finger.place;
        await testbed.guest(ANDROID).until('the finger moves', STEP_MS, () => finger.place > from + 10);
        lent.push([from, finger.place]);
      } else await feels(finger.place);
    });
    finger.lift();
    consumer.close();
    const felt = (first: number, last: number) => places().filter((place) => place > first && place <= last);
    // QEMU may still have had one on its way when the loan was told.
    for (const [first, last] of lent) expect(felt(first + 1, last)).toEqual([]);
    expect(felt(0, lent[0]![0]).length).toBeGreaterThan(FELT_FIRST / 2);
  });

  it.each(['runtime', 'attribute'] as const)(
    '%s: a device that may sleep is left so by a start of the agent and by a loan',
    async (name) => {
      const control = `${touch(name)}/power/control`;
      await testbed.guest(ANDROID).tell(`echo auto > ${control}; killall -9 baton-agent`);
      await testbed.serves(ANDROID);
      expect(await read(control)).toBe('auto');
      await lend(name, async () => {
        expect(await read(`${touch(name)}/power/runtime_status`)).toBe('suspended');
        expect(await read(control)).toBe('auto');
      });
      await testbed.guest(ANDROID).tell(`echo on > ${control}`);
    },
  );

  it.each(['runtime', 'attribute'] as const)(
    '%s: suspended while it is lent, active after that',
    async (name) => {
      await lend(name, async (isLent) => {
        expect(await read(`${touch(name)}/power/runtime_status`)).toBe(isLent ? 'suspended' : 'active');
      });
    },
  );

  it('runtime-pm: a device that somebody has open stays awake, so it is not lent, and works on', async () => {
    const consumer = await consume('touch-runtime');
    await expect(testbed.borrow('runtime')).rejects.toThrow('declined');
    await poke('runtime', '5 5');
    await sees(consumer, `${X}5`);
    expect(await read(`${touch('runtime')}/power/control`)).toBe('on');
    consumer.close();
  });

  it('fb-blank: the display is off while it is lent', async () => {
    await lend('display', async (isLent) => {
      expect(await read('/sys/class/drm/card0-Virtual-1/dpms')).toBe(isLent ? 'Off' : 'On');
    });
  });

  it('fb-blank: while somebody is DRM master the write blanks nothing, so the display is not lent', async () => {
    const dpms = '/sys/class/drm/card0-Virtual-1/dpms';
    await testbed.guest(ANDROID).tell('sleep 1000 < /dev/dri/card0 > /dev/null 2>&1 & echo $! > /run/master');
    const fails = () =>
      testbed.borrow('display').then(
        () => false,
        (error) => String(error).includes('hookFailed'),
      );
    await testbed.guest(ANDROID).until('its hook fails', STEP_MS, fails);
    expect(await read(dpms)).toBe('On');
    const why = "grep -c 'does a DRM master' /run/agent.log || true";
    const isTold = async () => /^[1-9]/.test(await testbed.guest(ANDROID).tell(why));
    await testbed.guest(ANDROID).until('its agent says why', STEP_MS, isTold);
    await testbed.guest(ANDROID).tell('kill $(cat /run/master)');
    await lend('display', async (isLent) => {
      expect(await read(dpms)).toBe(isLent ? 'Off' : 'On');
    });
  });

  it('unbind: the driver is gone while it is lent, and with it what had the device open', async () => {
    const consumer = await consume('touch-unbind');
    await lend('unbind', async (isLent) => {
      const driver = await testbed.guest(ANDROID).run(`readlink ${touch('unbind')}/driver`);
      expect(driver.output).toBe(isLent ? '' : '../../../bus/platform/drivers/baton-touch');
      if (isLent) await sees(consumer, 'gone No such device');
    });
    const again = await consume('touch-unbind');
    await poke('unbind', '7 7');
    await sees(again, `${X}7`);
    again.close();
  });

  it('trusted-touch: lent in one guest and accepted in the other, touches reach the one that has it', async () => {
    const consumer = await consume('touch-trusted');
    await lend('trusted', async (isLent, round) => {
      for (const vm of [ANDROID, VAULT])
        expect(await read(`${touch('trusted')}/trusted_touch_enable`, vm)).toBe(isLent ? '1' : '0');
      await poke('trusted', `${2 * round + (isLent ? 0 : 1)} 1`);
      if (!isLent) await sees(consumer, `${X}${2 * round + 1}`);
    });
    expect(consumer.lines.filter((line) => line.startsWith(X))).toEqual([`${X}1`, `${X}3`]);
    // The first write finds no notices, so it took a second one.
    expect(await read(`${touch('trusted')}/trusted_touch_event`, VAULT)).toBe('0');
    consumer.close();
  });

  it('kill -9 of the owner’s agent while all is lent: the next one mends what it finds of each driver', async () => {
    const told: DriverBundle[] = ['inhibit', 'runtime', 'off', 'tablet', 'attribute', 'unbind', 'trusted'];
    for (const name of told) await testbed.borrow(name);
    // Somebody wakes one of them while no agent is there.
    const wake = `for each in ${touch('off')}/input/input*/inhibited; do echo 0 > $each; done`;
    await testbed.guest(ANDROID).tell(`killall -9 baton-agent; ${wake}`);
    await testbed.serves(ANDROID);
    for (const name of told)
      expect(await testbed.view(ANDROID, name), name).toMatchObject({ state: 'lent', driver: 'suspended' });
    expect(await read(`${touch('off')}/input/input*/inhibited`)).toBe('1');
    for (const name of told) {
      await testbed.giveBack(name);
      expect(await testbed.view(ANDROID, name), name).toMatchObject({ state: 'held', driver: 'active' });
    }
    expect(await read(`${touch('unbind')}/input/input*/inhibited`)).toBe('0');
  });

  it('no kernel has anything to complain about', async () => {
    for (const vm of [ANDROID, VAULT]) {
      expect(testbed.guest(vm).console()).not.toMatch(/cannot load/);
      expect(await testbed.guest(vm).tell('dmesg')).not.toMatch(/Oops|BUG:|Kernel panic|Call trace|WARNING:/);
    }
  });
});
