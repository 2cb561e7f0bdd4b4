/** What `baton init` printed, pasted into a shell as it stands: host and agents start on its files, and one lends. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { paced } from '../support/pace.ts';

const ROOT = join(import.meta.dirname, '../..');
const BATON = join(ROOT, 'dist/baton.mjs');
const folder = mkdtempSync(join(tmpdir(), 'baton-init-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('the commands that it prints lend a bundle, in a folder with a space in its name', () => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['baton', 'baton-host', 'baton-agent'])
    writeFileSync(join(bin, name), `#!/bin/sh\nexec node "${ROOT}/dist/${name}.mjs" "$@"\n`, { mode: 0o755 });
  const bundles = join(ROOT, 'docs/examples/bundles.json');
  const parties = ['--vm', 'android', '--vm', 'vault', '--enforcer', 'none', '--transport', 'unix'];
  const made = spawnSync(
    process.execPath,
    [BATON, 'init', '--bundles', bundles, ...parties, '--out', 'a b'],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  expect([made.status, made.stderr]).toEqual([0, '']);
  const commands = made.stdout.split('\n').filter((line) => line.startsWith('  baton'));
  expect(commands).toHaveLength(5);
  // The daemons each in a shell of its own.
  const script = commands.map((line) =>
    line.startsWith('  baton-')
      ? `${line.replace(/ #.*/, '')} &`
      : line.replace(
          /^ {2}baton borrow/,
          "until [ -S 'a b/vault/agent.sock' ]; do sleep 0.1; done; baton borrow",
        ),
  );
  const run = spawnSync(
    '/bin/bash',
    ['-c', `${script.join('\n')}\nstatus=$?; kill $(jobs -p); exit $status`],
    {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
      timeout: paced(15_000),
    },
  );
  expect(run.stdout).toContain('a b/host/host.json: a sound configuration of baton-host\n');
  expect(run.stdout).toMatch(/^held$/m);
  expect(run.stderr).toContain('baton: panel: given back');
  expect(run.status).toBe(0);
});

it.each(['000', '277'])('modes do not depend on the umask %s', (umask) => {
  const parties = '--vm android --vm vault --enforcer none --transport mqtt://192.168.7.1';
  const words = `--bundles "${ROOT}/docs/examples/bundles.json" ${parties} --out mask${umask}`;
  const script = `umask ${umask}; node "${BATON}" init ${words}`;
  const { status, stderr } = spawnSync('/bin/sh', ['-c', script], { cwd: folder, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  const made = join(folder, `mask${umask}`);
  expect(modeOf(made)).toBe(0o700);
  const below = readdirSync(made, { recursive: true, withFileTypes: true });
  expect(below.length).toBeGreaterThan(20);
  for (const entry of below) {
    const path = join(entry.parentPath, entry.name);
    const isSecret = /\.keys\.json$|password/.test(entry.name);
    expect([path, modeOf(path)]).toEqual([path, entry.isDirectory() ? 0o700 : isSecret ? 0o600 : 0o644]);
  }
});

const modeOf = (path: string) => statSync(path).mode & 0o777;
