/**
 * Writes the host's table and audit log: at once what must be durable, the rest when nobody waits for it.
 *
 * While a bundle is on its way somebody waits for the next message, so work that no message depends on comes after
 * all of them. A service that is killed in between loses what it would also lose with the power: the plan of the
 * attempt is on disk, and its end is read back from the machine.
 */

import type { Clock } from '../ports.ts';
import type { HostState } from '../protocol/hypervisor-state.ts';
import type { BundleId } from '../protocol/ids.ts';
import { AUDIT_START, type AuditEntry, auditLine } from './audit.ts';
import type { HostTable } from './table.ts';
import type { RegistryRecord } from './vm-registry.ts';

/** How long what nobody waits for may stay unwritten, in ms: a handover takes a few, a person reads later. */
const LATER_MS = 20;

/** Where a scribe writes. */
export interface ScribeParts {
  readonly table: HostTable;
  /** Appends whole lines to the audit log. */
  readonly audit: (lines: string) => void;
  /** Hash of the last line of the audit log. */
  readonly auditHash: string | undefined;
  readonly clock: Clock;
}

/** The host's scribe. */
export class Scribe {
  readonly #parts: ScribeParts;
  #auditHash: string;
  /** A later state of a bundle takes the place of one that was not written yet. */
  readonly #states = new Map<BundleId, HostState>();
  readonly #entries: AuditEntry[] = [];
  #cancel: (() => void) | undefined;

  constructor(parts: ScribeParts) {
    this.#parts = parts;
    this.#auditHash = parts.auditHash ?? AUDIT_START;
  }

  /** Hash of the last line of the audit log; writes what waits. */
  get auditHash(): string {
    this.catchUp();
    return this.#auditHash;
  }

  /** Writes the state of a bundle; durable before this returns if `sync`. */
  writeBundle(bundle: BundleId, state: HostState, sync: boolean): void {
    if (sync) {
      this.#states.delete(bundle);
      this.#parts.table.writeBundle(bundle, state, true);
    } else {
      this.#states.set(bundle, state);
      this.#later();
    }
  }

  /** Writes the lives of the VMs, durable, after all that was given before. */
  writeRegistry(registry: RegistryRecord): void {
    this.catchUp();
    this.#parts.table.writeRegistry(registry);
  }

  writeAudit(entry: AuditEntry): void {
    this.#entries.push(entry);
    this.#later();
  }

  /** Writes what waits. */
  catchUp(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    for (const [bundle, state] of this.#states) this.#parts.table.writeBundle(bundle, state, false);
    this.#states.clear();
    let lines = '';
    for (const entry of this.#entries.splice(0)) {
      const { line, hash } = auditLine(this.#auditHash, entry);
      this.#auditHash = hash;
      lines += line;
    }
    if (lines) this.#parts.audit(lines);
  }

  #later(): void {
    this.#cancel ??= this.#parts.clock.after(LATER_MS, () => this.catchUp());
  }
}
