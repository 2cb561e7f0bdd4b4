/**
 * The life of an agent and of what it writes: handovers, its death by SIGKILL in every role, its next life from the journal, the end
 * of a lease, and the lock on its state. For every pair of engines.
 */

import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readJournal } from '../../src/journal/format.ts';
import { ANDROID, VAULT } from '../../src/simulation/machine/board.ts';
import type { Cast } from '../../targets/demo/demo-bed.ts';
import { BORROW, StreamBed, type Way } from './stream-bed.ts';

/** `other`: the words of an agent on another engine than the borrower's; `way`: what messages travel by. */
export function livesSuite(name: string, cast: Cast, other: readonly string[], way: Way = 'unix'): void {
  describe.sequential(`agents, ${name},`, () => {
    let bed: StreamBed;
    beforeEach(() => {
      bed = new StreamBed(cast, way);
    });
    afterEach(() => bed.stop());

    it('hand over and back, and write the same journal', async () => {
      await bed.start();
      for (let round = 0; round < 3; round++) {
        const program = await bed.program(VAULT);
        expect(await program.request(BORROW)).toMatchObject({ ok: true });
        expect(await bed.view()).toMatchObject({ holder: VAULT });
        expect(await program.request({ do: 'return', bundle: 'panel' })).toMatchObject({ ok: true });
        program.close();
        await bed.isBack();
      }
      for (const vm of [ANDROID, VAULT]) {
        const journal = readJournal(readFileSync(bed.file(`state-${vm}/agent.journal`)));
        expect(journal.ok && journal.bodies.length).toBeGreaterThan(3);
      }
    });

    it('of a borrower that is killed: its next life gives back, on this engine and on another', async () => {
      await bed.start();
      for (const words of [cast.agents[VAULT]!, other]) {
        const program = await bed.program(VAULT);
        expect(await program.request(BORROW)).toMatchObject({ ok: true });
        await bed.killAgent(VAULT);
        await bed.startAgent(VAULT, words);
        await bed.isBack();
        expect(bed.said.get(VAULT)).toContain('the journal says what was attempted last');
      }
    });

    it('of an owner that is killed while it lends: its next life gets the bundle back', async () => {
      await bed.start();
      const program = await bed.program(VAULT);
      expect(await program.request(BORROW)).toMatchObject({ ok: true });
      await bed.killAgent(ANDROID);
      await bed.startAgent(ANDROID);
      expect(await bed.view()).toMatchObject({ holder: VAULT });
      expect(await program.request({ do: 'return', bundle: 'panel' })).toMatchObject({ ok: true });
      await bed.isBack();
    });

    it('give back at the end of a lease, and answer while a hook takes its time', async () => {
      const slow = { kind: 'command', command: ['sleep', '0.5'] };
      await bed.start({ [VAULT]: { suspend: [slow], resume: [{ ...slow, command: ['true'] }] } });
      const program = await bed.program(VAULT);
      const told: unknown[] = [];
      program.onEvent((event) => told.push(event['event']));
      const answer = await program.request({ ...BORROW, leaseMs: 200, noticeMs: 900 });
      expect(answer).toMatchObject({ ok: true });
      await bed.until('the hook runs', 4_000, async () => (await bed.stateOf(VAULT)) === 'suspending');
      expect(told).toEqual(['recalled']);
      await bed.isBack();
      await bed.until(`the program is told, not ${told}`, 4_000, () => told.includes('returned'));
    });

    it('share no state folder, whatever engine the other has', async () => {
      await bed.start();
      for (const words of [cast.agents[VAULT]!, other]) {
        const twin = bed.agentProcess(VAULT, words);
        expect(await new Promise((resolve) => twin.once('exit', resolve))).toBe(75);
      }
      expect(bed.said.get(VAULT)).toContain('another process uses this state folder');
      await bed.killAgent(VAULT, 'SIGTERM');
      await bed.startAgent(VAULT, other);
    });
  });
}
