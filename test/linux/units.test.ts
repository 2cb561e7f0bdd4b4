/**
 * The units of targets/linux/systemd start the daemons as they are, heed their exit statuses, and promise no watchdog
 * that is none.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { AGENT_EXAMPLE } from '../../src/config/agent-config.ts';
import { HOST_EXAMPLE } from '../../src/config/host-config.ts';
import { parseConfig } from '../../src/config/read.ts';
import { EXIT_AGAIN, EXIT_CONFIG, EXIT_USAGE } from '../../targets/node/program/daemon.ts';

const read = (name: string) =>
  readFileSync(new URL(`../../targets/linux/systemd/${name}`, import.meta.url), 'utf8');
const settingOf = (text: string, key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1];

describe.each([
  ['baton-host', HOST_EXAMPLE],
  ['baton-agent', AGENT_EXAMPLE],
])('%s.service', (program, example) => {
  const text = read(`${program}.service`);

  it('starts again after what may go better, and not after what a person has to mend', () => {
    expect(settingOf(text, 'ExecStart')).toMatch(
      new RegExp(`^/usr/bin/${program} --config /etc/baton/\\w+\\.json$`),
    );
    expect(settingOf(text, 'RestartForceExitStatus')).toBe(String(EXIT_AGAIN));
    expect(settingOf(text, 'RestartPreventExitStatus')).toBe(`${EXIT_USAGE} ${EXIT_CONFIG}`);
  });

  it('is started again however often, for 75 promises that another start may go better', () => {
    const [unit = ''] = text.split('[Service]');
    expect(settingOf(unit, 'StartLimitIntervalSec')).toBe('0');
    expect(text).not.toMatch(/^StartLimitBurst=/m);
  });

  it('makes the folders that the example names', () => {
    const { state, control } = parseConfig('example', example) as Record<string, string>;
    expect(state).toBe(`/var/lib/${settingOf(text, 'StateDirectory')}`);
    expect(control).toMatch(new RegExp(`^/run/${settingOf(text, 'RuntimeDirectory')}/\\w+\\.sock$`));
  });

  it('leaves the sockets that daemons speak over', () => {
    expect(settingOf(text, 'RestrictAddressFamilies')).toBe('AF_UNIX AF_INET AF_INET6 AF_VSOCK');
  });
});

test('the agent may write below /sys, where the steps of hooks write, and hold a wake lock', () => {
  const text = read('baton-agent.service');
  expect(settingOf(text, 'ProtectKernelTunables')).toBe('no');
  expect(text).not.toMatch(/^(ReadOnlyPaths|InaccessiblePaths|TemporaryFileSystem|User|DynamicUser)=/m);
  expect(settingOf(text, 'CapabilityBoundingSet')).toBe('CAP_BLOCK_SUSPEND');
});

/** Who tells systemd anything: tested in test/quickjs/supervisor.test.ts. */
test.each([
  ['baton-agent.service', 'notify', '120'],
  ['baton-agent.service.d/node.conf', 'exec', '0'],
  ['baton-host.service', 'exec', undefined],
  ['baton-host.service.d/watchdog.conf', 'notify', '120'],
])('%s is of Type=%s with WatchdogSec=%s', (name, type, watchdog) => {
  expect(settingOf(read(name), 'Type')).toBe(type);
  expect(settingOf(read(name), 'WatchdogSec')).toBe(watchdog);
});
