/**
 * Driver hooks and policy programs of the static agent, as processes: what a program is given and what becomes of it,
 * attributes, and what an agent that was killed leaves behind, for its next run on any engine.
 */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '../../src/common/lines.ts';
import { ANDROID, VAULT } from '../../targets/lab/machine/board.ts';
import { paced } from '../support/pace.ts';
import { castOf, ENGINES } from './cells.ts';
import { BORROW, StreamTestbed } from './stream-testbed.ts';

const WAIT_MS = paced(8_000);

let testbed: StreamTestbed;
beforeEach(() => {
  testbed = new StreamTestbed(castOf('x86_64', 'x86_64'));
});
afterEach(() => testbed.stop());

const shell = (script: string, limitMs = 2_000) => ({
  kind: 'command',
  name: 'sh',
  command: ['sh', '-c', script],
  limitMs,
});
const read = (name: string) => readFileSync(testbed.file(name), 'utf8');
const appears = (name: string) =>
  testbed.until(`${name} appears`, WAIT_MS, () => existsSync(testbed.file(name)) && read(name) !== '');

/** Whether a process lives; one that only waits to be asked for does not. */
function lives(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z';
  } catch {
    return false;
  }
}

/** The owner lends to the borrower and has it back. Returns the answer to the request. */
async function lend(): Promise<Json> {
  const program = await testbed.program(VAULT);
  const answer = await program.request(BORROW);
  program.close();
  await testbed.isBack();
  return answer;
}

describe('programs of hooks', () => {
  it('have no input, clean signals, a session of their own, and the lock as their only socket', async () => {
    const look =
      '{ echo "$BATON_HOOK $BATON_DEVICE $BATON_EPOCH"; cat; find /proc/$$/fd -lname ' +
      `'socket:*' | xargs -n1 basename | tr '\\n' ' '; pwd; grep -E '^Sig(Ign|Blk)' ` +
      `/proc/self/status; cut -d' ' -f5,6 /proc/$$/stat; echo $$; } > ${testbed.file('seen')}`;
    await testbed.start({ [ANDROID]: { suspend: [shell(look)], resume: [shell('true')] } });
    expect(await lend()).toMatchObject({ ok: true });
    const [words, socketsAndFolder, blocked, ignored, groups, pid] = read('seen').trim().split('\n');
    expect(words).toMatch(/^suspend touch \d+$/);
    expect(socketsAndFolder).toBe('3 /');
    expect(`${blocked} ${ignored}`).toMatch(/^SigBlk:\s0+ SigIgn:\s0+$/);
    expect(groups).toBe(`${pid} ${pid}`);
  });

  it('may flood both outputs; of a failure the last words are told, and the owner keeps its bundle', async () => {
    const flood = 'head -c 3000000 /dev/zero | tr "\\0" x';
    const step = shell(`${flood}; ${flood} >&2; echo the end >&2; exit 5`);
    await testbed.start({ [ANDROID]: { suspend: [step], resume: [shell('true')] } });
    expect(await lend()).toMatchObject({ ok: false });
    expect(testbed.said.get(ANDROID)).toMatch(/sh: status 5: x{1000,}the end/);
  });

  it('that take too long are killed with their whole group', async () => {
    const step = shell(`trap "" TERM; sleep 30 & echo $! > ${testbed.file('child')}; wait; wait`, 200);
    await testbed.start({ [ANDROID]: { suspend: [step], resume: [shell('true')] } });
    expect(await lend()).toMatchObject({ ok: false });
    expect(testbed.said.get(ANDROID)).toContain('sh: no end within 200 ms; killed');
    expect(lives(Number(read('child')))).toBe(false);
  });

  it('that do not exist are told by name', async () => {
    const step = { kind: 'command', command: ['no-such-program'] };
    await testbed.start({ [ANDROID]: { suspend: [step], resume: [shell('true')] } });
    expect(await lend()).toMatchObject({ ok: false });
    expect(testbed.said.get(ANDROID)).toContain('no-such-program: not started: spawn no-such-program ENOENT');
  });
});

