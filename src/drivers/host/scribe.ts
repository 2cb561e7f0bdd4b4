/**
 * Writes the host's table and audit log: at once what must be durable, the rest when nobody waits for it.
 *
 * While a bundle is on its way somebody waits for the next message, so work that no message depends on comes after
 * all of them. A service that is killed in between loses what it would also lose with the power: the plan of the
 * attempt is on disk, and its end is read back from the machine.
 *
 * What cannot be written is kept and tried again. Whoever asked for a durable record is told that there is none, and
 * decides what may be done all the same (host.ts).
 */

import { AUDIT_START, type AuditEntry, auditLine, SKIPPED_EVENT } from '../../core/host/audit.ts';
import { AuditShares, OVER_SHARE_EVERY_MS } from '../../core/host/audit-share.ts';
import type { HostState } from '../../core/host/host-state.ts';
import type { RegistryRecord } from '../../core/host/vm-registry.ts';
import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type { Clock, Log } from '../../ports/world.ts';
import type { HostTable } from './table.ts';

/** How long what nobody waits for may stay unwritten, in ms: a handover takes a few, a person reads later. */
const LATER_MS = 50;
/** The event that ends a handover: from here on nobody waits for a message. */
const END_EVENT = 'confirmed';
/** Time between two tries to write what could not be written: somebody frees space by hand. */
const RETRY_MS = 1_000;
/** Time between two complaints about the same: a log shows it, and is not filled by it. */
const REMIND_MS = 60_000;
/** Lines of the audit log that are kept while it cannot be written: some 300 KiB. The oldest make room. */
const ENTRIES_MAX = 1_000;

/** Where a scribe writes. */
export interface ScribeParts {
  readonly table: HostTable;
  /** Appends whole lines to the audit log. Throws when it cannot; then none of them is there. */
  readonly audit: (lines: string) => void;
  /** Hash of the last line of the audit log. */
  readonly auditHash: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** What could not be written is written now. */
  readonly onWritten: () => void;
}

