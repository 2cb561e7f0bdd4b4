/**
 * The host's table on disk: the last state of every bundle and the lives of the VMs, as journal records.
 *
 * JSON in ASCII, one record a change. A record reserves epochs beyond its bundle's own (`epochsTo`), so that the host
 * can go on for a while when it cannot write: a later start begins above all that may have been used. Proofs are not
 * kept: after a restart the machine itself is read back. A table that does not check out (table-record.ts) is not
 * repaired: its bundles start in quarantine, cause `tableLost`.
 */

import type { HostState } from '../../core/host/host-state.ts';
import { registryFault, stateFault } from '../../core/host/table-record.ts';
import type { RegistryRecord } from '../../core/host/vm-registry.ts';
import { type BundleId, type Epoch, UINT32_MAX } from '../../core/protocol/ids.ts';
import { asciiBytes, asciiText } from '../../core/wire/bytes.ts';
import type { Journal } from '../../ports/world.ts';

/** Records after which the file is rewritten with one record per bundle: some 500 KiB. */
const COMPACT_AFTER = 1_000;

/**
 * Epochs that each record reserves. A forced return takes two, a restart of the owner's VM two more; nothing is lent
 * meanwhile. A start of the service uses them up, of four thousand million.
 */
const EPOCHS_AHEAD = 16;

/** A record of a bundle. Tables of before `epochsTo` had none of it. */
interface BundleRecord {
  readonly bundle: BundleId;
  readonly state: HostState;
  readonly epochsTo?: number;
}

/** The host's table. */
export class HostTable {
  readonly #journal: Journal;
  readonly #bundles = new Map<BundleId, HostState>();
  /** Epochs up to which the records of this life of the service reserve, and up to which durable ones do. */
  readonly #written = new Map<BundleId, number>();
  readonly #reserved = new Map<BundleId, number>();
  #registry: RegistryRecord | undefined;
  #records: number;

  /** Reads the records. Throws when one is not of this table, or the last one of a kind cannot be used. */
  constructor(journal: Journal) {
    this.#journal = journal;
    this.#records = journal.records.length;
    for (const bytes of journal.records) {
      const record = JSON.parse(asciiText(bytes)) as Partial<BundleRecord> & { registry?: RegistryRecord };
      const { bundle, state, registry } = record;
      if (registry) this.#registry = registry;
      else if (bundle && state)
        this.#bundles.set(bundle, { ...state, epoch: (record.epochsTo ?? state.epoch) as Epoch });
      else throw new Error('a record of the table is neither a bundle nor the registry');
    }
    const registered = this.#registry && registryFault(this.#registry);
    if (registered) throw new Error(`its registry cannot be used: ${registered}`);
    for (const [bundle, state] of this.#bundles) {
      const fault = stateFault(state);
      if (fault) throw new Error(`its record of ${bundle} cannot be used: ${fault}`);
    }
  }

  registry(): RegistryRecord | undefined {
    return this.#registry;
  }

  bundle(id: BundleId): HostState | undefined {
    return this.#bundles.get(id);
  }

  /** Whether a start of the service after a crash would begin above this epoch of a bundle. */
  isReserved(bundle: BundleId, epoch: number): boolean {
    return epoch <= (this.#reserved.get(bundle) ?? -1);
  }

  /** Reserves epochs for what was read. Durable with the next durable record. */
  reserve(): void {
    for (const [bundle, state] of this.#bundles) this.writeBundle(bundle, state, false);
  }

  /**
   * Writes the state of a bundle; durable before this returns if `sync`. Throws when it cannot. Before there is a
   * registry, nothing is written: a table without one says nothing, and nobody was told anything yet.
   */
  writeBundle(bundle: BundleId, state: HostState, sync: boolean): void {
    this.#bundles.set(bundle, state);
    if (this.#registry === undefined) return;
    this.#write(encodeBundle(bundle, state), sync, () => this.#written.set(bundle, epochsTo(state.epoch)));
  }

  /** Writes the lives of the VMs, durable. Throws when it cannot. */
  writeRegistry(registry: RegistryRecord): void {
    const isFirst = this.#registry === undefined;
    this.#registry = registry;
    // All at once: the table is whole, or not there.
    if (isFirst) this.#rewrite();
    else this.#write(encode({ registry }), true, () => {});
  }

  #write(record: Uint8Array, sync: boolean, written: () => void): void {
    // A rewrite is durable, so it waits for a record that has to be: nothing is synced while a bundle is dark.
    if (this.#records >= COMPACT_AFTER && sync) return this.#rewrite();
    try {
      this.#journal.append(record, sync);
    } catch (error) {
      if (!sync) throw error;
      // There may be room for a file with the last records alone. And nobody knows what a failed sync dropped.
      this.#records = COMPACT_AFTER;
      return this.#rewrite();
    }
    this.#records += 1;
    written();
    // A durable record makes all before it durable.
    if (sync) for (const [bundle, epoch] of this.#written) this.#reserved.set(bundle, epoch);
  }

  #rewrite(): void {
    const all = [...this.#bundles].map(([bundle, state]) => encodeBundle(bundle, state));
    if (this.#registry) all.push(encode({ registry: this.#registry }));
    this.#journal.rewrite(all);
    this.#records = all.length;
    for (const [bundle, { epoch }] of this.#bundles) {
      this.#written.set(bundle, epochsTo(epoch));
      this.#reserved.set(bundle, epochsTo(epoch));
    }
  }
}

function epochsTo(epoch: number): number {
  return Math.min(epoch + EPOCHS_AHEAD, UINT32_MAX);
}

function encodeBundle(bundle: BundleId, state: HostState): Uint8Array {
  const holder = state.holder ? { ...state.holder, proof: undefined } : undefined;
  const record: BundleRecord = {
    bundle,
    state: { ...state, holder } as HostState,
    epochsTo: epochsTo(state.epoch),
  };
  return encode(record);
}

function encode(value: unknown): Uint8Array {
  return asciiBytes(JSON.stringify(value));
}
