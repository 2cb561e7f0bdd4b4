/**
 * The hypervisor service: drives the hypervisor table of every bundle over one enforcer.
 *
 * It feeds commands, enforcer answers, VM lives and clocks into the pure core and carries its orders out. It
 * decides nothing itself. Safety rests on the enforcer; this service decides who is to hold, and says so.
 */

import { TypedEmitter } from 'tiny-typed-emitter';
import { quietLog } from '../../common/quiet-log.ts';
import { type Attributed, attribute, causeOf } from '../../core/host/attribution.ts';
import { FaultDesk } from '../../core/host/fault-desk.ts';
import { refusal } from '../../core/host/host-answers.ts';
import {
  type HostEffect,
  type HostInput,
  type HostState,
  initialHost,
  type RemapPhase,
} from '../../core/host/host-state.ts';
import { HOST_TABLE } from '../../core/host/host-table.ts';
import {
  faultFields,
  faultMessage,
  faultText,
  type HostFacts,
  type HostView,
  hostView,
  whyUnfit,
} from '../../core/host/host-view.ts';
import { HEARTBEAT_MS, Pulse, stoppedText } from '../../core/host/pulse.ts';
import { foldAnswers, NO_TALLY, PhaseRuns } from '../../core/host/remap.ts';
import { readStamp, Stamper } from '../../core/host/stamp.ts';
import { VmDesk } from '../../core/host/vm-desk.ts';
import { VmRegistry } from '../../core/host/vm-registry.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type { Message } from '../../core/protocol/messages.ts';
import type { EnforcerEvent } from '../../ports/enforcer.ts';
import type { Obstacle } from '../../ports/world.ts';
import type { LinkListener, PeerView } from '../link/link.ts';
import { Runner } from '../runner.ts';
import { hostConfig } from './host-config.ts';
import type { Entry, HostEvents, HostParts } from './host-parts.ts';
import { Scribe } from './scribe.ts';

/** Events kept per bundle for `describe`. */
const EVENTS_KEPT = 30;

/** The host service. */
export class Host extends TypedEmitter<HostEvents> implements LinkListener {
  readonly #parts: HostParts;
  readonly #protocol: typeof HOST_TABLE;
  readonly #entries = new Map<BundleId, Entry>();
  readonly #registry: VmRegistry;
  readonly #scribe: Scribe;
  readonly #vms: VmDesk;
  readonly #stamper: Stamper;
  readonly #pulse = new Pulse();
  readonly #showsSteps: boolean;
  #stopHeartbeat: (() => void) | undefined;
  #isOver = false;

  constructor(given: HostParts) {
    super();
    const parts = { ...given, log: quietLog(given.log, given.clock) };
    this.#parts = parts;
    this.#protocol = parts.protocol ?? HOST_TABLE;
    this.#showsSteps = (parts.log.level ?? 'debug') === 'debug';
    this.#vms = new VmDesk(parts.enforcer);
    this.#stamper = new Stamper(parts.bootId);
    const { enforcer, table } = parts;
    this.#registry = new VmRegistry(table?.registry(), enforcer.machineBoot(), enforcer.running());
    const { audit, auditHash, clock, log } = parts;
    const onWritten = () => this.#releaseStarts();
    const written = table ?? parts.freshTable();
    this.#scribe = new Scribe({ table: written, audit, auditHash, clock, log, onWritten });
    for (const definition of parts.bundles) this.#entries.set(definition.id, this.#entryOf(definition));
  }