describe('attributes', () => {
  it('are written and read back; one that is missing is never made', async () => {
    writeFileSync(testbed.file('attribute'), '0');
    const there = { kind: 'sysfs', path: testbed.file('attribute'), write: '1', undo: '0' };
    const look = shell(`cat ${testbed.file('attribute')} > ${testbed.file('seen')}`);
    await testbed.start({ [ANDROID]: { suspend: [there, look] } });
    expect(await lend()).toMatchObject({ ok: true });
    expect(read('seen')).toBe('1');
    expect(read('attribute')).toBe('0');
  });

  it('that are missing keep the bundle where it is', async () => {
    await testbed.start({
      [ANDROID]: {
        suspend: [{ kind: 'sysfs', path: testbed.file('nothing'), write: '1' }],
        resume: [shell('true')],
      },
    });
    expect(await lend()).toMatchObject({ ok: false });
    expect(testbed.said.get(ANDROID)).toContain('ENOENT');
    expect(existsSync(testbed.file('nothing'))).toBe(false);
  });
});

describe('what was found', () => {
  it.each(['x86_64', 'node'] as const)(
    'is put back by the next run on %s, whatever the numbers are then',
    async (engine) => {
      const attribute = testbed.file('attribute');
      writeFileSync(attribute, '3\n');
      const inhibitedOf = (number: number) => {
        const input = testbed.file(`1-0038/0018:1234:5678.000${number}/input/input${number}`);
        mkdirSync(input, { recursive: true });
        writeFileSync(`${input}/inhibited`, '0\n');
        return `${input}/inhibited`;
      };
      const first = inhibitedOf(1);
      const steps = [
        { kind: 'sysfs', path: testbed.file('attr*te'), write: '1' },
        { kind: 'input-inhibit', input: testbed.file('*-0038') },
      ];
      await testbed.start({ [ANDROID]: { suspend: steps } });
      await testbed.isBack();
      expect([read('attribute').trim(), readFileSync(first, 'utf8').trim()]).toEqual(['3', '0']);
      const program = await testbed.program(VAULT);
      expect(await program.request(BORROW)).toMatchObject({ ok: true });
      expect([read('attribute').trim(), readFileSync(first, 'utf8').trim()]).toEqual(['1', '1']);
      await testbed.killAgent(ANDROID);
      rmSync(testbed.file('1-0038/0018:1234:5678.0001'), { recursive: true });
      const second = inhibitedOf(2);
      await testbed.startAgent(ANDROID, ENGINES[engine].agent);
      // Bound anew, it is not inhibited: the agent has seen to that.
      await testbed.until('it is inhibited', WAIT_MS, () => readFileSync(second, 'utf8').trim() === '1');
      program.close();
      await testbed.isBack();
      expect([read('attribute').trim(), readFileSync(second, 'utf8').trim()]).toEqual(['3', '0']);
    },
  );
});

describe('M17: a hook that outlives its agent', () => {
  it.each(['x86_64', 'node'] as const)(
    'is killed by the next run on %s before any hook runs',
    async (engine) => {
      const mark = testbed.file('hook');
      // Only the first run hangs.
      const hang = shell(`[ -e ${mark} ] || { echo $$ > ${mark}; exec sleep 60; }`, 60_000);
      const tell = shell(
        `read -r pid < ${mark}; grep -q '^State:.[^Z]' /proc/$pid/status && echo alive > ${testbed.file('seen')}; true`,
      );
      await testbed.start({ [ANDROID]: { suspend: [hang], resume: [tell] } });
      const program = await testbed.program(VAULT);
      program.request({ ...BORROW, waitMs: 3_000 }).catch(() => {});
      await appears('hook');
      await testbed.killAgent(ANDROID);
      const pid = Number(read('hook'));
      expect(lives(pid)).toBe(true);
      await testbed.startAgent(ANDROID, ENGINES[engine].agent);
      program.close();
      await testbed.isBack();
      // What was reserved for the loan that was cut short lapses first.
      await testbed.until('it lends again', WAIT_MS, async () => (await lend())['ok'] === true);
      expect(lives(pid)).toBe(false);
      expect(existsSync(testbed.file('seen'))).toBe(false);
    },
  );
});
