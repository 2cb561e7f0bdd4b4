/**
 * A folder of files that a sound agent's and a sound host's configuration name, anew for each test that imports this.
 */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';

/** The folder of the test that runs, with what `agent` and `host` name. */
export let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-daemon-'));
  write('bundles.json', bundleFileText([PANEL]));
  write('android.keys.json', JSON.stringify({ host: '0'.repeat(64), vault: '1'.repeat(64) }), 0o600);
  write('host.keys.json', JSON.stringify({ android: '0'.repeat(64), vault: '1'.repeat(64) }), 0o600);
  write('password', 'secret\n', 0o600);
  write('program', '#!/bin/sh\n', 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

export function write(name: string, text: string, mode = 0o644): void {
  writeFileSync(join(folder, name), text, { mode });
  chmodSync(join(folder, name), mode);
}

export type Config = Record<string, unknown>;
export const agent = (): Config => ({
  vm: 'android',
  bundles: 'bundles.json',
  keys: 'android.keys.json',
  transport: { kind: 'stream', address: 'tcp:127.0.0.1:7001' },
  state: 'state',
  control: 'agent.sock',
});
export const host = (): Config => ({
  bundles: 'bundles.json',
  keys: 'host.keys.json',
  enforcer: { kind: 'none', vms: ['android', 'vault'] },
  transport: { kind: 'stream', listen: { android: 'unix:/run/a', vault: 'unix:/run/v' } },
  state: 'host-state',
  control: 'host.sock',
});
export const mqtt = (more: Config) => ({ transport: { kind: 'mqtt', url: 'mqtt://127.0.0.1', ...more } });
