/**
 * Two Linux guests on real KVM lend each other a touch screen whose driver is ours, with runtime PM
 * (targets/lab/testbed/driver): it stays bound in both guests, and what has it open keeps it open. Fingers come from
 * outside the machine; who felt them is judged by the guests' input devices alone.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { ANDROID, TOUCH, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import { missingPrograms } from '../../../targets/lab/testbed/kvm-machine.ts';
import { paced } from '../../support/pace.ts';
import { LENT_TOUCH, LinuxTestbed, touchFolder } from './linux-testbed.ts';

const ROOT = join(import.meta.dirname, '../../..');
const AGENT = join(ROOT, 'dist/quickjs/aarch64/baton-agent');
const missing = missingPrograms() ?? (existsSync(AGENT) ? undefined : 'needs npm run build:quickjs');
if (missing !== undefined) console.warn(`test:guests ${missing}`);

const MOVES = 3;
const STEP_MS = paced(20_000);
/** Touches of a holder in a turn. */
const TOUCHES = 5;
/**
 * What borrows: a program that reads the input device until it has felt so many touches, of 2 events of 24 bytes
 * each.
 */
const PROGRAM = `/bin/sh -c "exec 3< /dev/input/event0; echo open; head -c ${TOUCHES * 48} <&3 > /dev/null"`;

const testbed = new LinuxTestbed(ROOT, join(ROOT, 'dist'), AGENT, LENT_TOUCH);
/** Places of touches: each is used once. */
let place = 0;
/** What each guest has to have felt by now. */
const due: Record<VmId, number[]> = { [ANDROID]: [], [VAULT]: [] };

describe
  .skipIf(missing !== undefined)
  .sequential(`two Linux guests, a driver of ours${missing ? `: ${missing}` : ''}`, () => {
    beforeAll(async () => {
      await testbed.start();
      await holds(ANDROID);
      await testbed.until(
        'the driver of vault is suspended, which never had the device',
        STEP_MS,
        async () => {
          return (await power(VAULT)) === 'suspended 1';
        },
      );
      await touch(ANDROID);
    });
    afterAll(() => testbed.stop());
    afterEach(({ task }) => {
      if (task.result?.state === 'fail') testbed.machine.keep();
    });

    const holds = (vm: VmId) =>
      testbed.until(`${vm} holds, its driver works`, STEP_MS, async () => {
        const { holder, confirmed } = await testbed.view();
        return holder === vm && confirmed === true;
      });
    /** What a guest's kernel says of the device: its runtime PM, and whether its input is inhibited. */
    const power = async (vm: VmId) => {
      const folder = touchFolder(vm);
      const { output } = await testbed.run(
        vm,
        `echo $(cat ${folder}/power/runtime_status ${folder}/input/input*/inhibited)`,
      );
      return output;
    };
    /**
     * The world outside touches the next place; whoever reads the device now feels it, and what was touched in vain
     * before with it.
     */
    const raise = async () => {
      place += 1;
      await testbed.machine.ask({ do: 'raise', bundle: TOUCH.id, device: 'touch', value: place });
      return place;
    };
    /** A touch that a guest has to feel. */
    const touch = async (vm: VmId) => {
      const touched = await raise();
      due[vm]!.push(touched);
      await testbed.until(`${vm} feels ${touched}`, STEP_MS, () => testbed.touches(vm).includes(touched));
    };
    const touchOften = async (vm: VmId) => {
      for (let count = 0; count < TOUCHES; count++) await touch(vm);
    };
    /**
     * Touches that nobody may feel: as each phase of the next move begins. Not after clean: a device that signals
     * then is not granted.
     */
    const touchWhileMoving = () =>
      Promise.all(
        (['fence', 'settle', 'reset'] as const).map((phase) => testbed.tap.ordered(phase).then(raise)),
      );
    /** Lends and takes back, with touches all the way; `whileLent` before those of the borrower. */
    const lend = async (whileLent: () => Promise<void>) => {
      const startMs = performance.now();
      const lending = touchWhileMoving();
      const borrowed = testbed.run(
        VAULT,
        `/baton/baton borrow touch --socket /run/agent.sock --lease 15s -- ${PROGRAM} 2>&1`,
      );
      await testbed.until('a program of vault reads', STEP_MS, () =>
        testbed.heard(VAULT, startMs).includes('out open'),
      );
      await lending;
      await whileLent();
      const returning = touchWhileMoving();
      await touchOften(VAULT);
      const { status, output } = await borrowed;
      expect(status, output).toBe(0);
      await holds(ANDROID);
      await returning;
    };
    /** The owner's driver wakes, as one that does not heed its agent. */
    const wake = async () => {
      await testbed.run(
        ANDROID,
        `for each in ${touchFolder(ANDROID)}/input/input*/inhibited; do echo 0 > $each; done`,
      );
      expect(await power(ANDROID)).toBe('active 0');
    };
    const felt = () => ({ [ANDROID]: testbed.touches(ANDROID), [VAULT]: testbed.touches(VAULT) });

    it('feel each touch only while they hold, and nobody feels one in between', async () => {
      for (let move = 0; move < MOVES; move++) {
        await touchOften(ANDROID);
        await lend(async () => expect(await power(ANDROID)).toBe('suspended 1'));
        expect(await power(ANDROID)).toBe('active 0');
        expect(await power(VAULT)).toBe('suspended 1');
      }
      await touch(ANDROID);
      expect(felt()).toEqual(due);
      expect(place - due[ANDROID]!.length - due[VAULT]!.length).toBe(MOVES * 2 * 3);
    });

    it('an owner’s driver that wakes while it is lent feels nothing, neither then nor on the way back', async () => {
      await lend(wake);
      await touch(ANDROID);
      expect(felt()).toEqual(due);
    });

    it('what has it open in either guest has it open still, and no driver touched what was not its own', async () => {
      for (const vm of [ANDROID, VAULT]) {
        const said = testbed.heard(vm).filter((text) => text === 'gone' || text.startsWith('node '));
        expect(said, vm).toEqual([`node ${touchFolder(vm).split('/').at(-1)}`]);
        expect(await testbed.machine.exits(vm), vm).toMatchObject({ reads: 0, writes: 0 });
      }
    });

    it('skip-reset, a negative control: it feels what was touched in between, and the judge finds it', async () => {
      await lend(async () => {
        await wake();
        await testbed.machine.sabotage('skip-reset', true);
      });
      await testbed.until('android feels what nobody may feel', STEP_MS, () => {
        return testbed.touches(ANDROID).length > due[ANDROID]!.length;
      });
      expect(felt()).not.toEqual(due);
      expect(testbed.touches(VAULT)).toEqual(due[VAULT]);
      await testbed.machine.sabotage('skip-reset', false);
    });

    it('no kernel has anything to complain about', () => {
      expect(testbed.machine.console()).not.toMatch(/Oops|BUG|panic|Call trace|WARNING|cannot load/);
    });
  });
