/** The demo as a user runs it, from the built bundles: it holds, and with any safeguard switched off it does not. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { paced } from '../support/pace.ts';

const BATON = join(import.meta.dirname, '../../dist/baton.mjs');
/** A run takes 5 s; with a sabotage, expectations that never come true add their waiting time. */
const LIMIT_MS = paced(100_000);

interface Ended {
  readonly status: number;
  readonly lines: readonly string[];
}

function demo(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [BATON, 'demo', '--json', ...args],
      { timeout: LIMIT_MS },
      (_, output) => {
        resolve({ status: child.exitCode ?? -1, lines: output.trim().split('\n') });
      },
    );
  });
}

/** Children of a process, by /proc. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return new RegExp(`^PPid:\t${parent}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'));
      } catch {
        return false;
      }
    })
    .map(Number);
}

const summaryOf = ({ lines }: Ended) => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown>;
const brokenOf = ({ lines }: Ended) =>
  lines
    .map((line) => JSON.parse(line) as { event: string; held?: boolean; text?: string })
    .filter(({ event, held }) => event === 'expectation' && held === false)
    .map(({ text }) => text);

describe.sequential('the demo', () => {
  it(
    'holds all its expectations',
    async () => {
      const ended = await demo();
      expect(brokenOf(ended)).toEqual([]);
      expect(summaryOf(ended)).toMatchObject({ event: 'summary', ok: true, expectations: 33, held: 33 });
      expect(ended.status).toBe(0);
    },
    LIMIT_MS,
  );

  it('ends all that it started when nobody reads its output any more', async () => {
    const child = spawn(process.execPath, [BATON, 'demo'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const children = await new Promise<number[]>((resolve) => {
      child.stdout!.on('data', (bytes: Buffer) => {
        if (!bytes.toString().includes('all of them run')) return;
        resolve(childrenOf(child.pid!));
        child.stdout!.destroy();
      });
    });
    expect(children.length).toBeGreaterThanOrEqual(3);
    // 141, as by SIGPIPE, when all was over already.
    const status = await new Promise((resolve) => child.once('exit', resolve));
    expect([1, 141]).toContain(status);
    expect(children.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
  });

  // Mostly waiting for what never comes: two at a time.
  it.concurrent.each([
    ['skip-unmap', /S1: |S3: |reaches nothing|Vault holds/],
    ['skip-sync', /S1: |S3: /],
    ['skip-reset', /S6: /],
    ['resume-early', /before it was its turn/],
    ['skip-epoch-check', /a command of an old epoch does nothing/],
  ])(
    'fails under sabotage %s and names what went wrong',
    async (sabotage, words) => {
      const ended = await demo('--sabotage', sabotage);
      expect(brokenOf(ended).join('\n')).toMatch(words);
      expect(summaryOf(ended)).toMatchObject({ ok: false });
      expect(ended.status).toBe(1);
    },
    LIMIT_MS,
  );
});
