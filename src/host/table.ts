/**
 * The host's table on disk: the last state of every bundle and the lives of the VMs, as journal records.
 *
 * JSON in ASCII, one record a change. Proofs are not kept: after a restart the machine itself is read back. A
 * table that does not check out is not repaired: its bundles start in quarantine, cause `tableLost`.
 */

import type { Journal } from '../ports.ts';
import type { HostState } from '../protocol/hypervisor-state.ts';
import type { BundleId } from '../protocol/ids.ts';
import { asciiBytes, asciiText } from '../wire/bytes.ts';
import type { RegistryRecord } from './vm-registry.ts';

/** Records after which the file is rewritten with one record per bundle: some 500 KiB. */
const COMPACT_AFTER = 1_000;

/** The host's table. */
export class HostTable {
  readonly #journal: Journal;
  readonly #bundles = new Map<BundleId, HostState>();
  #registry: RegistryRecord | undefined;
  #records: number;

  /** Reads the records. Throws when one is not of this table. */
  constructor(journal: Journal) {
    this.#journal = journal;
    this.#records = journal.records.length;
    for (const bytes of journal.records) {
      const record = JSON.parse(asciiText(bytes)) as {
        bundle?: BundleId;
        state?: HostState;
        registry?: RegistryRecord;
      };
      if (record.registry) this.#registry = record.registry;
      else if (record.bundle && record.state) this.#bundles.set(record.bundle, record.state);
      else throw new Error('a record of the table is neither a bundle nor the registry');
    }
  }

  registry(): RegistryRecord | undefined {
    return this.#registry;
  }

  bundle(id: BundleId): HostState | undefined {
    return this.#bundles.get(id);
  }

  /** Writes the state of a bundle; durable before this returns if `sync`. */
  writeBundle(bundle: BundleId, state: HostState, sync: boolean): void {
    this.#bundles.set(bundle, state);
    this.#write(encodeBundle(bundle, state), sync);
  }

  writeRegistry(registry: RegistryRecord): void {
    this.#registry = registry;
    this.#write(encode({ registry }), true);
  }

  #write(record: Uint8Array, sync: boolean): void {
    // A rewrite is durable, so it waits for a record that has to be: nothing is synced while a bundle is dark.
    if (this.#records < COMPACT_AFTER || !sync) {
      this.#journal.append(record, sync);
      this.#records += 1;
      return;
    }
    const all = [...this.#bundles].map(([bundle, state]) => encodeBundle(bundle, state));
    if (this.#registry) all.push(encode({ registry: this.#registry }));
    this.#journal.rewrite(all);
    this.#records = all.length;
  }
}

function encodeBundle(bundle: BundleId, state: HostState): Uint8Array {
  const holder = state.holder ? { ...state.holder, proof: undefined } : undefined;
  return encode({ bundle, state: { ...state, holder } });
}

function encode(value: unknown): Uint8Array {
  return asciiBytes(JSON.stringify(value));
}
