/**
 * Two Linux guests on real KVM lend each other a USB tablet: Debian's kernel and its own drivers, the static agent in each guest, over
 * AF_VSOCK to `baton-host`. A finger moves on the tablet all the time; who felt it is judged by the guests' input devices alone.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../../../src/control/lines.ts';
import type { VmId } from '../../../src/protocol/ids.ts';
import { ANDROID, VAULT } from '../../../targets/native/bed/hardware.ts';
import { missingPrograms } from '../../../targets/native/bed/kvm-machine.ts';
import { GUEST_MS, LinuxBed } from './linux-bed.ts';
import { Finger, turnsOf } from './touch.ts';

const ROOT = join(import.meta.dirname, '../../..');
const AGENT = join(ROOT, 'dist/quickjs/aarch64/baton-agent');
const missing = missingPrograms() ?? (existsSync(AGENT) ? undefined : 'needs npm run build:quickjs');
if (missing !== undefined) console.warn(`test:guests ${missing}`);

const MOVES = 3;
const STEP_MS = 20_000;
/** Shortest wait that is printed, in ms. */
const SHOWN_MS = 500;
const SOCKET = '--socket /run/agent.sock';
/** What borrows: a program that is content with 20 touches, of 2 events of 24 bytes each. */
const NODE = '/dev/input/event0';
const TOUCHED = `/bin/sh -c "until [ -e ${NODE} ]; do sleep 0.02; done; head -c 960 ${NODE} > /dev/null"`;

const bed = new LinuxBed(ROOT, join(ROOT, 'dist'), AGENT);
let finger: Finger;

describe.skipIf(missing !== undefined).sequential(`two Linux guests${missing ? `: ${missing}` : ''}`, () => {
  beforeAll(async () => {
    await bed.start();
    await isBack();
    finger = await Finger.on(bed.machine.qmp);
    await feels(ANDROID);
  });
  afterAll(async () => {
    finger?.lift();
    await bed.stop();
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') bed.machine.keep();
    const waits = bed.waits.splice(0).filter(({ ms }) => ms >= SHOWN_MS);
    console.log(waits.map(({ what, ms }) => `${(ms / 1000).toFixed(1)} s: ${what}`).join('\n'));
  });

  const isBack = () =>
    bed
      .until('android holds, its driver works', STEP_MS, async () => {
        const { holder, confirmed } = await bed.view();
        return holder === ANDROID && confirmed === true;
      })
      .catch(async (error) => {
        throw new Error(`${error.message}; the host says ${JSON.stringify(await bed.view())}`);
      });
  /** Waits until a guest feels where the finger is now. */
  const feels = (vm: VmId) => {
    const from = finger.place;
    return bed.until(`${vm} feels the finger`, STEP_MS, () => (bed.touches(vm).at(-1) ?? 0) > from);
  };
  const borrow = (more: string, command: string) =>
    bed.run(VAULT, `/baton/baton borrow tablet ${SOCKET} ${more} -- ${command} 2>&1`);
  /** All touches since a place, as turns. */
  const turnsSince = (place: number) =>
    turnsOf(
      [ANDROID, VAULT].flatMap((vm) =>
        bed.touches(vm).flatMap((each) => (each > place ? [{ vm, place: each }] : [])),
      ),
    );

  it('feel the finger in turn, each only while it holds the tablet', async () => {
    const from = finger.place;
    for (let move = 0; move < MOVES; move++) {
      const { status, output } = await borrow('--lease 15s', TOUCHED);
      expect(status, output).toBe(0);
      await isBack();
      await feels(ANDROID);
    }
    const turns = turnsSince(from);
    console.log(turns.map(({ vm, from: first, to, count }) => `${vm} ${first}-${to} (${count})`).join(', '));
    const expected = Array.from({ length: MOVES }, () => [ANDROID, VAULT]).flat();
    expect(turns.map(({ vm }) => vm)).toEqual([...expected, ANDROID]);
    // The last turn has just begun.
    for (const { count } of turns.slice(0, -1)) expect(count).toBeGreaterThan(3);
  });

  it('kill -9 of the borrower’s agent: it starts again and gives back', async () => {
    const from = finger.place;
    const borrowed = borrow('--lease 15s', 'sleep 10');
    await feels(VAULT);
    await bed.signalAgent(VAULT, 'KILL');
    // What `baton borrow` ends with when its agent is gone.
    expect((await borrowed).status).toBe(79);
    await isBack();
    await feels(ANDROID);
    expect(turnsSince(from).map(({ vm }) => vm)).toEqual([ANDROID, VAULT, ANDROID]);
  });

  it('kill -9 of the owner’s agent while it is lent: it starts again and takes its tablet back', async () => {
    const from = finger.place;
    const borrowed = borrow('--lease 20s', 'sleep 2');
    await feels(VAULT);
    await bed.signalAgent(ANDROID, 'KILL');
    expect(await bed.view()).toMatchObject({ holder: VAULT });
    expect((await borrowed).status).toBe(0);
    await isBack();
    await feels(ANDROID);
    expect(turnsSince(from).map(({ vm }) => vm)).toEqual([ANDROID, VAULT, ANDROID]);
  });

  it('a borrower that hangs loses it at the end of its lease; what its driver touches then is refused, and named', async () => {
    const from = finger.place;
    void borrow('--lease 4s --notice 200ms', 'sleep 1000').catch(() => {});
    await feels(VAULT);
    await bed.signalAgent(VAULT, 'STOP');
    await isBack();
    await feels(ANDROID);
    expect(turnsSince(from).map(({ vm }) => vm)).toEqual([ANDROID, VAULT, ANDROID]);
    const faults = () => bed.told.filter(({ event }) => event['event'] === 'fault').map(({ event }) => event);
    await bed.until('the fault is named', STEP_MS, () => faults().some((fault) => isOf(fault, VAULT)));
    await bed.signalAgent(VAULT, 'CONT');
    await bed.until('vault gives up', STEP_MS, () => bed.isAnswered(VAULT));
  });

  it(
    'a guest that is restarted while it holds loses it, and borrows again',
    async () => {
      const from = finger.place;
      void borrow('--lease 15s', 'sleep 1000').catch(() => {});
      await feels(VAULT);
      await bed.restart(VAULT);
      await isBack();
      await feels(ANDROID);
      const { status, output } = await borrow('--lease 15s', TOUCHED);
      expect(status, output).toBe(0);
      await isBack();
      await feels(ANDROID);
      expect(turnsSince(from).map(({ vm }) => vm)).toEqual([ANDROID, VAULT, ANDROID, VAULT, ANDROID]);
    },
    2 * GUEST_MS,
  );

  it('no kernel has anything to complain about', () => {
    expect(bed.machine.console()).not.toMatch(/Oops|BUG|panic|Call trace/);
  });
});

const isOf = (fault: Json, vm: VmId) => fault['vm'] === vm && fault['resource'] === 'usb.mmio0';
