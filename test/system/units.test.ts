/**
 * What systemd says of the units: whether it understands them, and how exposed they leave a service. Needs the
 * package systemd.
 */

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const UNITS = fileURLToPath(new URL('../../targets/linux/systemd/', import.meta.url));
const ANALYZE = ['/usr/bin/systemd-analyze', '/bin/systemd-analyze'].find((path) => existsSync(path));
const folder = mkdtempSync(join(tmpdir(), 'baton-units-'));
afterAll(() => rmSync(folder, { recursive: true }));

if (!ANALYZE) console.warn('units of systemd are not checked: apt-get install systemd');

/** Runs systemd-analyze. */
function analyze(...words: string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(ANALYZE!, words, { encoding: 'utf8' });
  return { status, said: `${stdout}${stderr}` };
}

let count = 0;
/** What `verify` says of a unit whose programs are there, with drop-ins of its own. */
function verified(name: string, change = (text: string) => text, dropIns = false): string {
  const at = join(folder, String(count++));
  cpSync(UNITS, at, { recursive: true });
  if (!dropIns) rmSync(join(at, `${name}.d`), { recursive: true, force: true });
  const file = join(at, name);
  writeFileSync(file, change(readFileSync(file, 'utf8').replace(/\/usr\/bin\/baton\S*/g, '/bin/true')));
  const { said } = analyze('verify', file);
  // Of its own units it may have something to say as well.
  return said
    .split('\n')
    .filter((line) => line.includes('baton'))
    .join('\n');
}

describe.skipIf(!ANALYZE)('systemd', () => {
  it.each(['baton-host.service', 'baton-agent.service', 'baton-sleep.service'])(
    'has nothing against %s',
    (name) => {
      expect(verified(name)).toBe('');
    },
  );

  it.each(['baton-host.service', 'baton-agent.service'])(
    'has nothing against %s with its drop-in',
    (name) => {
      expect(verified(name, undefined, true)).toBe('');
    },
  );

  it('has something against a unit that is misspelt', () => {
    expect(verified('baton-host.service', (text) => text.replace('Restart=', 'Restrat='))).toContain(
      'Restrat',
    );
    const odd = verified('baton-agent.service', (text) => text.replace('@system-service', '@sytem-service'));
    expect(odd).toContain('@sytem-service');
  });

  // 0 is a service that can do nothing, 10 one that can do everything; from 5 on it is called exposed.
  it.each([
    ['baton-agent.service', 2.5],
    ['baton-host.service', 2.5],
    ['baton-sleep.service', 2.5],
  ])('%s leaves its service exposed by %d at most', (name, most) => {
    const { said } = analyze('security', '--offline=true', '--no-pager', join(UNITS, name));
    const [, level] = /Overall exposure level for \S+: (\d+\.\d)/.exec(said) ?? [];
    console.log(`${name}: exposure level ${level} of 10`);
    expect(Number(level), said).toBeLessThanOrEqual(most);
  });
});
