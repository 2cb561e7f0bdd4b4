/**
 * Writes the host's table at once, and its audit log and handover records in idle time: while a bundle moves, the
 * parties wait for messages.
 *
 * Nothing here is fsynced (bounds.ts lists what is durable), but for records that the core wants durable. A table
 * write that fails is reported to the core, which decides what follows. Audit lines are buffered meanwhile and retried.
 */

import { AUDIT_START, type AuditEntry, auditLine, SKIPPED_EVENT } from '../../core/host/audit.ts';
import { AuditShares, OVER_SHARE_EVERY_MS } from '../../core/host/audit-share.ts';
import type { HandoverRecord } from '../../core/host/handover-record.ts';
import type { HostState } from '../../core/host/host-state.ts';
import type { RegistryRecord } from '../../core/host/vm-registry.ts';
import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type { Clock, Log } from '../../ports/world.ts';
import { type RecordFile, RecordWriter } from './record-writer.ts';
import type { HostTable } from './table.ts';

/** Longest time that audit lines stay unwritten, in ms. A handover takes a few ms; people read later. */
const LATER_MS = 50;
/** The event that ends a handover; no party waits for a message after it. */
const END_EVENT = 'confirmed';
/** Time between two attempts to write, in ms. Space is freed by hand. */
const RETRY_MS = 1_000;
/** Time between two log lines about the same fault, in ms. */
const REMIND_MS = 60_000;
/** Audit lines buffered while they cannot be written: some 300 KiB. The oldest are dropped first. */
const ENTRIES_MAX = 1_000;

/** Outputs of the host. */
export interface HostWriterParts {
  readonly table: HostTable;
  /** Appends whole lines to the audit log. Throws on failure; then none of them was written. */
  readonly audit: (lines: string) => void;
  /** Hash of the last line of the audit log. */
  readonly auditHash: string | undefined;
  /** The handover records; absent: none are kept. */
  readonly records?: RecordFile | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is written. */
type Written = 'table' | 'audit' | 'records';

/** Writes the host's table, audit log and handover records. */
export class HostWriter {
  readonly #parts: HostWriterParts;
  #auditHash: string;
  #entries: AuditEntry[] = [];
  #skipped = 0;
  #cancel: (() => void) | undefined;
  readonly #shares = new AuditShares();
  #cancelLeftOut: (() => void) | undefined;
  #isStopped = false;
  readonly #records: RecordWriter | undefined;
  /** Last write errors. */
  readonly #faults: Partial<Record<Written, string>> = {};
  #remindMs = Number.NEGATIVE_INFINITY;

  constructor(parts: HostWriterParts) {
    this.#parts = parts;
    this.#auditHash = parts.auditHash ?? AUDIT_START;
    const { records, clock } = parts;
    this.#records = records && new RecordWriter(records, () => clock.nowMs());
  }

  /** Returns the hash of the last audit line, after writing the buffered lines. */
  get auditHash(): string {
    this.catchUp();
    return this.#auditHash;
  }

  /** Returns what cannot be written, and why; undefined when all writes succeed. */
  get fault(): string | undefined {
    const { table, audit, records } = this.#faults;
    const faults = [table, audit, records].filter((fault) => fault !== undefined);
    return faults.length > 0 ? faults.join('; ') : undefined;
  }

  /** Writes the state of a bundle. Returns the error, if any. */
  writeBundle(bundle: BundleId, state: HostState, isDurable: boolean): string | undefined {
    return this.#tries(() => this.#parts.table.writeBundle(bundle, state, isDurable));
  }

  /** Writes the incarnations of the VMs. Returns the error, if any. */
  writeRegistry(registry: RegistryRecord): string | undefined {
    return this.#tries(() => this.#parts.table.writeRegistry(registry));
  }

  /** Adds a line to the audit log. `cause`: the VM that caused it, which has a share of the log (audit-share.ts). */
  writeAudit(entry: AuditEntry, cause: VmId | undefined): void {
    if (!this.#shares.take(cause, entry, this.#parts.clock.nowMs())) return this.#leftOutLater();
    this.#entries.push(entry);
    if (entry.event === END_EVENT && this.#faults.audit === undefined) this.#later(0);
    else this.#later();
  }

  /** Adds a handover record. `cause`: the VM that caused it, which has a share of them (record-share.ts). */
  writeRecord(record: HandoverRecord, boot: string, cause: VmId | undefined): void {
    if (this.#records?.add(record, boot, cause) === false) return this.#leftOutLater();
    if (this.#records) this.#later();
  }

  /** Writes the buffered lines. Lines that cannot be written stay buffered. */
  catchUp(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#catchUpAudit();
    try {
      this.#records?.write();
      this.#works('records');
    } catch (error) {
      this.#complain('records', (error as Error).message);
      this.#later();
    }
  }

  #catchUpAudit(): void {
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

  /** Stops writing. */
  stop(): void {
    this.#addLeftOut();
    this.catchUp();
    this.#isStopped = true;
    this.#cancel?.();
    this.#cancelLeftOut?.();
  }

  /** Copies audit lines to the log in idle time: each line, in order, since they are already limited per VM. */
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

  #works(what: Written): void {
    if (this.fault === undefined) return;
    delete this.#faults[what];
    if (this.fault !== undefined) return;
    this.#remindMs = Number.NEGATIVE_INFINITY;
    this.#parts.log('info', 'table and audit log can be written again');
  }

  #complain(what: Written, fault: string): void {
    this.#faults[what] = fault;
    const nowMs = this.#parts.clock.nowMs();
    if (nowMs - this.#remindMs < REMIND_MS) return;
    this.#remindMs = nowMs;
    const follows = this.#faults.table === undefined ? 'lending continues' : 'lending stops until then';
    this.#parts.log(
      'error',
      `${this.fault}; free space or repair the disk; writes are retried, and ${follows}`,
    );
  }

  /** Dropped lines are reported once in a while. */
  #leftOutLater(): void {
    if (this.#isStopped) return;
    this.#cancelLeftOut ??= this.#parts.clock.after(OVER_SHARE_EVERY_MS, () => {
      this.#cancelLeftOut = undefined;
      this.#addLeftOut();
      this.#later();
    });
  }

  #addLeftOut(): void {
    this.#entries.push(...this.#shares.leftOut(this.#parts.clock.nowMs()));
    this.#records?.addLeftOut();
  }

  #later(ms = (this.#faults.audit ?? this.#faults.records) ? RETRY_MS : LATER_MS): void {
    if (this.#isStopped) return;
    if (ms === 0) this.#cancel?.();
    if (ms === 0 || !this.#cancel) this.#cancel = this.#parts.clock.after(ms, () => this.catchUp());
  }
}

function skippedEntry(nowMs: number, lines: number): AuditEntry {
  const detail = `${lines} lines could not be written`;
  return { atMs: Math.round(nowMs), bundle: '-', event: SKIPPED_EVENT, epoch: 0, holder: null, detail };
}
