/**
 * The host's table on disk: the last state of every bundle and the incarnations of the VMs, as journal records.
 *
 * JSON in ASCII, one record per change. The table must survive this process, not a power cut (bounds.ts), so a record
 * is fsynced only where the core asks for it: where VMs outlive the host's kernel. Proofs are not stored: after a
 * restart the machine itself is read back. A table with an invalid record (table-record.ts) is not repaired: its
 * bundles start in quarantine, cause `tableLost`.
 */

import type { HostRecords } from '../../core/host/host-facts.ts';
import type { HostState } from '../../core/host/host-state.ts';
import { registryFault, stateFault } from '../../core/host/table-record.ts';
import type { RegistryRecord } from '../../core/host/vm-registry.ts';
import type { BundleId } from '../../core/protocol/ids.ts';
import { asciiBytes, asciiText } from '../../core/wire/bytes.ts';
import type { Journal } from '../../ports/world.ts';

/** Records after which the file is rewritten with one record per bundle: some 500 KiB. */
const COMPACT_AFTER = 1_000;

/** The host's table. */
export class HostTable {
  readonly #journal: Journal;
  readonly #bundles = new Map<BundleId, HostState>();
  #registry: RegistryRecord | undefined;
  #records: number;

  /** Reads the records. Throws when one does not belong to this table, or the last one of a kind is invalid. */
  constructor(journal: Journal) {
    this.#journal = journal;
    this.#records = journal.records.length;
    for (const bytes of journal.records) {
      const record = JSON.parse(asciiText(bytes)) as {
        readonly bundle?: BundleId;
        readonly state?: HostState;
        readonly registry?: RegistryRecord;
      };
      const { bundle, state, registry } = record;
      if (registry) this.#registry = registry;
      else if (bundle && state) this.#bundles.set(bundle, state);
      else throw new Error('a record of the table is neither a bundle nor the registry');
    }
    const registered = this.#registry && registryFault(this.#registry);
    if (registered) throw new Error(`its registry is invalid: ${registered}`);
    for (const [bundle, state] of this.#bundles) {
      const fault = stateFault(state);
      if (fault) throw new Error(`its record of ${bundle} is invalid: ${fault}`);
    }
  }

  /** Returns the last records; undefined while the table is incomplete. */
  records(): HostRecords | undefined {
    return this.#registry && { bundles: new Map(this.#bundles), registry: this.#registry };
  }

  /**
   * Writes the state of a bundle; with `isDurable` it is durable on return. Throws on failure. Nothing is written
   * before there is a registry: a table without one is unusable, and no message was sent yet.
   */
  writeBundle(bundle: BundleId, state: HostState, isDurable = false): void {
    this.#bundles.set(bundle, state);
    if (this.#registry !== undefined) this.#write(encodeBundle(bundle, state), isDurable);
  }

  /** Writes the incarnations of the VMs. Throws on failure. */
  writeRegistry(registry: RegistryRecord): void {
    const isFirst = this.#registry === undefined;
    this.#registry = registry;
    try {
      // In one write: the table is complete, or absent.
      if (isFirst) this.#rewrite(false);
      else this.#write(encode({ registry }), false);
    } catch (error) {
      if (isFirst) this.#registry = undefined;
      throw error;
    }
  }

  #write(record: Uint8Array, isDurable: boolean): void {
    if (this.#records >= COMPACT_AFTER) return this.#rewrite(isDurable);
    try {
      this.#journal.append(record, isDurable);
    } catch {
      // There may be room for a file with only the last records.
      return this.#rewrite(isDurable);
    }
    this.#records += 1;
  }

  #rewrite(isDurable: boolean): void {
    const all = [...this.#bundles].map(([bundle, state]) => encodeBundle(bundle, state));
    if (this.#registry) all.push(encode({ registry: this.#registry }));
    this.#journal.rewrite(all, isDurable);
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
