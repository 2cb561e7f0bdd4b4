/**
 * `baton history`: what it finds in records, and what it says of damaged ones. All in the time zone of this machine;
 * test/processes/history.test.ts has others.
 */

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/cli/world.ts';
import { statusOf } from '../../targets/node/cli/cli.ts';
import { COMMANDS } from '../../targets/node/cli/commands.ts';
import { lineOf, recordsIn, type StoredRecord, slowestOf } from '../../targets/node/cli/history-lines.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-history-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A time of this machine's time zone: on the last of November, or the day after. */
const local = (day: 30 | 31, ...clock: number[]) =>
  new Date(2026, 10, day, ...(clock as [number])).toISOString();
const YESTERDAY = local(30, 14, 3, 7, 123);
const NOW = local(31, 9);
const LEND: StoredRecord = {
  time: YESTERDAY,
  bundle: 'panel',
  epoch: 7,
  from: 'android',
  to: 'vault',
  purpose: 'pin',
  cause: 'lend',
  outcome: 'confirmed',
  ms: 61.4,
  steps: [
    { by: 'host', step: 'prepare', ms: 0.4 },
    { by: 'host', step: 'lend', ms: 13 },
    { by: 'host', step: 'fence', ms: 3 },
    { by: 'host', step: 'confirm', ms: 45 },
    { by: 'android', step: 'policy', ms: 0 },
    { by: 'android', step: 'suspend', ms: 12 },
    { by: 'vault', step: 'prepare', ms: 2 },
    { by: 'vault', step: 'resume', ms: 41 },
    { by: 'vault', step: 'hook', device: 'touch', name: 'unbind', ms: 2 },
    { by: 'vault', step: 'hook', device: 'display', name: 'runtime-pm', ms: 38 },
  ],
};
const record = (part: Partial<StoredRecord>): StoredRecord => ({ ...LEND, ...part });
const REFUSED = record({
  time: local(30, 14, 10),
  epoch: null,
  outcome: 'refused',
  why: 'evidenceTooWeak',
  ms: 0,
  steps: [],
});
const BACK = record({
  time: local(31, 7),
  bundle: 'lidar',
  epoch: 8,
  from: 'vault',
  to: 'android',
  purpose: null,
  cause: 'release',
  outcome: 'returned',
  ms: 9,
  steps: [],
});

function keep(records: readonly StoredRecord[], name = 'handovers.jsonl'): void {
  appendFileSync(join(folder, name), records.map((each) => `${JSON.stringify(each)}\n`).join(''));
}

async function history(...words: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const world = {
    isoTime: () => NOW,
    out: (line: string) => out.push(line),
    err: (line: string) => err.push(line),
  } as unknown as FileWorld;
  const place = words.some((word) => /^--(state|config)$/.test(word)) ? [] : ['--state', folder];
  const status = await statusOf(COMMANDS, ['history', ...words, ...place], world);
  return { out, err, status };
}
/** Epochs of what is found. */
const found = async (...words: string[]) =>
  (await history('--json', ...words)).out.map((line) => (JSON.parse(line) as StoredRecord).epoch);

describe('a line', () => {
  it('has the local time, who, what, how long, and the slowest step of the slowest hook', () => {
    const words = lineOf(LEND).split(/ {2,}/);
    expect(words).toEqual([
      '2026-11-30 14:03:07.123',
      'panel',
      '7',
      'android → vault',
      'pin',
      'lend',
      'confirmed',
      '61.4 ms',
      'slowest: vault resume, 41.0 ms (display/runtime-pm, 38.0 ms)',
    ]);
  });

  it('says why, and has one word for a purpose of several', () => {
    const line = lineOf(
      record({ outcome: 'quarantined', why: 'fenceFailed', purpose: 'a "b"  c', detail: 'x' }),
    );
    expect(line).toContain('quarantined: fenceFailed');
    expect(line).toContain('"a \\"b\\"  c"');
    expect(line).toMatch(/; x$/);
    expect(lineOf(REFUSED)).toMatch(
      /^2026-11-30 14:10:00\.000 {2}panel +- .*refused: evidenceTooWeak +0\.0 ms$/,
    );
    expect(lineOf(record({ from: null, to: 'android' }))).toContain('nobody → android');
  });

  it('names a wait only for what no hook explains, and a phase by its name', () => {
    const wait = { by: 'host', step: 'lend', ms: 30 };
    expect(slowestOf({ steps: [wait, { by: 'a', step: 'suspend', ms: 4 }] })).toBe(
      'waiting for lend, 26.0 ms',
    );
    expect(slowestOf({ steps: [wait, { by: 'a', step: 'suspend', ms: 29 }] })).toBe('a suspend, 29.0 ms');
    expect(slowestOf({ steps: [{ by: 'host', step: 'clean', ms: 12_345 }] })).toBe('clean, 12.3 s');
    expect(slowestOf({ steps: [] })).toBeUndefined();
  });
});

