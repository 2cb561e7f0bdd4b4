/** The units of docs/examples start the daemons as they are, and heed their exit statuses. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AGENT_EXAMPLE, HOST_EXAMPLE } from '../../src/config/daemon-config.ts';
import { parseConfig } from '../../src/config/read.ts';
import { EXIT_AGAIN, EXIT_CONFIG, EXIT_USAGE } from '../../targets/node/daemon.ts';

const read = (name: string) => readFileSync(new URL(`../../docs/examples/${name}`, import.meta.url), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'baton-units-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ANALYZE = '/usr/bin/systemd-analyze';

/** What `systemd-analyze verify` says of a unit whose programs are there; nothing where there is no systemd. */
function verified(name: string, text: string): string {
  if (!existsSync(ANALYZE)) return '';
  const file = join(folder, name);
  writeFileSync(file, text.replace(/\/usr\/bin\/baton\S*/g, '/bin/true'));
  const { stdout, stderr } = spawnSync(ANALYZE, ['verify', file], { encoding: 'utf8' });
  const lines = `${stdout}${stderr}`.split('\n');
  return lines.filter((line) => line.includes(name)).join('\n');
}

describe.each([
  ['baton-host', HOST_EXAMPLE],
  ['baton-agent', AGENT_EXAMPLE],
])('%s.service', (program, example) => {
  const text = read(`${program}.service`);
  const settingOf = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1];

  it('starts again after what may go better, and not after what a person has to mend', () => {
    expect(settingOf('ExecStart')).toMatch(
      new RegExp(`^/usr/bin/${program} --config /etc/baton/\\w+\\.json$`),
    );
    expect(settingOf('RestartForceExitStatus')).toBe(String(EXIT_AGAIN));
    expect(settingOf('RestartPreventExitStatus')).toBe(`${EXIT_USAGE} ${EXIT_CONFIG}`);
  });

  it('makes the folders that the example names', () => {
    const { state, control } = parseConfig('example', example) as Record<string, string>;
    expect(state).toBe(`/var/lib/${settingOf('StateDirectory')}`);
    expect(control).toMatch(new RegExp(`^/run/${settingOf('RuntimeDirectory')}/\\w+\\.sock$`));
  });
});

it.each(['baton-host.service', 'baton-agent.service', 'baton-sleep.service'])(
  'systemd has nothing against %s',
  (name) => {
    expect(verified(name, read(name))).toBe('');
  },
);

it('systemd has something against a misspelt unit, where there is systemd', () => {
  if (!existsSync(ANALYZE)) return;
  expect(verified('baton-odd.service', read('baton-host.service').replace('Restart=', 'Restrat='))).toContain(
    'Restrat',
  );
});
