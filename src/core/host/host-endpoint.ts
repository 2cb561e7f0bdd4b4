/**
 * The host's part of the protocol, for all bundles of a machine: facts in, orders out.
 *
 * Pure. All decisions are made here: who holds which bundle (host-table.ts), which incarnations exist and when a VM
 * may run or its memory be freed, which epochs may be allocated, what follows when a record cannot be written, and
 * which VM caused a refused access. The driver (host.ts) turns events into facts and carries the orders out, in their
 * order.
 */

import type { FaultRecord } from '../../ports/enforcer.ts';
import type { BundleId, Epoch, Incarnation, VmId } from '../protocol/ids.ts';
import { type Attributed, attribute, causeOf } from './attribution.ts';
import { type Bounds, boundsAt, EPOCHS_LEFT_MIN, INCARNATIONS_LEFT_MIN } from './bounds.ts';
import { watchBundle } from './handover-watch.ts';
import { NoEpochLeft } from './host-attempt.ts';
import { hostConfig } from './host-config.ts';
import { type HostEndpointState, isAwake, NOTHING } from './host-endpoint-state.ts';
import type { HostFact, HostFound, HostOrder, HostSetup } from './host-facts.ts';
import {
  type HostConfig,
  type HostEffect,
  type HostInput,
  type HostState,
  holdsBack,
  initialHost,
} from './host-state.ts';
import { HOST_TABLE } from './host-table.ts';
import { readHostTime } from './host-time.ts';
import { faultMessage, partiesOf, whyUnfit } from './host-view.ts';
import { registryFound, startOf } from './recovery.ts';
import { foldAnswers, NO_TALLY, PhaseRuns } from './remap.ts';
import { beganIn, runningIn } from './vm-registry.ts';

/** Interval of heartbeats to the parties of a bundle that is lent or moves, in ms. Agents count four as silence. */
export const HEARTBEAT_MS = 1_000;
/** Time between two attempts to write a record that could not be written, in ms. Space is freed by hand. */
const WRITE_AGAIN_MS = 1_000;

/** Timers of the endpoint itself, not of a bundle. */
const BEAT = 'beat';
const WRITE = 'write';

/** The host's part of the protocol. */
export class HostEndpoint {
  /** Complete state. A search sets another state before a step and reads the result afterwards. */
  state: HostEndpointState;
  readonly #setup: HostSetup;
  readonly #table: typeof HOST_TABLE;
  readonly #configs = new Map<BundleId, HostConfig>();
  readonly #runs = new Map<BundleId, PhaseRuns>();
  #orders: HostOrder[] = [];

  constructor(setup: HostSetup) {
    this.#setup = setup;
    this.#table = setup.table ?? HOST_TABLE;
    for (const definition of setup.bundles) {
      this.#configs.set(definition.id, hostConfig(definition, setup));
      this.#runs.set(definition.id, new PhaseRuns(definition));
    }
    this.state = this.initial();
  }

  /** Returns the state of a service that is about to start. */
  initial(): HostEndpointState {
    const bundles: Record<BundleId, HostState> = {};
    for (const bundle of this.#configs.keys()) bundles[bundle] = initialHost();
    return { ...NOTHING, bundles };
  }

  /** The constant parts of a bundle. */
  config(bundle: BundleId): HostConfig | undefined {
    return this.#configs.get(bundle);
  }

  /** Returns the running incarnation of `vm`; 0: none. */
  incarnationOf(vm: VmId): Incarnation {
    const { registry } = this.state;
    return registry.running.includes(vm) ? registry.incarnations[vm]! : (0 as Incarnation);
  }

  /** Processes a fact and returns the orders. Never throws on input from a peer, the enforcer or a disk. */
  step(fact: HostFact): readonly HostOrder[] {
    this.#orders = [];
    const before = this.state;
    try {
      this.#take(fact);
      if (this.state.isServing) this.#follow(fact.nowMs);
    } catch (error) {
      if (!(error instanceof NoEpochLeft)) throw error;
      // Nothing of this step is carried out. The next start of the service finds the machine unchanged.
      this.state = before;
      this.#orders = [{ do: 'end', reason: error.message }];
    }
    return this.#orders;
  }

  #take(fact: HostFact): void {
    const { nowMs } = fact;
    switch (fact.on) {
      case 'start':
        return this.#start(fact.found);
      case 'boundsWritten':
        return this.#boundsWritten(fact.bounds, fact.fault, nowMs);
      case 'message':
        return this.#message(fact);
      case 'sessionUp':
        return this.#do({ do: 'send', to: fact.peer, message: { kind: 'heartbeat' } });
      case 'timer':
        return this.#timer(fact);
      case 'answers':
        return this.#answers(fact);
      case 'faults':
        return this.#faults(fact.faults);
      case 'vmStarting':
        return this.#vmStarting(fact.vm, nowMs);
      case 'vmExited':
        return this.#vmExited(fact.vm, nowMs);
      case 'enforcerLost':
        return this.#do({ do: 'end', reason: `the enforcer is gone: ${fact.error}` });
      case 'lift':
        return this.#feed(fact.bundle, { on: 'lift', nowMs });
      case 'recorded':
        return this.#recorded(fact.bundle, fact.fault, nowMs);
    }
  }