/** The host's scribe. */
export class Scribe {
  readonly #parts: ScribeParts;
  #auditHash: string;
  /** A later state of a bundle takes the place of one that was not written yet. */
  readonly #states = new Map<BundleId, HostState>();
  #registry: RegistryRecord | undefined;
  #entries: AuditEntry[] = [];
  #skipped = 0;
  #cancel: (() => void) | undefined;
  readonly #shares = new AuditShares();
  #cancelLeftOut: (() => void) | undefined;
  #isStopped = false;
  /** Why table or audit log could not be written when it was last tried. */
  #tableFault: string | undefined;
  #auditFault: string | undefined;
  /** Something could not be written since all was written the last time. */
  #isBehind = false;
  #remindMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ScribeParts) {
    this.#parts = parts;
    this.#auditHash = parts.auditHash ?? AUDIT_START;
  }

  /** Hash of the last line of the audit log; writes what waits. */
  get auditHash(): string {
    this.catchUp();
    return this.#auditHash;
  }

  /** What cannot be written, and why; undefined when all is well. */
  get fault(): string | undefined {
    const faults = [this.#tableFault, this.#auditFault].filter((fault) => fault !== undefined);
    return faults.length > 0 ? faults.join('; ') : undefined;
  }

  /** Whether the lives of the VMs are on disk as they are. */
  get knowsLives(): boolean {
    return this.#registry === undefined;
  }

  /** Whether a later start of the service would begin above this epoch, even if nothing more can be written. */
  isReserved(bundle: BundleId, epoch: number): boolean {
    return this.#parts.table.isReserved(bundle, epoch);
  }

  /** Reserves epochs and writes the lives of the VMs. Returns whether this is durable: else nothing may begin. */
  begin(registry: RegistryRecord): boolean {
    return this.#tries(() => this.#parts.table.reserve()) && this.writeRegistry(registry);
  }

  /** Writes the state of a bundle. With `sync`, returns whether it is durable. */
  writeBundle(bundle: BundleId, state: HostState, sync: boolean): boolean {
    this.#states.set(bundle, state);
    if (sync && this.#tries(() => this.#parts.table.writeBundle(bundle, state, true))) {
      this.#states.delete(bundle);
      return true;
    }
    this.#later();
    return !sync;
  }

  /** Writes the lives of the VMs, after all that was given before. Returns whether this is durable. */
  writeRegistry(registry: RegistryRecord): boolean {
    this.#registry = registry;
    this.catchUp();
    return this.knowsLives;
  }

  /** Writes a line of the audit log. `cause`: the VM behind it, which has a share of the log (audit-share.ts). */
  writeAudit(entry: AuditEntry, cause: VmId | undefined): void {
    if (!this.#shares.take(cause, entry, this.#parts.clock.nowMs())) return this.#leftOutLater();
    this.#entries.push(entry);
    if (entry.event === END_EVENT && this.fault === undefined) this.#later(0);
    else this.#later();
  }

  /** Writes what waits; what cannot be written waits on. */
  catchUp(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#writeTable();
    this.#writeEntries();
    if (this.fault !== undefined) return this.#later();
    if (!this.#isBehind) return;
    this.#isBehind = false;
    this.#remindMs = Number.NEGATIVE_INFINITY;
    this.#parts.log('info', 'table and audit log are written again');
    this.#parts.onWritten();
  }

  /** Writes nothing more. */
  stop(): void {
    this.#entries.push(...this.#shares.leftOut(this.#parts.clock.nowMs()));
    this.catchUp();
    this.#isStopped = true;
    this.#cancel?.();
    this.#cancelLeftOut?.();
  }

  #writeTable(): void {
    const { table } = this.#parts;
    // What should have been durable is among what waits after a fault.
    const sync = this.#isBehind;
    for (const [bundle, state] of this.#states) {
      if (!this.#tries(() => table.writeBundle(bundle, state, sync))) return;
      this.#states.delete(bundle);
    }
    const registry = this.#registry;
    if (!registry || !this.#tries(() => table.writeRegistry(registry))) return;
    this.#registry = undefined;
  }

  #writeEntries(): void {
    const skipped = this.#skipped;
    const note = skipped > 0 ? [skippedEntry(this.#parts.clock.nowMs(), skipped)] : [];
    const entries = [...note, ...this.#entries];
    let lines = '';
    let last = this.#auditHash;
    for (const entry of entries) {
      const { line, hash } = auditLine(last, entry);
      last = hash;
      lines += line;
    }
    try {
      if (lines) this.#parts.audit(lines);
      this.#auditHash = last;
      for (const entry of this.#entries) this.#tellLog(entry);
      this.#entries = [];
      this.#skipped = 0;
      this.#auditFault = undefined;
    } catch (error) {
      this.#auditFault = (error as Error).message;
      const excess = Math.max(0, this.#entries.length - ENTRIES_MAX);
      this.#entries.splice(0, excess);
      this.#skipped += excess;
      this.#complain();
    }
  }

  /**
   * The log has what the audit log has, but when nobody waits for it: each line, in order, since a VM has a share of
   * them already.
   */
  #tellLog({ event, detail, bundle, holder, epoch }: AuditEntry): void {
    const { log } = this.#parts;
    (log.each ?? log)('info', detail === undefined ? event : `${event}: ${detail}`, {
      bundle,
      holder,
      epoch,
    });
  }

  /** Writes to the table. Returns whether that was possible. */
  #tries(write: () => void): boolean {
    try {
      write();
      this.#tableFault = undefined;
      return true;
    } catch (error) {
      this.#tableFault = (error as Error).message;
      this.#complain();
      return false;
    }
  }

  #complain(): void {
    this.#isBehind = true;
    const nowMs = this.#parts.clock.nowMs();
    if (nowMs - this.#remindMs < REMIND_MS) return;
    this.#remindMs = nowMs;
    const what =
      this.#tableFault === undefined ? 'bundles are lent all the same' : 'nothing is lent until then';
    this.#parts.log('error', `${this.fault}; free space or mend the disk: it is tried again, and ${what}`);
  }

  /** Lines that were left out are told of once in a while. */
  #leftOutLater(): void {
    if (this.#isStopped) return;
    this.#cancelLeftOut ??= this.#parts.clock.after(OVER_SHARE_EVERY_MS, () => {
      this.#cancelLeftOut = undefined;
      this.#entries.push(...this.#shares.leftOut(this.#parts.clock.nowMs()));
      this.#later();
    });
  }

  #later(ms = this.fault === undefined ? LATER_MS : RETRY_MS): void {
    if (this.#isStopped) return;
    if (ms === 0) this.#cancel?.();
    if (ms === 0 || !this.#cancel) this.#cancel = this.#parts.clock.after(ms, () => this.catchUp());
  }
}

function skippedEntry(nowMs: number, lines: number): AuditEntry {
  const detail = `${lines} lines could not be written`;
  return { atMs: Math.round(nowMs), bundle: '-', event: SKIPPED_EVENT, epoch: 0, holder: null, detail };
}
