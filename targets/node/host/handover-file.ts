/**
 * The handover records as files (rotated-file.ts): `handovers.jsonl` and older ones, one JSON object a line.
 *
 * Nothing depends on them: a file that cannot be opened or read is reported and tried again, and stops nothing. A
 * crash may leave part of a line at the end. It stays, as a line of its own that readers skip.
 */

import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { BundleId } from '../../../src/core/protocol/ids.ts';
import type { HostParts } from '../../../src/drivers/host/host-parts.ts';
import type { Log } from '../../../src/ports/world.ts';
import { filesOfLog, type LogLimits, RotatedFile, readBytes } from './rotated-file.ts';

/** The log in a state folder. */
const NAME = 'handovers.jsonl';
/** 10 MiB in all: at 1 kB a record, two of them for each lease, some 5,000 leases. */
export const HANDOVER_LIMITS: LogLimits = { fileBytes: 2 * 1024 * 1024, files: 4 };
/** Bytes at the end of a file that are searched for the last records: some 60 of them. */
const TAIL_BYTES = 64 * 1024;

/** Opens the handover records at `path`, or creates them. Never throws. */
export function openHandovers(
  path: string,
  log: Log,
  limits = HANDOVER_LIMITS,
): NonNullable<HostParts['records']> {
  let file: RotatedFile | undefined;
  /** Ends what a crash left of a line. */
  let before = '';
  const open = (): RotatedFile => {
    const opened = new RotatedFile(path, limits);
    const { fd, end } = opened;
    before = end > 0 && readBytes(fd, end - 1, end).toString('latin1') !== '\n' ? '\n' : '';
    return opened;
  };
  let recorded = new Map<BundleId, number[]>();
  try {
    file = open();
    recorded = lastEpochs(path);
  } catch (error) {
    log('warn', `${path}: the handover records cannot be used: ${(error as Error).message}`);
  }
  return {
    append: (lines) => {
      file ??= open();
      file.append(before + lines);
      before = '';
    },
    wallMs: () => Date.now(),
    isoTime: (wallMs) => new Date(wallMs).toISOString(),
    recorded,
  };
}

/** Returns the files with handover records, oldest first. `path`: their folder or current file, or an older file. */
export function handoverFiles(path: string): string[] {
  return filesOfLog(path, NAME);
}

/** The current file in a state folder. */
export function handoversIn(folder: string): string {
  return join(folder, NAME);
}

/** Returns the epochs of the last records, by bundle: of the last two files, since the current one may be new. */
function lastEpochs(path: string): Map<BundleId, number[]> {
  const epochs = new Map<BundleId, number[]>();
  for (const file of filesOfLog(path, NAME).slice(-2)) {
    for (const line of tailOf(file).split('\n')) {
      const { bundle, epoch } = recordIn(line);
      if (typeof bundle !== 'string' || typeof epoch !== 'number') continue;
      const known = epochs.get(bundle as BundleId) ?? [];
      epochs.set(bundle as BundleId, [...known, epoch]);
    }
  }
  return epochs;
}

function tailOf(file: string): string {
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    return readBytes(fd, Math.max(0, size - TAIL_BYTES), size).toString('latin1');
  } finally {
    closeSync(fd);
  }
}

function recordIn(line: string): { readonly bundle?: unknown; readonly epoch?: unknown } {
  try {
    return Object(JSON.parse(line));
  } catch {
    return {};
  }
}
