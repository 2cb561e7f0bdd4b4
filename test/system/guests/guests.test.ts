/**
 * Two Linux guests on real KVM lend each other a USB tablet: Debian's kernel and its own drivers, the static agent in
 * each guest, over AF_VSOCK to `baton-host`. A finger moves on the tablet all the time; who felt it is judged by the
 * guests' input devices alone.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../../../src/common/lines.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { ANDROID, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import { missingPrograms } from '../../../targets/lab/testbed/kvm-machine.ts';
import { paced } from '../../support/pace.ts';
import { GUEST_MS, LinuxTestbed } from './linux-testbed.ts';
import { Finger, straysOf, type Told, turnsOf } from './touch.ts';

const ROOT = join(import.meta.dirname, '../../..');
const AGENT = join(ROOT, 'dist/quickjs/aarch64/baton-agent');
const missing = missingPrograms() ?? (existsSync(AGENT) ? undefined : 'needs npm run build:quickjs');
if (missing !== undefined) console.warn(`test:guests ${missing}`);

const MOVES = 3;
const STEP_MS = paced(20_000);
/** Places by which the finger has moved on when a guest counts as one that feels nothing: a second of moves. */
const MOVED = 60;
/** Shortest wait that is printed, in ms. */
const SHOWN_MS = 500;
const SOCKET = '--socket /run/agent.sock';
/** What borrows: a program that is content with 20 touches, of 2 events of 24 bytes each. */
const NODE = '/dev/input/event0';
const TOUCHED = `/bin/sh -c "until [ -e ${NODE} ]; do sleep 0.02; done; head -c 960 ${NODE} > /dev/null"`;

const testbed = new LinuxTestbed(ROOT, join(ROOT, 'dist'), AGENT);
let finger: Finger;
/** Who may feel the finger, as the host told it. */
const told: Told[] = [];

describe.skipIf(missing !== undefined).sequential(`two Linux guests${missing ? `: ${missing}` : ''}`, () => {
  beforeAll(async () => {
    await testbed.start();
    await isBack();
    finger = await Finger.on(testbed.machine.qmp);
    testbed.onTold = ({ by, atMs, event }) => {
      const { state, holder } = event;
      // What moves is its old holder's until somebody else has it.
      if (by !== 'host' || event['event'] !== 'changed' || state === 'moving') return;
      told.push({ holder: state === 'held' ? String(holder) : undefined, place: finger.place, atMs });
    };
    await feels(ANDROID);
  });
  afterAll(async () => {
    finger?.lift();
    await testbed.stop();
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') testbed.machine.keep();
    expect(straysOf(testbed.felt(), told)).toEqual([]);
    const waits = testbed.waits.splice(0).filter(({ ms }) => ms >= SHOWN_MS);
    console.log(waits.map(({ what, ms }) => `${(ms / 1000).toFixed(1)} s: ${what}`).join('\n'));
  });

  const isBack = () =>
    testbed
      .until('android holds, its driver works', STEP_MS, async () => {
        const { holder, confirmed } = await testbed.view();
        return holder === ANDROID && confirmed === true;
      })
      .catch(async (error) => {
        throw new Error(`${error.message}; the host says ${JSON.stringify(await testbed.view())}`);
      });
  /** Waits until a guest feels where the finger is now. */
  const feels = (vm: VmId) => {
    const from = finger.place;
    return testbed.until(`${vm} feels the finger`, STEP_MS, () => (testbed.touches(vm).at(-1) ?? 0) > from);
  };
  /** The agent of `vault`, which was stopped, goes on: it unbinds its driver. */
  const givesUp = async () => {
    const mark = performance.now();
    await testbed.signalAgent(VAULT, 'CONT');
    await testbed.until('vault gives up', STEP_MS, () => testbed.isAnswered(VAULT));
    await testbed.until('its driver is gone', STEP_MS, () => testbed.heard(VAULT, mark).includes('gone'));
  };
  const borrow = (more: string, command: string) =>
    testbed.run(VAULT, `/baton/baton borrow tablet ${SOCKET} ${more} -- ${command} 2>&1`);
  /** All touches since a place, as turns. */
  const turnsSince = (place: number) =>
    turnsOf(
      [ANDROID, VAULT].flatMap((vm) =>
        testbed.touches(vm).flatMap((each) => (each > place ? [{ vm, place: each }] : [])),
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
    await testbed.signalAgent(VAULT, 'KILL');
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
    await testbed.signalAgent(ANDROID, 'KILL');
    expect(await testbed.view()).toMatchObject({ holder: VAULT });
    expect((await borrowed).status).toBe(0);
    await isBack();
    await feels(ANDROID);
    expect(turnsSince(from).map(({ vm }) => vm)).toEqual([ANDROID, VAULT, ANDROID]);
  });

  it('a borrower that hangs loses it at the end of its lease; what its driver touches then is named', async () => {
    const from = finger.place;
    void borrow('--lease 4s --notice 200ms', 'sleep 1000').catch(() => {});
    await feels(VAULT);
    await testbed.signalAgent(VAULT, 'STOP');
    await isBack();
    await feels(ANDROID);
    expect(turnsSince(from).map(({ vm }) => vm)).toEqual([ANDROID, VAULT, ANDROID]);
    const faults = () =>
      testbed.told.filter(({ event }) => event['event'] === 'fault').map(({ event }) => event);
    await testbed.until('the fault is named', STEP_MS, () => faults().some((fault) => isOf(fault, VAULT)));
    await givesUp();
    // Its driver was unbound, and has tried to halt the controller.
    await feels(ANDROID);
  });

  it(
    'a guest that is restarted while it holds loses it, and borrows again',
    async () => {
      const from = finger.place;
      void borrow('--lease 15s', 'sleep 1000').catch(() => {});
      await feels(VAULT);
      expect(await testbed.restart(VAULT)).toEqual(['asked later', 'made']);
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
    expect(testbed.machine.console()).not.toMatch(/Oops|BUG|panic|Call trace/);
  });

  // Negative control, and the last: what it spoils stays so.
  it('skip-unmap: the driver of a borrower that hung halts its owner’s controller, and no fault is named', async () => {
    await testbed.machine.sabotage('skip-unmap', true);
    await testbed.machine.sabotage('skip-readback', true);
    void borrow('--lease 4s --notice 200ms', 'sleep 1000').catch(() => {});
    await feels(VAULT);
    await testbed.signalAgent(VAULT, 'STOP');
    const faults = () => testbed.told.filter(({ event }) => event['event'] === 'fault').length;
    const before = faults();
    await isBack();
    await feels(ANDROID);
    await givesUp();
    await testbed.until('android feels nothing any more', STEP_MS, () => {
      return (testbed.touches(ANDROID).at(-1) ?? 0) < finger.place - MOVED;
    });
    expect(faults()).toBe(before);
  });
});

const isOf = (fault: Json, vm: VmId) => fault['vm'] === vm && fault['resource'] === 'usb.mmio0';
