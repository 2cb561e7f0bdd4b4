/**
 * Runs the host service: turns messages, enforcer answers, timers and write results into facts of the endpoint
 * (host-endpoint.ts), and carries out its orders in sequence. Makes no decisions.
 */

import { TypedEmitter } from 'tiny-typed-emitter';
import { quietLog } from '../../common/quiet-log.ts';
import { decodeBounds, encodeBounds } from '../../core/host/bounds.ts';
import { HostEndpoint } from '../../core/host/host-endpoint.ts';
import type { HostFact, HostNews, HostOrder } from '../../core/host/host-facts.ts';
import { HostTimes } from '../../core/host/host-time.ts';
import {
  faultFields,
  faultText,
  type HostFacts,
  type HostView,
  hostView,
} from '../../core/host/host-view.ts';
import { Pulse, stoppedText } from '../../core/host/pulse.ts';
import { runningIn } from '../../core/host/vm-registry.ts';
import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type { Message } from '../../core/protocol/messages.ts';
import { hex, unhex } from '../../core/wire/bytes.ts';
import type { PeerView } from '../../core/wire/peer-view.ts';
import type { EnforcerEvent, FaultRecord } from '../../ports/enforcer.ts';
import type { Obstacle } from '../../ports/world.ts';
import { FactQueue } from '../fact-queue.ts';
import type { LinkListener } from '../link/link.ts';
import { TimerSet } from '../timer-set.ts';
import { FaultReports } from './fault-reports.ts';
import type { Entry, HostEvents, HostParts } from './host-parts.ts';
import { HostWriter } from './host-writer.ts';

/** Events kept per bundle for `describe`. */
const EVENTS_KEPT = 30;
/** Length of a table's id, in bytes. */
const TABLE_ID_BYTES = 8;

type Enforce = Extract<HostOrder, { do: 'enforce' }>;
/** A fact without its time. */
type Fact = HostFact extends infer F ? (F extends HostFact ? Omit<F, 'nowMs'> : never) : never;

/** The host service. */
export class Host extends TypedEmitter<HostEvents> implements LinkListener {
  readonly #parts: HostParts;
  readonly #endpoint: HostEndpoint;
  readonly #entries = new Map<BundleId, Entry>();
  readonly #writer: HostWriter;
  readonly #hostTimes: HostTimes;
  readonly #pulse = new Pulse();
  readonly #showsSteps: boolean;
  readonly #timers: TimerSet;
  readonly #facts: FactQueue<HostFact>;
  #onServing: () => void = () => {};
  /** Called when no fact waits. */
  #serving: (() => void) | undefined;
  #isServing = false;
  /** Callers that wait for the start to complete. */
  readonly #early: (() => void)[] = [];

