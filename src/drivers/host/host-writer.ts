/**
 * Writes the host's table at once, and its audit log when nobody waits for it: while a bundle is on its way somebody
 * waits for the next message.
 *
 * Nothing here is made durable (bounds.ts says what is). A table that cannot be written is reported back, and the core
 * decides what follows. Lines of the audit log are kept meanwhile, and tried again.
 */

import { AUDIT_START, type AuditEntry, auditLine, SKIPPED_EVENT } from '../../core/host/audit.ts';
import { AuditShares, OVER_SHARE_EVERY_MS } from '../../core/host/audit-share.ts';
import type { HostState } from '../../core/host/host-state.ts';
import type { RegistryRecord } from '../../core/host/vm-registry.ts';
import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type { Clock, Log } from '../../ports/world.ts';
import type { HostTable } from './table.ts';

/** How long lines may stay unwritten, in ms: a handover takes a few, a person reads later. */
const LATER_MS = 50;
/** The event that ends a handover: from here on nobody waits for a message. */
const END_EVENT = 'confirmed';
/** Time between two tries to write what could not be written: somebody frees space by hand. */
const RETRY_MS = 1_000;
/** Time between two complaints about the same: a log shows it, and is not filled by it. */
const REMIND_MS = 60_000;
/** Lines of the audit log that are kept while it cannot be written: some 300 KiB. The oldest make room. */
const ENTRIES_MAX = 1_000;

/** Where the host writes. */
export interface HostWriterParts {
  readonly table: HostTable;
  /** Appends whole lines to the audit log. Throws when it cannot; then none of them is there. */
  readonly audit: (lines: string) => void;
  /** Hash of the last line of the audit log. */
  readonly auditHash: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** Writes what the host has to write. */
export class HostWriter {
  readonly #parts: HostWriterParts;
  #auditHash: string;
  #entries: AuditEntry[] = [];
  #skipped = 0;
  #cancel: (() => void) | undefined;
  readonly #shares = new AuditShares();
  #cancelLeftOut: (() => void) | undefined;
  #isStopped = false;
  /** Why table or audit log could not be written when it was last tried. */
  #tableFault: string | undefined;
  #auditFault: string | undefined;
  #remindMs = Number.NEGATIVE_INFINITY;

  constructor(parts: HostWriterParts) {
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

  /** Writes the state of a bundle. Returns why it could not. */
  writeBundle(bundle: BundleId, state: HostState, isDurable: boolean): string | undefined {
    return this.#tries(() => this.#parts.table.writeBundle(bundle, state, isDurable));
  }

  /** Writes the incarnations of the VMs. Returns why it could not. */
  writeRegistry(registry: RegistryRecord): string | undefined {
    return this.#tries(() => this.#parts.table.writeRegistry(registry));
  }

  /** Writes a line of the audit log. `cause`: the VM behind it, which has a share of the log (audit-share.ts). */
  writeAudit(entry: AuditEntry, cause: VmId | undefined): void {
    if (!this.#shares.take(cause, entry, this.#parts.clock.nowMs())) return this.#leftOutLater();
    this.#entries.push(entry);
    if (entry.event === END_EVENT && this.#auditFault === undefined) this.#later(0);
    else this.#later();
  }

  /** Writes the lines that wait; what cannot be written waits on. */
  catchUp(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const skipped = this.#skipped;
    const note = skipped > 0 ? [skippedEntry(this.#parts.clock.nowMs(), skipped)] : [];
    let lines = '';
    let last = this.#auditHash;
    for (const entry of [...note, ...this.#entries]) {
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
      this.#works('audit');
    } catch (error) {
      const excess = Math.max(0, this.#entries.length - ENTRIES_MAX);
      this.#entries.splice(0, excess);
      this.#skipped += excess;
      this.#complain('audit', (error as Error).message);
      this.#later();
    }
  }

  /** Writes nothing more. */
  stop(): void {
    this.#entries.push(...this.#shares.leftOut(this.#parts.clock.nowMs()));
    this.catchUp();
    this.#isStopped = true;
    this.#cancel?.();
    this.#cancelLeftOut?.();
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

  #tries(write: () => void): string | undefined {
    try {
      write();
      this.#works('table');
      return undefined;
    } catch (error) {
      this.#complain('table', (error as Error).message);
      return (error as Error).message;
    }
  }

  #works(what: 'table' | 'audit'): void {
    if (this.fault === undefined) return;
    if (what === 'table') this.#tableFault = undefined;
    else this.#auditFault = undefined;
    if (this.fault !== undefined) return;
    this.#remindMs = Number.NEGATIVE_INFINITY;
    this.#parts.log('info', 'table and audit log are written again');
  }

  #complain(what: 'table' | 'audit', fault: string): void {
    if (what === 'table') this.#tableFault = fault;
    else this.#auditFault = fault;
    const nowMs = this.#parts.clock.nowMs();
    if (nowMs - this.#remindMs < REMIND_MS) return;
    this.#remindMs = nowMs;
    const follows =
      this.#tableFault === undefined ? 'bundles are lent all the same' : 'nothing is lent until then';
    this.#parts.log('error', `${this.fault}; free space or mend the disk: it is tried again, and ${follows}`);
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

  #later(ms = this.#auditFault === undefined ? LATER_MS : RETRY_MS): void {
    if (this.#isStopped) return;
    if (ms === 0) this.#cancel?.();
    if (ms === 0 || !this.#cancel) this.#cancel = this.#parts.clock.after(ms, () => this.catchUp());
  }
}

function skippedEntry(nowMs: number, lines: number): AuditEntry {
  const detail = `${lines} lines could not be written`;
  return { atMs: Math.round(nowMs), bundle: '-', event: SKIPPED_EVENT, epoch: 0, holder: null, detail };
}
