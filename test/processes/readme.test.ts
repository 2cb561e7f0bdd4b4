/** The first run that README shows, pasted into a shell as it stands. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { paced } from '../support/pace.ts';

const ROOT = join(import.meta.dirname, '../..');

it('the first run of README borrows and gives back', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const [, block = ''] = /## On one machine first\n[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme) ?? [];
  const folder = mkdtempSync(join(tmpdir(), 'baton-readme-'));
  for (const name of ['dist', 'docs']) symlinkSync(join(ROOT, name), join(folder, name));
  try {
    const run = spawnSync('/bin/bash', ['-c', block], {
      cwd: folder,
      encoding: 'utf8',
      timeout: paced(15_000),
    });
    expect(run.stdout).toContain('bench/host/host.json: a sound configuration of baton-host\n');
    expect(run.stdout).toMatch(/^held$/m);
    expect(run.stdout).toMatch(/^panel +android +3 +held .*NO ISOLATION/m);
    expect(run.stderr).toContain(
      'baton: panel: held at epoch 2 for 30 s; NO ISOLATION: the enforcer proves nothing',
    );
    expect(run.stderr).toContain('baton: panel: given back');
    expect(run.status).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
