/** The handover records of a run: an attempt has one at most, and its times add up. */

import type { BundleId } from '../../../src/core/protocol/ids.ts';
import type { HostParts } from '../../../src/drivers/host/host-parts.ts';
import type { StoredRecord } from '../../../targets/node/cli/history-lines.ts';

/** Times are written to the microsecond: what rounding of all parts may add, in ms. */
const ROUNDING_MS = 0.02;

/** The file of the records, which outlives the processes of the host. */
export class RunRecords {
  readonly #lines: string[] = [];

  /** What a process of the host gets of the file. `mayAct`: it lives. `isFull`: the disk has no room. */
  parts(
    nowMs: () => number,
    mayAct: () => boolean,
    isFull: () => boolean,
  ): NonNullable<HostParts['records']> {
    const recorded = new Map<BundleId, number[]>();
    for (const { bundle, epoch } of this.#all()) {
      if (bundle === null || epoch === null) continue;
      const id = bundle as BundleId;
      recorded.set(id, [...(recorded.get(id) ?? []), epoch]);
    }
    return {
      append: (lines) => {
        if (!mayAct()) return;
        if (isFull()) throw new Error('handovers.jsonl: no space left on device');
        this.#lines.push(...lines.trimEnd().split('\n'));
      },
      wallMs: nowMs,
      isoTime: String,
      recorded,
    };
  }

  /** Returns what is wrong with the records. */
  faults(): string[] {
    const seen = new Set<string>();
    return this.#all().flatMap(({ bundle, epoch, ms, steps }) => {
      const name = `${bundle} ${epoch}`;
      const isDouble = epoch !== null && seen.has(name);
      if (epoch !== null) seen.add(name);
      const own = steps.filter(({ by, step }) => by === 'host' || step === 'policy');
      const sumMs = own.reduce((sum, step) => sum + step.ms, 0);
      return [
        ...(isDouble ? [`${name}: two handover records`] : []),
        ...(ms !== null && Math.abs(sumMs - ms) > ROUNDING_MS
          ? [`${name}: the steps of its record take ${sumMs} ms, all of it ${ms} ms`]
          : []),
      ];
    });
  }

  #all(): StoredRecord[] {
    return this.#lines.map((line) => JSON.parse(line) as StoredRecord);
  }
}
