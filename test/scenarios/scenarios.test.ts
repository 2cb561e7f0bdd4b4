/**
 * Replays the transcripts beside this file. A line that starts with `> ` is a command; what it caused stands below
 * it. `npx vitest run test/scenarios -u` rewrites them: commit only differences that you understand.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Stage } from './stage.ts';

const folder = dirname(fileURLToPath(import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));

describe('transcript', () => {
  it('folder is not empty', () => expect(files.length).toBeGreaterThanOrEqual(10));

  it.each(files)('%s', async (file) => {
    const lines = readFileSync(join(folder, file), 'utf8').split('\n');
    const intent = lines.slice(
      0,
      lines.findIndex((line) => line.startsWith('> ')),
    );
    // Without a command there is nothing to replay, and anything would match.
    expect(lines.filter((line) => line.startsWith('> ')).length).toBeGreaterThanOrEqual(3);
    const stage = new Stage();
    const played = lines
      .filter((line) => line.startsWith('> '))
      .flatMap((line) => [line, ...stage.run(line.slice(2)).map((shown) => `  ${shown}`)]);
    // Whatever a transcript shows, the machine has the last word.
    expect(stage.violations()).toEqual([]);
    await expect(`${[...intent, ...played].join('\n')}\n`).toMatchFileSnapshot(join(folder, file));
  });
});