  constructor(given: HostParts) {
    super();
    const parts = { ...given, log: quietLog(given.log, given.clock) };
    const { bundles, enforcer, bootId, times, acceptDriverResidualState, protocol, clock, log } = parts;
    this.#parts = parts;
    const setup = {
      bundles,
      enforcer: enforcer.describe(),
      bootId,
      times,
      acceptDriverResidualState,
      table: protocol,
    };
    this.#endpoint = new HostEndpoint(setup);
    this.#showsSteps = (log.level ?? 'debug') === 'debug';
    this.#hostTimes = new HostTimes(bootId);
    this.#timers = new TimerSet(clock, (name, lateMs) => this.#timerFired(name, lateMs));
    this.#facts = new FactQueue(
      (fact) => this.#step(fact),
      () => this.#rested(),
    );
    const { audit, auditHash, records } = parts;
    const table = parts.table ?? parts.freshTable();
    this.#writer = new HostWriter({ table, audit, auditHash, records, clock, log });
    for (const { id } of bundles) this.#entries.set(id, this.#entryOf(id));
  }

  /** Reads back the machine, then serves and calls `onServing`; the required bounds are durable by then. */
  start(onServing: () => void = () => {}): void {
    this.#onServing = onServing;
    const { enforcer, table, bounds, entropy } = this.#parts;
    const records = table?.records();
    const found = {
      bounds: bounds.found && decodeBounds(bounds.found),
      records,
      isFirst: table !== undefined && records === undefined,
      machineBoot: enforcer.machineBoot(),
      running: enforcer.running(),
      freshTableId: hex(entropy.random(TABLE_ID_BYTES)),
      recorded: this.#parts.records?.recorded,
    };
    this.#feed({ on: 'start', found });
  }

  /** Calls `done` when the holders and running VMs are known; at once if they are. */
  whenServing(done: () => void): void {
    if (this.#isServing) done();
    else this.#early.push(done);
  }

  /** Stops serving. The machine stays as it is; the table allows the next start to continue. */
  stop(): void {
    this.#facts.stop();
    this.#timers.clear();
    for (const { faultReports } of this.#entries.values()) faultReports.stop();
    this.#writer.stop();
    this.#parts.link.close();
    this.#parts.enforcer.close();
  }

  /** Ends a quarantine, or lifts the bar of borrowers. Throws on an unknown bundle. */
  lift(bundle: BundleId): HostView {
    const entry = this.#entries.get(bundle);
    if (!entry) throw new Error(`${bundle}: no bundle of this name`);
    this.#feed({ on: 'lift', bundle });
    return this.#view(entry);
  }

  /** Returns the view of a bundle; undefined for an unknown one. */
  view(bundle: BundleId): HostView | undefined {
    const entry = this.#entries.get(bundle);
    return entry && this.#view(entry);
  }

  views(): HostView[] {
    return [...this.#entries.values()].map((entry) => this.#view(entry));
  }

  /** Returns the running VMs with incarnations, the hash of the last audit line, and write faults. */
  facts(): HostFacts {
    const { auditHash, fault } = this.#writer;
    const { registry, writeFault } = this.#endpoint.state;
    const stopped = this.#pulse.stopped(this.#nowMs());
    return { vms: runningIn(registry), auditHash, writeFault: fault ?? writeFault ?? null, stopped };
  }

  /**
   * Asks the agents whether they are alive, for a status request. Calls `done` when they have answered, or after a
   * short limit.
   */
  look(done: () => void): void {
    this.#parts.link.look(done);
  }

  /** Returns the state of the connections to the agents of all running VMs. */
  peers(): PeerView[] {
    return this.#parts.link.peers().filter(({ peer }) => this.incarnationOf(peer) !== 0);
  }

  /** Returns what prevents connections to all agents, if anything. */
  obstacle(): Obstacle | undefined {
    return this.#parts.link.obstacle();
  }

  incarnationOf(vm: VmId) {
    return this.#endpoint.incarnationOf(vm);
  }

  tableId(): Uint8Array {
    return unhex(this.#endpoint.state.bounds.tableId);
  }

  onMessage(from: VmId, message: Message): void {
    const claims =
      message.kind === 'prepare' || message.kind === 'renewLease'
        ? this.#parts.link.openConsent(message.borrower, message.consent)
        : undefined;
    this.#feed({ on: 'message', from, message, claims });
  }

  onUp(peer: VmId): void {
    this.#parts.log('info', 'session up', { peer });
    this.#feed({ on: 'sessionUp', peer });
  }

  onDown(peer: VmId, reason: string): void {
    this.#parts.log('info', 'session down', { peer, reason });
  }

  onDigestMismatch(peer: VmId, bundle: BundleId): void {
    this.#parts.log('error', 'bundle definitions differ: deploy the same bundle file everywhere', {
      peer,
      bundle,
    });
  }

  #feed(fact: Fact): void {
    this.#facts.feed({ ...fact, nowMs: this.#nowMs() } as HostFact);
  }

  #step(fact: HostFact): void {
    for (const order of this.#endpoint.step(fact)) {
      if (this.#facts.isStopped) return;
      this.#carryOut(order);
    }
  }

  /** No fact waits any more. */
  #rested(): void {
    this.#timers.apply();
    const serving = this.#serving;
    this.#serving = undefined;
    if (!serving) return;
    this.#isServing = true;
    serving();
    for (const done of this.#early.splice(0)) done();
  }

  #carryOut(order: HostOrder): void {
    const { link, enforcer } = this.#parts;
    switch (order.do) {
      case 'send':
        return void link.send(order.to, order.message, this.#hostTimes.at(this.#nowMs()));
      case 'record': {
        const fault = this.#writer.writeBundle(order.bundle, order.state, order.isDurable);
        return this.#feed({ on: 'recorded', bundle: order.bundle, fault });
      }
      case 'recordVms':
        return this.#feed({
          on: 'recorded',
          bundle: undefined,
          fault: this.#writer.writeRegistry(order.registry),
        });
      case 'writeBounds': {
        const { bounds } = order;
        return this.#parts.bounds.write(encodeBounds(bounds), (fault) =>
          this.#feed({ on: 'boundsWritten', bounds, fault }),
        );
      }
      case 'enforce':
        return this.#enforce(order);
      case 'fetchFaults':
        return this.#fetchFaults();
      case 'acknowledgeStart':
        return enforcer.acknowledgeStart(order.vm);
      case 'acknowledgeExit':
        return enforcer.acknowledgeExit(order.vm);
      case 'forget':
        return link.forget(order.vm);
      case 'timer':
        return this.#timers.start(timerName(order), order.ms);
      case 'stopTimer':
        return this.#timers.stop(timerName(order));
      case 'serve':
        enforcer.onEvent((event) => this.#onEnforcer(event));
        if (!this.#facts.isStopped) link.open(this);
        this.#serving = this.#onServing;
        return;
      case 'end':
        return this.#end(order.reason);
      default:
        return this.#tell(order);
    }
  }

  #enforce({ bundle, phase, epoch, to, calls, fetchesFaults }: Enforce): void {
    const { enforcer } = this.#parts;
    const entry = this.#entries.get(bundle)!;
    entry.startedMs = this.#nowMs();
    if (phase === 'fence') {
      entry.phases = {};
      entry.failure = undefined;
    }
    enforcer.run(bundle, calls, (answers) => {
      const faults = fetchesFaults ? enforcer.faults() : NO_FAULTS;
      this.#feed({ on: 'answers', bundle, phase, epoch, to, answers, faults });
    });
  }

  #onEnforcer(event: EnforcerEvent): void {
    if (event.kind === 'faultsPending') return this.#fetchFaults();
    if (event.kind === 'lost') return this.#feed({ on: 'enforcerLost', error: event.error });
    this.#feed({ on: event.kind, vm: event.vm });
  }

  #fetchFaults(): void {
    const faults = this.#parts.enforcer.faults();
    if (faults.length > 0) this.#feed({ on: 'faults', faults });
  }

  #timerFired(name: string, lateMs: number): void {
    const [timer, bundle] = name.split(' ') as [string, BundleId | undefined];
    const stoppedMs = this.#pulse.late(lateMs, this.#nowMs());
    if (stoppedMs !== undefined) this.#parts.log('warn', stoppedText(stoppedMs));
    this.#feed({ on: 'timer', bundle, timer, lateMs });
  }

  /** Ends the service at once: bundles stay as they are, and the next start reads them back. */
  #end(reason: string): void {
    this.stop();
    this.#parts.log('error', `ends: ${reason}`);
    this.#parts.end?.(reason);
  }

  #tell(news: HostNews): void {
    const { log } = this.#parts;
    switch (news.do) {
      case 'step': {
        if (!this.#showsSteps) return;
        const { bundle, on, before, after, rows, ignored } = news;
        const fields = { bundle, row: rows.join(', ') };
        if (ignored !== undefined) return log('debug', `${on} ignored: ${ignored}`, fields);
        return log('debug', `${before} → ${after}`, { ...fields, on });
      }
      case 'drop':
        return log('warn', `${news.kind} dropped: ${news.why}`, { from: news.from });
      case 'strayFault':
        return log('warn', 'a refused access outside every bundle', faultFields(news.fault));
      case 'fault':
        return this.#entries.get(news.bundle)!.faultReports.add(news.attributed);
      case 'vm':
        this.emit('vm', news.vm, news.isRunning, news.incarnation);
        return;
      case 'phase':
        return this.#tellPhase(news);
      case 'audit':
        return this.#audit(news);
      case 'handover':
        return this.#writer.writeRecord(news.record, news.boot, news.cause);
    }
  }

  #tellPhase({ bundle, phase, epoch, error }: Extract<HostNews, { do: 'phase' }>): void {
    const entry = this.#entries.get(bundle)!;
    const ms = this.#nowMs() - entry.startedMs;
    entry.phases[phase] = (entry.phases[phase] ?? 0) + ms;
    if (error !== undefined) {
      entry.failure = `${phase} failed: ${error}`;
      this.#parts.log('error', entry.failure, { bundle, epoch });
    }
    this.emit('phase', bundle, phase, epoch, ms, error === undefined);
  }

  #audit({ bundle, event, detail, epoch, holder, cause }: Audit): void {
    const entry = this.#entries.get(bundle)!;
    const atMs = Math.round(this.#nowMs());
    this.#writer.writeAudit({ atMs, bundle, event, epoch, holder: holder ?? null, detail }, cause);
    const text = detail === undefined ? event : `${event}: ${detail}`;
    entry.events.push(`${atMs} ${text} (epoch ${epoch})`);
    if (entry.events.length > EVENTS_KEPT) entry.events.shift();
    if (event === 'fault') return;
    entry.reason = text;
    this.emit('changed', bundle);
  }

  #entryOf(bundle: BundleId): Entry {
    const entry: Entry = {
      config: this.#endpoint.config(bundle)!,
      faultReports: new FaultReports(this.#parts.clock, (attributed, count) => {
        const { holder, attempt, lastEpoch } = this.#endpoint.state.bundles[bundle]!;
        const epoch = holder?.epoch ?? attempt?.epoch ?? lastEpoch;
        const detail = faultText(attributed, count);
        entry.faults += count;
        const cause = attributed.offender?.vm;
        this.#audit({ do: 'audit', bundle, event: 'fault', detail, epoch, holder: holder?.vm, cause });
        this.emit('fault', bundle, attributed, count);
        for (const order of this.#endpoint.faultReports(bundle, attributed, count)) this.#carryOut(order);
      }),
      startedMs: 0,
      phases: {},
      failure: undefined,
      faults: 0,
      reason: 'started',
      events: [],
    };
    return entry;
  }

  #view(entry: Entry): HostView {
    const { bundle } = entry.config;
    const differs = this.#parts.link.differing(bundle);
    return hostView({ ...entry, differs }, this.#endpoint.state.bundles[bundle]!, this.#nowMs());
  }

  #nowMs(): number {
    return this.#parts.clock.nowMs();
  }
}

type Audit = Extract<HostNews, { do: 'audit' }>;

const NO_FAULTS: readonly FaultRecord[] = [];

/** Names have no space. */
function timerName({
  bundle,
  timer,
}: {
  readonly bundle: BundleId | undefined;
  readonly timer: string;
}): string {
  return bundle === undefined ? timer : `${timer} ${bundle}`;
}