  /** Runs after every fact: lets waiting VMs run, reserves a block, starts or stops heartbeats. */
  #follow(nowMs: number): void {
    this.#releaseStarts(nowMs);
    this.#reserve();
    const { isBeating } = this.state;
    const isNeeded = Object.values(this.state.bundles).some(isAwake);
    if (isNeeded === isBeating) return;
    this.#set({ isBeating: isNeeded });
    if (isNeeded) this.#do({ do: 'timer', bundle: undefined, timer: BEAT, ms: HEARTBEAT_MS });
    else this.#do({ do: 'stopTimer', bundle: undefined, timer: BEAT });
  }

  /** Bounds come first: before they are durable, nothing is allocated and no message is processed. */
  #start(found: HostFound): void {
    const { bounds, machineBoot, freshTableId } = found;
    const next = boundsAt(
      bounds?.tableId ?? freshTableId,
      machineBoot,
      bounds?.epochs ?? 0,
      bounds?.incarnations ?? 0,
    );
    this.#set({ found, isBoundsPending: true });
    this.#do({ do: 'writeBounds', bounds: next });
  }

  #begin(found: HostFound, nowMs: number): void {
    const registry = registryFound(found);
    this.#set({ registry });
    const running = runningIn(registry);
    for (const bundle of this.#configs.keys())
      this.#feed(bundle, { ...startOf(found, bundle, this.state.bounds), running, nowMs });
    // The VMs come last: a record of the VMs implies a record of every bundle.
    this.#recordVms();
    this.#set({ isServing: true });
    this.#do({ do: 'serve' });
    // Faults may have been recorded before the service started.
    this.#do({ do: 'fetchFaults' });
  }

  #boundsWritten(bounds: Bounds, fault: string | undefined, nowMs: number): void {
    const { found } = this.state;
    this.#set({ found: undefined, isBoundsPending: false });
    if (fault !== undefined) {
      if (found) return this.#do({ do: 'end', reason: `cannot start: ${fault}` });
      this.#set({ writeFault: fault });
      return this.#writeAgain();
    }
    this.#set({ bounds });
    if (found) return this.#begin(found, nowMs);
    for (const bundle of this.#configs.keys())
      this.#feed(bundle, { on: 'epochsReserved', to: bounds.epochs as Epoch, nowMs });
  }

  /** Reserves the next block while half of the present one is left, long before it is needed. */
  #reserve(): void {
    const { bounds, bundles, registry, isBoundsPending, writeFault } = this.state;
    if (isBoundsPending || writeFault !== undefined) return;
    const epoch = Math.max(...Object.values(bundles).map((state) => state.epoch), 0);
    const incarnation = Math.max(...Object.values(registry.incarnations), 0);
    const isLow =
      bounds.epochs - epoch < EPOCHS_LEFT_MIN || bounds.incarnations - incarnation < INCARNATIONS_LEFT_MIN;
    if (!isLow) return;
    this.#set({ isBoundsPending: true });
    const next = boundsAt(bounds.tableId, bounds.machineBoot, epoch, incarnation);
    this.#do({ do: 'writeBounds', bounds: next });
  }

  #message({ from, message, claims, nowMs }: Extract<HostFact, { on: 'message' }>): void {
    const drop = (why: string) => this.#do({ do: 'drop', from, kind: message.kind, why });
    if (!('bundle' in message)) return drop('not for the host');
    const { why, answer } = whyUnfit(message, this.state.bundles[message.bundle]);
    if (answer) this.#do({ do: 'send', to: from, message: answer });
    if (why !== undefined) return drop(why);
    if (!(this.#table.inputs as readonly string[]).includes(message.kind)) return drop('not for the host');
    const opened = claims && {
      consent: { claims, ...readHostTime(this.#setup.bootId, nowMs, claims.hostTime) },
    };
    this.#feed(message.bundle, { on: message.kind, from, message, nowMs, ...opened } as HostInput);
  }

  #timer({ bundle, timer, lateMs, nowMs }: Extract<HostFact, { on: 'timer' }>): void {
    if (bundle !== undefined) return this.#feed(bundle, { on: `timer:${timer}`, lateMs, nowMs } as HostInput);
    if (timer === WRITE) return this.#write();
    if (!this.state.isBeating) return;
    const listeners = [...this.#configs].flatMap(([bundle, { owner }]) => {
      const state = this.state.bundles[bundle]!;
      return isAwake(state) ? partiesOf(state, owner) : [];
    });
    for (const to of new Set(listeners)) this.#do({ do: 'send', to, message: { kind: 'heartbeat' } });
    this.#do({ do: 'timer', bundle: undefined, timer: BEAT, ms: HEARTBEAT_MS });
  }

  #answers(fact: Extract<HostFact, { on: 'answers' }>): void {
    const { bundle, phase, epoch, to, answers, nowMs } = fact;
    const config = this.#configs.get(bundle);
    const runs = this.#runs.get(bundle);
    if (!config || !runs) return;
    // Before the next holder gets access.
    this.#faults(fact.faults);
    const { reset } = this.#setup.enforcer.capabilities;
    const before = this.state.tallies[bundle] ?? NO_TALLY;
    const { result, tally } = foldAnswers(runs.of(phase, to), config.evidence, answers, before, reset);
    // A late answer belongs to a finished attempt.
    if (this.state.bundles[bundle]?.attempt?.epoch === epoch)
      this.#set({ tallies: { ...this.state.tallies, [bundle]: tally } });
    this.#do({ do: 'phase', bundle, phase, epoch, error: result.ok ? undefined : result.error });
    this.#feed(bundle, { on: 'phaseDone', epoch, phase, result, nowMs });
  }

  #faults(faults: readonly FaultRecord[]): void {
    for (const fault of faults) {
      const state = fault.bundle === undefined ? undefined : this.state.bundles[fault.bundle];
      if (!state) this.#do({ do: 'strayFault', fault });
      else this.#do({ do: 'fault', bundle: fault.bundle!, attributed: attribute(state, fault) });
    }
  }

  /** Returns the reports of a refused access, seen `count` times, for the parties concerned. */
  faultReports(bundle: BundleId, attributed: Attributed, count: number): readonly HostOrder[] {
    const { resource } = attributed.fault;
    const config = this.#configs.get(bundle);
    if (resource === undefined || !config) return [];
    const message = faultMessage(bundle, attributed, resource, count);
    const vms = new Set([config.owner, this.state.bundles[bundle]?.holder?.vm]);
    return [...vms].flatMap((to) => (to === undefined ? [] : [{ do: 'send', to, message } as const]));
  }

  #vmStarting(vm: VmId, nowMs: number): void {
    const registry = beganIn(this.state.registry, vm);
    const incarnation = registry.incarnations[vm]!;
    this.#set({ registry, starting: [...this.state.starting.filter((other) => other !== vm), vm] });
    this.#recordVms();
    this.#do({ do: 'vm', vm, isRunning: true, incarnation });
    for (const bundle of this.#configs.keys())
      this.#feed(bundle, { on: 'vmStarted', vm, incarnation, nowMs });
  }

  #vmExited(vm: VmId, nowMs: number): void {
    const { registry, starting, exits } = this.state;
    const incarnation = registry.incarnations[vm] ?? (0 as Incarnation);
    const bundles = [...this.#configs.keys()];
    this.#set({
      registry: { ...registry, running: registry.running.filter((other) => other !== vm) },
      starting: starting.filter((other) => other !== vm),
      exits: [
        ...exits.filter((exit) => exit.vm !== vm || exit.incarnation !== incarnation),
        { vm, incarnation, bundles },
      ],
    });
    this.#recordVms();
    this.#do({ do: 'forget', vm });
    this.#do({ do: 'vm', vm, isRunning: false, incarnation });
    for (const bundle of bundles) this.#feed(bundle, { on: 'vmExited', vm, incarnation, nowMs });
    this.#freeExited(vm);
  }

  /** A bundle is done with an ended incarnation. When all bundles are, for all of its VM, the memory is freed. */
  #letGo(bundle: BundleId, vm: VmId, incarnation: Incarnation): void {
    const exits = this.state.exits.map((exit) =>
      exit.vm === vm && exit.incarnation === incarnation
        ? { ...exit, bundles: exit.bundles.filter((other) => other !== bundle) }
        : exit,
    );
    this.#set({ exits });
    this.#freeExited(vm);
  }

  #freeExited(vm: VmId): void {
    const own = this.state.exits.filter((exit) => exit.vm === vm);
    if (own.length === 0 || own.some(({ bundles }) => bundles.length > 0)) return;
    this.#set({ exits: this.state.exits.filter((exit) => exit.vm !== vm) });
    this.#do({ do: 'acknowledgeExit', vm });
  }

  /** Lets those VMs run whose incarnation is recorded and for which no bundle is still moving. */
  #releaseStarts(nowMs: number): void {
    if (!this.state.areVmsRecorded) return;
    for (const vm of this.state.starting) {
      const isHeld = Object.entries(this.state.bundles).some(([bundle, state]) =>
        holdsBack(state, this.#configs.get(bundle as BundleId)!, vm),
      );
      if (isHeld) continue;
      this.#set({ starting: this.state.starting.filter((other) => other !== vm) });
      this.#do({ do: 'acknowledgeStart', vm });
      for (const bundle of this.#configs.keys()) this.#feed(bundle, { on: 'vmRuns', vm, nowMs });
    }
  }

  #recordVms(): void {
    this.#set({ areVmsRecorded: false });
    this.#do({ do: 'recordVms', registry: this.state.registry });
  }

  #recorded(bundle: BundleId | undefined, fault: string | undefined, nowMs: number): void {
    const { unrecorded } = this.state;
    if (bundle === undefined) this.#set({ areVmsRecorded: fault === undefined });
    else {
      const others = unrecorded.filter((other) => other !== bundle);
      this.#set({ unrecorded: fault === undefined ? others : [...others, bundle] });
    }
    const wasFaulty = this.state.writeFault !== undefined;
    const isWhole = this.state.unrecorded.length === 0 && this.state.areVmsRecorded;
    if (fault !== undefined) {
      this.#set({ writeFault: fault });
      if (!wasFaulty) this.#writeAgain();
    } else if (wasFaulty && isWhole) this.#set({ writeFault: undefined });
    if (bundle !== undefined) this.#feed(bundle, { on: 'recorded', fault, nowMs });
  }

  #writeAgain(): void {
    this.#do({ do: 'timer', bundle: undefined, timer: WRITE, ms: WRITE_AGAIN_MS });
  }

  /** Writes again what could not be written: the last state of each bundle. */
  #write(): void {
    const { unrecorded, bundles, areVmsRecorded, registry } = this.state;
    this.#set({ writeFault: undefined });
    for (const bundle of unrecorded) this.#do(this.#record(bundle, bundles[bundle]!));
    if (!areVmsRecorded) this.#do({ do: 'recordVms', registry });
  }

  /** Runs a bundle's table on an input and turns its effects into orders. */
  #feed(bundle: BundleId, input: HostInput): void {
    const config = this.#configs.get(bundle);
    const before = this.state.bundles[bundle];
    if (!config || !before) return;
    const { state, effects, row, levels, ignored } = this.#table.run(before, input, config);
    if (state !== before) this.#set({ bundles: { ...this.state.bundles, [bundle]: state } });
    const rows = [row, ...levels];
    this.#do({ do: 'step', bundle, on: input.on, before: before.name, after: state.name, rows, ignored });
    const cause = causeOf(before, input);
    for (const effect of effects) this.#perform(bundle, state, effect, cause);
    const watched = watchBundle(this.state.handovers, { before, after: state, input, effects, config });
    this.#set({ handovers: watched.handovers });
    for (const record of watched.records)
      this.#do({ do: 'handover', record, boot: this.state.bounds.machineBoot, cause });
  }

  #perform(bundle: BundleId, state: HostState, effect: HostEffect, cause: VmId | undefined): void {
    switch (effect.do) {
      case 'send':
        return this.#do(effect);
      case 'record':
        return this.#do(this.#record(bundle, state));
      case 'phase':
        return this.#enforce(bundle, effect);
      case 'acknowledgeExit':
        return this.#letGo(bundle, effect.vm, effect.incarnation);
      case 'timer':
      case 'stopTimer':
        return this.#do({ ...effect, bundle });
      case 'audit': {
        const { holder, attempt, lastEpoch } = state;
        const epoch = holder?.epoch ?? attempt?.epoch ?? lastEpoch;
        const { event, detail } = effect;
        return this.#do({ do: 'audit', bundle, event, detail, epoch, holder: holder?.vm, cause });
      }
    }
  }

  /** A power cut ends all VMs, and the records with them; where VMs run on, that of a move is durable before it. */
  #record(bundle: BundleId, state: HostState): HostOrder {
    const { vmsOutliveHost = false } = this.#setup.enforcer.capabilities;
    return { do: 'record', bundle, state, isDurable: vmsOutliveHost && state.name === 'moving' };
  }

  #enforce(bundle: BundleId, { phase, epoch, to }: Extract<HostEffect, { do: 'phase' }>): void {
    if (phase === 'fence') this.#set({ tallies: { ...this.state.tallies, [bundle]: NO_TALLY } });
    const { calls } = this.#runs.get(bundle)!.of(phase, to);
    const fetchesFaults = phase === 'settle' || phase === 'clean';
    this.#do({ do: 'enforce', bundle, phase, epoch, to, calls, fetchesFaults });
  }

  #do(order: HostOrder): void {
    this.#orders.push(order);
  }

  #set(part: Partial<HostEndpointState>): void {
    this.state = { ...this.state, ...part };
  }
}
