/**
 * What the start of a host must not depend on: how long it has run before. The shipped program as a process; the two
 * take turns.
 */

import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import { AUDIT_START, auditLine } from '../../../src/core/host/audit.ts';
import { HOST } from '../../../src/core/protocol/ids.ts';
import { AUDIT_LIMITS, auditIn, openAudit } from '../../node/host/audit-file.ts';
import { ANDROID, PANEL, VAULT } from '../machine/board.ts';
import { pairKey } from './parties.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

const DIST = dirname(fileURLToPath(import.meta.url));
/** Audit history of the old host, in bytes: in files of the usual size, all kept, and in one file as well. */
const HISTORY_BYTES = 1024 ** 3;
const STARTS = 9;
const RATIO_MAX = 1.2;
/** Longest wait for a start, in ms. */
const START_MS = 60_000;

export async function benchStart(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-start-'));
  try {
    const hosts = {
      'no history': at(folder, 'new'),
      'files of 4 MiB': at(folder, 'files'),
      'one file': at(folder, 'one'),
    };
    write(folder);
    for (const config of Object.values(hosts)) await startMs(config, '--create-table');
    grow(join(folder, 'files'), AUDIT_LIMITS.fileBytes);
    grow(join(folder, 'one'), Number.POSITIVE_INFINITY);
    const times = new Map(Object.keys(hosts).map((name) => [name, [] as number[]]));
    for (let round = 0; round < STARTS; round++) {
      for (const [name, config] of Object.entries(hosts)) times.get(name)!.push(await startMs(config));
    }
    const value = (name: string) => median(times.get(name)!);
    const baseline = { name: 'no history', value: value('no history') };
    for (const name of ['files of 4 MiB', 'one file']) {
      const bytes = sizeOf(join(folder, name === 'one file' ? 'one' : 'files'));
      const row = { bench: 'start', case: `${(bytes / 1024 ** 3).toFixed(2)} GiB of audit log, ${name}` };
      report.compare({ ...row, value: value(name), unit: 'ms', baseline }, RATIO_MAX);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const at = (folder: string, name: string) => join(folder, `${name}.json`);

function write(folder: string): void {
  const file = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 });
  const hex = (vm: typeof ANDROID) => Buffer.from(pairKey(vm, HOST)).toString('hex');
  file('bundles.json', bundleFileText([PANEL]));
  file('host.keys', JSON.stringify({ android: hex(ANDROID), vault: hex(VAULT) }));
  for (const name of ['new', 'files', 'one']) {
    const config = {
      bundles: 'bundles.json',
      keys: 'host.keys',
      enforcer: { kind: 'none', vms: ['android', 'vault'] },
      transport: {
        kind: 'stream',
        listen: { android: `unix:${folder}/${name}.a`, vault: `unix:${folder}/${name}.v` },
      },
      // All that was written is kept, so that there is as much of it as can be.
      audit: { files: 1_000, fileBytes: name === 'one' ? HISTORY_BYTES : AUDIT_LIMITS.fileBytes },
      state: name,
      control: `${name}.sock`,
    };
    file(`${name}.json`, JSON.stringify(config));
  }
}

/** Time from exec until it serves, in ms; then it is ended. */
function startMs(config: string, ...words: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, [join(DIST, 'baton-host.mjs'), '--config', config, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return new Promise((resolve, reject) => {
    let said = '';
    const limit = setTimeout(() => child.kill('SIGKILL'), START_MS);
    let tookMs: number | undefined;
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      if (tookMs !== undefined || !said.includes('serving')) return;
      tookMs = performance.now() - startedMs;
      child.kill('SIGTERM');
    });
    child.once('close', () => {
      clearTimeout(limit);
      if (tookMs === undefined) reject(new Error(`the host did not serve: ${said}`));
      else resolve(tookMs);
    });
  });
}

/** Makes a log of HISTORY_BYTES after what is there. */
function grow(state: string, fileBytes: number): void {
  const path = auditIn(state);
  const limits = { fileBytes, files: 1_000 };
  const file = openAudit(path, 0, () => {}, limits);
  let hash = file.hash ?? AUDIT_START;
  let text = '';
  const entry = { atMs: 1, bundle: PANEL.id, event: 'held', epoch: 9, holder: ANDROID, detail: 'release' };
  for (let bytes = sizeOf(state); bytes < HISTORY_BYTES; ) {
    const line = auditLine(hash, entry);
    hash = line.hash;
    text += line.line;
    bytes += line.line.length;
    if (text.length < 1024 ** 2) continue;
    if (fileBytes === Number.POSITIVE_INFINITY) appendFileSync(path, text);
    else file.append(text);
    text = '';
  }
}

function sizeOf(state: string): number {
  const names = readdirSync(state).filter((name) => name.startsWith('audit'));
  return names.reduce((sum, name) => sum + statSync(join(state, name)).size, 0);
}