describe('what fits', () => {
  beforeEach(() => {
    keep([LEND, REFUSED], 'handovers-00000001.jsonl');
    keep([BACK]);
  });

  it('is all of it, over all files, oldest first; with --json the records', async () => {
    const { out, err, status } = await history('--json');
    expect(out.map((line) => JSON.parse(line))).toEqual([LEND, REFUSED, BACK]);
    expect([err, status]).toEqual([[], EXIT.ok]);
    expect((await history()).out).toHaveLength(3);
    expect(await found('lidar')).toEqual([8]);
  });

  it('answers why it was slow or refused yesterday at 14:03', async () => {
    expect(await found('--since', '14:03', '--until', '14:04')).toEqual([7]);
    expect(await found('--since', 'yesterday 14:05')).toEqual([null, 8]);
    expect(await found('panel', '--failed', '--since', 'yesterday')).toEqual([null]);
    expect(await found('--slow', '50ms')).toEqual([7]);
    expect(await found('--slow', '61.4ms', '--until', 'today')).toEqual([7]);
    expect(await found('--slow', '62ms')).toEqual([]);
  });

  it.each([
    [
      ['--since', '2026-11-30', '--until', '2026-12-01'],
      [7, null],
    ],
    [
      ['--since', '2026-11-30 14:10'],
      [null, 8],
    ],
    [['--since', '2026-11-30T14:10:01'], [8]],
    [['--since', '2h30m'], [8]],
    [['--since', '23:59', '--until', '00:01'], []],
    [
      ['--until', '08:00'],
      [7, null, 8],
    ],
    [
      ['--until', '06:59'],
      [7, null],
    ],
  ])('%j', async (words, epochs) => {
    expect(await found(...words)).toEqual(epochs);
  });

  it('is said when it is nothing', async () => {
    const { out, err, status } = await history('nobody');
    expect([out, err, status]).toEqual([[], ['baton: no handover fits'], EXIT.ok]);
  });
});

describe('damage', () => {
  it('is skipped and counted aloud', async () => {
    keep([LEND]);
    const place = join(folder, 'handovers.jsonl');
    const bad = [
      '{"time":"2026',
      'null',
      '[]',
      '{"time":1}',
      '\0\0\0',
      JSON.stringify({ ...LEND, time: 'then' }),
      JSON.stringify({ ...LEND, steps: [null] }),
      JSON.stringify({ ...LEND, steps: [{ by: 'a', step: 'b', ms: 'c' }] }),
      JSON.stringify({ ...LEND, purpose: {} }),
      'x'.repeat(1_000_000),
    ];
    appendFileSync(place, `${bad.join('\n')}\n\n`);
    keep([BACK]);
    appendFileSync(place, '{"time":"20');
    const { out, err, status } = await history('--json');
    expect(out).toHaveLength(2);
    expect(err).toEqual([`baton: ${folder}: 11 damaged lines skipped`]);
    expect(status).toBe(EXIT.ok);
  });

  it('of a line without an end is one, however long, and takes no memory', () => {
    let damaged = 0;
    const parts = function* () {
      for (let i = 0; i < 2_000; i++) yield 'x'.repeat(65_536);
      yield `\n${JSON.stringify(LEND)}`;
    };
    const before = process.memoryUsage().heapUsed;
    expect([...recordsIn(parts(), () => damaged++)]).toEqual([LEND]);
    expect(damaged).toBe(1);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('does not depend on where a file is cut into parts', () => {
    const text = `${JSON.stringify(LEND)}\nbad\n${JSON.stringify(BACK)}\n`;
    for (let size = 1; size < 90; size++) {
      let damaged = 0;
      const parts = text.match(new RegExp(`[^]{1,${size}}`, 'g'))!;
      expect([...recordsIn(parts, () => damaged++)]).toEqual([LEND, BACK]);
      expect(damaged).toBe(1);
    }
  });
});

describe('the place', () => {
  it('may be named by the configuration', async () => {
    keep([LEND]);
    writeFileSync(
      join(folder, 'host.json'),
      JSON.stringify({
        bundles: 'b.json',
        keys: 'k.json',
        enforcer: { kind: 'none', vms: ['android'] },
        transport: { kind: 'stream', listen: { android: 'unix:a.sock' } },
        state: '.',
        control: 'c.sock',
      }),
    );
    const { out, err } = await history('--config', join(folder, 'host.json'));
    expect([out.length, err]).toEqual([1, []]);
  });

  it('that is not there, has no records, or is named twice is said', async () => {
    const empty = await history();
    expect(empty.status).toBe(EXIT.failed);
    expect(empty.err).toEqual([`baton: ${folder}: no handover has been recorded`]);
    const missing = await history('--state', join(folder, 'x'));
    expect(missing.status).toBe(EXIT.configuration);
    expect(missing.err[0]).toContain('no such folder');
    expect((await history('--state', folder, '--config', 'x')).status).toBe(EXIT.usage);
  });

  it.each(['25:00', '14:60', 'yesterday 9', '2026-02-30', 'x', '14:00 15:00', 'today x'])(
    '--since %s is a wrong command line',
    async (text) => {
      const { status, err } = await history('--since', text);
      expect([status, err[0]]).toEqual([EXIT.usage, expect.stringContaining('expected a time of day')]);
    },
  );
});
