/** What is shipped cannot be told to switch a safeguard off: no built daemon contains how. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const DIST = join(import.meta.dirname, '../../dist');
const read = (file: string) => readFileSync(join(DIST, file), 'utf8');
/** Names of safeguards that the lab switches off, and of what does it. */
const SABOTAGE =
  /skip-(unmap|sync|reset|drain|epoch-check)|resume-early|skipEpochCheck|resumeEarly|SABOTAGE:/;

describe.each(['baton-agent', 'baton-host'])('%s', (program) => {
  it('contains no sabotage', () => expect(read(`${program}.mjs`)).not.toMatch(SABOTAGE));

  it('knows no --sabotage', () => {
    const words = [join(DIST, `${program}.mjs`), '--config', '/no/such', '--sabotage', 'resume-early'];
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
    expect(stderr).toMatch(/Unknown option '--sabotage'/);
    expect(status).toBe(64);
  });
});

it.each([
  ['baton-machine.mjs', 'skip-unmap'],
  ['js/targets/lab/sabotage/agent-resume-early.js', 'resumeEarly'],
  ['js/targets/lab/sabotage/host-skip-epoch-check.js', 'skipEpochCheck'],
])('%s of the lab does: this test knows it when it sees it', (file, name) => {
  expect(read(file)).toContain(name);
  expect(read(file)).toMatch(SABOTAGE);
});
