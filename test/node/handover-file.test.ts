/** The handover records in files: rotation, what a crash leaves, and that no fault of theirs stops a host. */

import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordsIn } from '../../targets/node/cli/history-lines.ts';
import {
  HANDOVER_LIMITS,
  handoverFiles,
  handoversIn,
  openHandovers,
} from '../../targets/node/host/handover-file.ts';
import { readParts } from '../../targets/node/host/rotated-file.ts';

let folder: string;
let logs: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-handovers-'));
  logs = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const log = (level: string, message: string) => logs.push(`${level}: ${message}`);
const open = (limits = HANDOVER_LIMITS) => openHandovers(handoversIn(folder), log, limits);
const line = (epoch: number) => {
  const nothing = { from: null, to: null, purpose: null, cause: null, ms: null, steps: [] };
  const time = new Date(epoch).toISOString();
  return `${JSON.stringify({ time, bundle: 'panel', epoch, ...nothing, outcome: 'returned' })}\n`;
};

/** Epochs of all records, and the number of damaged lines. */
function all(): { epochs: (number | null)[]; damaged: number } {
  let damaged = 0;
  const epochs = handoverFiles(folder).flatMap((file) =>
    [...recordsIn(readParts(file), () => damaged++)].map(({ epoch }) => epoch),
  );
  return { epochs, damaged };
}

describe('the files', () => {
  it('are bounded in number and size, and keep the newest records', () => {
    const limits = { fileBytes: 1_000, files: 3 };
    const records = open(limits);
    for (let epoch = 1; epoch <= 100; epoch++) records.append(line(epoch));
    const files = readdirSync(folder).sort();
    expect(files).toHaveLength(4);
    expect(files.at(-1)).toBe('handovers.jsonl');
    for (const file of files) expect(statSync(join(folder, file)).size).toBeLessThanOrEqual(1_000);
    const { epochs, damaged } = all();
    expect(damaged).toBe(0);
    expect(epochs.at(-1)).toBe(100);
    expect(epochs).toEqual(epochs.map((_, i) => 100 - epochs.length + 1 + i));
    expect(statSync(join(folder, 'handovers.jsonl')).mode & 0o777).toBe(0o600);
  });

  it('go on after a restart, which knows the last epochs, also just after a file was closed', () => {
    const limits = { fileBytes: 500, files: 3 };
    for (let epoch = 1; epoch <= 9; epoch++) open(limits).append(line(epoch));
    expect(all().epochs).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const known = open(limits).recorded?.get('panel' as never) ?? [];
    expect(known.slice(-4)).toEqual([6, 7, 8, 9]);
  });

  it.each([
    ['part of a line', '{"time":"20'],
    ['zeros', '\0'.repeat(5_000)],
  ])('go on after a crash that leaves %s, which is one damaged line', (_, torn) => {
    open().append(line(1));
    appendFileSync(handoversIn(folder), torn);
    const records = open();
    records.append(line(2));
    records.append(line(3));
    expect(all()).toEqual({ epochs: [1, 2, 3], damaged: 1 });
    expect(records.recorded?.get('panel' as never)).toEqual([1]);
    expect(logs).toEqual([]);
  });
});

describe('a file that cannot be used', () => {
  it('is reported, stops nothing, and is opened when it can be', () => {
    mkdirSync(handoversIn(folder));
    const records = open();
    expect(logs).toEqual([expect.stringContaining('the handover records cannot be used: EISDIR')]);
    expect(() => records.append(line(1))).toThrow('EISDIR');
    rmdirSync(handoversIn(folder));
    records.append(line(2));
    expect(readFileSync(handoversIn(folder), 'utf8')).toBe(line(2));
  });
});