  /** Reads back the machine, then serves. */
  start(): void {
    const { enforcer, link, table } = this.#parts;
    const rebooted = table?.registry()?.machineBoot !== enforcer.machineBoot();
    for (const entry of this.#entries.values()) {
      const state = table?.bundle(entry.definition.id);
      const recovered = !table
        ? ({ kind: 'lost' } as const)
        : state
          ? ({ kind: 'record', state, rebooted } as const)
          : ({ kind: 'new' } as const);
      this.#feed(entry, { on: 'start', recovered, running: this.#registry.running(), nowMs: this.#nowMs() });
    }
    // The registry comes last: a table with it holds a record of every bundle.
    if (this.#isOver) return;
    if (!this.#scribe.begin(this.#registry.record()))
      return this.#end(`nothing can be begun: ${this.#scribe.fault}`);
    // What is told at once, as ends of VMs that nobody acknowledged, finds bundles that have started.
    enforcer.onEvent((event) => this.#onEnforcer(event));
    if (this.#isOver) return;
    link.open(this);
    this.#beat();
    // Faults may have come in before anybody listened.
    this.#fetchFaults();
  }

  /** Stops serving. The machine stays as it is; the table says how to go on. */
  stop(): void {
    this.#isOver = true;
    this.#stopHeartbeat?.();
    for (const entry of this.#entries.values()) {
      entry.runner.stop();
      entry.desk.stop();
    }
    this.#scribe.stop();
    this.#parts.link.close();
    this.#parts.enforcer.close();
  }

  /** Ends a quarantine, or forgives barred borrowers. Throws on an unknown bundle. */
  lift(bundle: BundleId): HostView {
    const entry = this.#entries.get(bundle);
    if (!entry) throw new Error(`${bundle}: no bundle of this name`);
    this.#feed(entry, { on: 'lift', nowMs: this.#nowMs() });
    return this.#view(entry);
  }

  /** How a bundle stands; undefined if there is none of this name. */
  view(bundle: BundleId): HostView | undefined {
    const entry = this.#entries.get(bundle);
    return entry && this.#view(entry);
  }

  views(): HostView[] {
    return [...this.#entries.values()].map((entry) => this.#view(entry));
  }

  /** Running VMs and their lives; hash of the last audit line; what cannot be written, and why. */
  facts(): HostFacts {
    const { auditHash, fault } = this.#scribe;
    const stopped = this.#pulse.stopped(this.#nowMs());
    return { vms: this.#registry.running(), auditHash, writeFault: fault ?? null, stopped };
  }

  /**
   * Asks the agents whether they live, for somebody who looks. Calls `done` when they have answered, soon in any
   * case.
   */
  look(done: () => void): void {
    this.#parts.link.look(done);
  }

  /** How the ways to the agents of all running VMs stand: a VM that does not run has no agent. */
  peers(): PeerView[] {
    return this.#parts.link.peers().filter(({ peer }) => this.#registry.incarnationOf(peer) !== 0);
  }

  /** What keeps the host from all agents. */
  obstacle(): Obstacle | undefined {
    return this.#parts.link.obstacle();
  }

  incarnationOf(vm: VmId) {
    return this.#registry.incarnationOf(vm);
  }

  onMessage(from: VmId, message: Message): void {
    if (!('bundle' in message)) return this.#drop(from, message, 'not for the host');
    const entry = this.#entries.get(message.bundle);
    const unfit = whyUnfit(message, entry?.runner.state);
    if (unfit.answer) this.#parts.link.send(from, unfit.answer, this.#stamp());
    if (!entry || unfit.why) return this.#drop(from, message, unfit.why ?? '');
    if (!(this.#protocol.inputs as readonly string[]).includes(message.kind)) {
      return this.#drop(from, message, 'not for the host');
    }
    const nowMs = this.#nowMs();
    const opened = message.kind === 'prepare' ? { consent: this.#openConsent(message, nowMs) } : {};
    this.#feed(entry, { on: message.kind, from, message, nowMs, ...opened } as HostInput);
  }

  onUp(peer: VmId): void {
    this.#parts.log('info', 'session up', { peer });
    this.#parts.link.send(peer, { kind: 'heartbeat' }, this.#stamp());
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

  #entryOf(definition: BundleDefinition): Entry {
    const { clock } = this.#parts;
    const config = hostConfig(definition, this.#parts);
    const entry: Entry = {
      definition,
      config,
      runner: undefined as never,
      desk: new FaultDesk(clock, (attributed, count) => this.#reportFault(entry, attributed, count)),
      tally: NO_TALLY,
      runs: new PhaseRuns(definition),
      preparing: undefined,
      cause: undefined,
      phases: {},
      failure: undefined,
      faults: 0,
      reason: 'started',
      events: [],
    };
    entry.runner = new Runner(this.#protocol, initialHost(), config, clock, {
      perform: (effect) => this.#perform(entry, effect),
      onStep: (before, input, step) => {
        entry.preparing = input.on === 'prepare' ? input : undefined;
        entry.cause = causeOf(before, input);
        if (!this.#showsSteps) return;
        const fields = { bundle: definition.id, row: step.row };
        if (step.ignored !== undefined)
          this.#parts.log('debug', `${input.on} ignored: ${step.ignored}`, fields);
        else this.#parts.log('debug', `${before.name} → ${step.state.name}`, { ...fields, on: input.on });
      },
    });
    return entry;
  }

  #feed(entry: Entry, input: HostInput): void {
    entry.runner.feed(input);
    this.#releaseStarts();
  }

  #perform(entry: Entry, effect: HostEffect): 'undo' | undefined {
    const { state } = entry.runner;
    switch (effect.do) {
      case 'send':
        this.#parts.link.send(effect.to, effect.message, this.#stamp());
        return undefined;
      case 'persist':
        if (this.#scribe.writeBundle(entry.definition.id, state, effect.sync)) return undefined;
        return this.#goOnUnwritten(entry);
      case 'phase':
        this.#runPhase(entry, effect.phase, effect.epoch, effect.to);
        return undefined;
      case 'acknowledgeExit':
        this.#vms.letGo(effect.vm, entry.definition.id);
        return undefined;
      case 'audit':
        this.#audit(entry, effect.event, effect.detail);
        return undefined;
      default:
        throw new Error(`the runner keeps timers: ${JSON.stringify(effect)}`);
    }
  }

  /**
   * What had to be durable before anything was done could not be written. Nothing new is begun: the reservation is
   * undone. What is under way goes on, since an owner must get back its screen also from a full disk: the enforcer
   * isolates without our notes, and the epoch is one that no later start uses again. Without such an epoch we end.
   */
  #goOnUnwritten(entry: Entry): 'undo' | undefined {
    const { config, definition, preparing } = entry;
    const { state } = entry.runner;
    if (preparing) {
      const { effects } = refusal({ state, config, input: preparing }, 'busy');
      for (const effect of effects) this.#perform(entry, effect);
      return 'undo';
    }
    if (this.#scribe.isReserved(definition.id, state.epoch)) return undefined;
    this.#end(`${definition.id}: epoch ${state.epoch} may not be used: ${this.#scribe.fault}`);
    return 'undo';
  }

  /** Ends the service where it stands: bundles stay as they are, and the next start reads them back. */
  #end(reason: string): void {
    if (this.#isOver) return;
    this.stop();
    this.#parts.log('error', `ends: ${reason}`);
    this.#parts.end?.(reason);
  }

  #runPhase(entry: Entry, phase: RemapPhase, epoch: HostState['epoch'], to: VmId | undefined): void {
    const { definition, config } = entry;
    const { enforcer } = this.#parts;
    const startedMs = this.#nowMs();
    if (phase === 'fence') {
      entry.tally = NO_TALLY;
      entry.phases = {};
      entry.failure = undefined;
    }
    const run = entry.runs.of(phase, to);
    enforcer.run(definition.id, run.calls, (answers) => {
      // What the queues hold now is the old holder's: it is booked before anybody else is let in.
      if (phase === 'settle' || phase === 'clean') this.#fetchFaults();
      const { reset } = enforcer.describe().capabilities;
      const folded = foldAnswers(run, config.evidence, answers, entry.tally, reset);
      entry.tally = folded.tally;
      const ms = this.#nowMs() - startedMs;
      entry.phases[phase] = (entry.phases[phase] ?? 0) + ms;
      if (!folded.result.ok) {
        entry.failure = `${phase} failed: ${folded.result.error}`;
        this.#parts.log('error', entry.failure, { bundle: definition.id, epoch });
      }
      this.emit('phase', definition.id, phase, epoch, ms, folded.result.ok);
      this.#feed(entry, { on: 'phaseDone', epoch, phase, result: folded.result, nowMs: this.#nowMs() });
    });
  }

  #onEnforcer(event: EnforcerEvent): void {
    switch (event.kind) {
      case 'vmStarting':
        return this.#vmStarting(event.vm);
      case 'vmExited':
        return this.#vmExited(event.vm);
      case 'faultsPending':
        return this.#fetchFaults();
      case 'lost':
        // Whether VMs ended with it only a new connection can tell.
        return this.#end(`the back end is gone: ${event.error}`);
    }
  }

  #vmStarting(vm: VmId): void {
    const incarnation = this.#registry.begin(vm);
    this.#scribe.writeRegistry(this.#registry.record());
    this.emit('vm', vm, true, incarnation);
    this.#vms.starts(vm);
    for (const entry of this.#entries.values()) {
      this.#feed(entry, { on: 'vmStarted', vm, incarnation, nowMs: this.#nowMs() });
    }
    this.#releaseStarts();
  }

  #releaseStarts(): void {
    const entries = [...this.#entries.values()];
    // A life whose number is not on disk could be counted again: it waits for its first instruction.
    if (!this.#scribe.knowsLives) return;
    this.#vms.releaseStarts((vm) => entries.some(({ runner }) => runner.state.attempt?.to?.vm === vm));
  }

  #vmExited(vm: VmId): void {
    const incarnation = this.#registry.incarnationOf(vm);
    this.#registry.end(vm);
    this.#scribe.writeRegistry(this.#registry.record());
    this.#parts.link.forget(vm);
    this.emit('vm', vm, false, incarnation);
    this.#vms.exits(vm, this.#entries.keys());
    for (const entry of this.#entries.values()) {
      this.#feed(entry, { on: 'vmExited', vm, nowMs: this.#nowMs() });
    }
  }

  #fetchFaults(): void {
    for (const fault of this.#parts.enforcer.faults()) {
      const entry = fault.bundle === undefined ? undefined : this.#entries.get(fault.bundle);
      if (!entry) {
        this.#parts.log('warn', 'a refused access outside every bundle', faultFields(fault));
        continue;
      }
      entry.desk.add(attribute(entry.runner.state, fault));
    }
  }

  #reportFault(entry: Entry, attributed: Attributed, count: number): void {
    const { fault } = attributed;
    const bundle = entry.definition.id;
    entry.faults += count;
    this.#audit(entry, 'fault', faultText(attributed, count), attributed.offender?.vm);
    this.emit('fault', bundle, attributed, count);
    if (fault.resource === undefined) return;
    const { holder } = entry.runner.state;
    const message = faultMessage(bundle, attributed, fault.resource, count);
    for (const vm of new Set([entry.definition.owner, holder?.vm])) {
      if (vm !== undefined) this.#parts.link.send(vm, message, this.#stamp());
    }
  }

  #openConsent(message: Extract<Message, { kind: 'prepare' }>, nowMs: number) {
    const claims = this.#parts.link.openConsent(message.borrower, message.consent);
    if (!claims) return undefined;
    return { claims, ...readStamp(this.#parts.bootId, nowMs, claims.stamp) };
  }

  #audit(entry: Entry, event: string, detail: string | undefined, cause = entry.cause): void {
    const { state } = entry.runner;
    const holder = state.holder?.vm ?? null;
    const epoch = state.holder?.epoch ?? state.attempt?.epoch ?? state.lastEpoch;
    const atMs = Math.round(this.#nowMs());
    this.#scribe.writeAudit({ atMs, bundle: entry.definition.id, event, epoch, holder, detail }, cause);
    const text = detail === undefined ? event : `${event}: ${detail}`;
    if (event !== 'fault') entry.reason = text;
    entry.events.push(`${atMs} ${text} (epoch ${epoch})`);
    if (entry.events.length > EVENTS_KEPT) entry.events.shift();
    if (event !== 'fault') this.emit('changed', entry.definition.id);
  }

  #view(entry: Entry): HostView {
    const differs = this.#parts.link.differing(entry.definition.id);
    return hostView({ ...entry, differs }, entry.runner.state, this.#nowMs());
  }

  #beat(): void {
    const stoppedMs = this.#pulse.beat(this.#nowMs());
    if (stoppedMs !== undefined) this.#parts.log('warn', stoppedText(stoppedMs));
    this.#parts.link.broadcast({ kind: 'heartbeat' }, this.#stamp());
    this.#stopHeartbeat = this.#parts.clock.after(HEARTBEAT_MS, () => this.#beat());
  }

  #drop(from: VmId, message: Message, why: string): void {
    this.#parts.log('warn', `${message.kind} dropped: ${why}`, { from });
  }

  #stamp(): Uint8Array {
    return this.#stamper.at(this.#nowMs());
  }

  #nowMs(): number {
    return this.#parts.clock.nowMs();
  }
}
