/**
 * The driver of the agent tables: feeds messages, hook results, clocks and commands into the pure core and
 * carries its orders out. It decides nothing itself.
 *
 * One runner per bundle, as owner or as borrower; the role follows from the bundle's definition. Runtime things
 * come in through the ports; the only emitter of the product is here, at the edge.
 */

import { TypedEmitter } from 'tiny-typed-emitter';
import { quietLog } from '../../common/quiet-log.ts';
import type { AgentEffect, AgentNotice, BorrowTerms } from '../../core/agent/agent-io.ts';
import { type BundleView, faultVerb, toldBy } from '../../core/agent/agent-view.ts';
import { BORROWER_TABLE } from '../../core/agent/borrower.ts';
import { type BorrowerInput, initialBorrower } from '../../core/agent/borrower-state.ts';
import { Diary } from '../../core/agent/diary.ts';
import { HostWatch } from '../../core/agent/host-watch.ts';
import { OWNER_TABLE } from '../../core/agent/owner.ts';
import { initialOwner, type OwnerInput } from '../../core/agent/owner-state.ts';
import type { Policy } from '../../core/agent/policy.ts';
import { Question } from '../../core/agent/question.ts';
import { Sleep } from '../../core/agent/sleep.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { AgentConfig } from '../../core/protocol/evidence.ts';
import { type GrantedForm, sameBytes } from '../../core/protocol/evidence.ts';
import { type BundleId, type Epoch, HOST, type Incarnation, type VmId } from '../../core/protocol/ids.ts';
import { isLater, NOT_SUPPORTED } from '../../core/protocol/later.ts';
import type { ConsentClaims } from '../../core/protocol/message-parts.ts';
import type { Message } from '../../core/protocol/messages.ts';
import { CHALLENGE_BYTES, TEXT_BYTES_MAX } from '../../core/protocol/messages.ts';
import type { Step } from '../../core/protocol/table.ts';
import { clipText } from '../../core/wire/utf8.ts';
import type { Clock, DriverHooks, Entropy, HookResult, Journal, Log, Obstacle } from '../../ports/world.ts';
import type { Link, LinkListener, PeerView } from '../link/link.ts';
import { Runner } from '../runner.ts';
import { type AnyRunner, bundleView, type Entry, newEntry } from './agent-entry.ts';
import { AgentJournal } from './agent-journal.ts';

/** What an agent is made of. */
export interface AgentParts {
  readonly self: VmId;
  readonly bundles: readonly BundleDefinition[];
  /** What this VM must be granted, by its own device tree; of a bundle that is not here: by its definition. */
  readonly expected?: ReadonlyMap<BundleId, readonly GrantedForm[]>;
  readonly link: Link;
  readonly hooks: DriverHooks;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly journal: Journal;
  readonly log: Log;
  /** The borrower’s table; a lie puts another one here. */
  readonly borrowerTable?: typeof BORROWER_TABLE;
}

export interface AgentEvents {
  notice: (bundle: BundleId, notice: AgentNotice) => void;
  /** Look at `view`: made for who looks, since most changes have no spectator. */
  changed: (bundle: BundleId) => void;
  hostUp: () => void;
  hostDown: (reason: string) => void;
}

/** How long a consent is good on the host's clock, in milliseconds: a request, its policy and its preparation. */
const CONSENT_VALID_MS = 10_000;
/** Time between two tries to send a request while there is no session with the owner. */
const REQUEST_RETRY_MS = 100;

type AnyStep = Step<{ name: string }, { do: string }>;

/** The words of a result that another VM may be sent, as long as a message takes. */
function clipped(result: HookResult): HookResult {
  if (result.ok || result.where === undefined) return result;
  return { ...result, where: clipText(result.where, TEXT_BYTES_MAX) };
}

/** The agent of one VM. */
export class Agent extends TypedEmitter<AgentEvents> implements LinkListener {
  readonly #parts: AgentParts;
  readonly #entries = new Map<BundleId, Entry>();
  readonly #journal: AgentJournal;
  readonly #policy: Policy;
  /** For when the whole VM wants to sleep. */
  readonly sleep: Sleep;
  readonly #watch: HostWatch;

  constructor(given: AgentParts) {
    super();
    const parts = { ...given, log: quietLog(given.log, given.clock) };
    this.#parts = parts;
    this.#journal = new AgentJournal(parts.journal, parts.log);
    this.#watch = new HostWatch(parts.clock, {
      // Its word is not heard: it may have lost our session.
      onSilent: (reason) => {
        parts.log('warn', `the host is silent: ${reason}`, { peer: HOST });
        parts.link.renew(HOST);
        this.emit('hostDown', reason);
      },
      // What it said meanwhile may be lost.
      onBack: (silentMs) => {
        parts.log('info', `the host is heard again, after ${seconds(silentMs)} s`, { peer: HOST });
        this.#hostBack();
      },
      onStopped: (ms) =>
        parts.log(
          'warn',
          `this process did not run for ${seconds(ms)} s: it or its VM was stopped, or had no time`,
        ),
    });
    this.sleep = new Sleep(this, parts.clock);
    this.#policy = this.sleep.gate(parts.policy);
    for (const definition of parts.bundles) {
      const question = new Question(parts.entropy);
      const entry = newEntry(definition, question, new Diary(definition.id, parts.clock, parts.log));
      entry.machine = this.#machineOf(entry);
      this.#entries.set(definition.id, entry);
    }
  }

  /** Looks what the drivers do, then asks the host who holds what. Changes nothing before it knows. */
  start(): void {
    for (const [bundle, last] of this.#journal.last) {
      this.#parts.log('info', 'the journal says what was attempted last', { bundle, ...last });
    }
    for (const entry of this.#entries.values()) this.#feed(entry, { on: 'start' });
    this.#parts.link.open(this);
  }

  /** Stops everything. The drivers stay as they are; the host goes on without us. */
  stop(): void {
    this.#watch.stop();
    for (const { machine } of this.#entries.values()) machine.runner.stop();
    this.#parts.link.close();
    this.#parts.journal.close();
  }

  /** Asks for a bundle. What comes of it is told by `notice` events. Throws on a bundle that is not ours to borrow. */
  borrow(bundle: BundleId, terms: BorrowTerms): void {
    const entry = this.#entry(bundle);
    if (entry.machine.role === 'owner') throw new Error(`${bundle}: this VM owns it; nothing to borrow`);
    this.#feed(entry, { on: 'borrow', terms, fresh: this.#watch.hasFreshStamp });
  }

  /** Gives a bundle back, or withdraws the request for it. */
  giveBack(bundle: BundleId): void {
    const entry = this.#entry(bundle);
    if (entry.machine.role === 'owner') throw new Error(`${bundle}: this VM owns it; nothing to give back`);
    this.#feed(entry, { on: 'return' });
  }

  /** Asks the borrower for our bundle; with `force` the host takes it after `graceMs`, as far as the consent allows. */
  recall(bundle: BundleId, graceMs: number, force: boolean): void {
    const entry = this.#entry(bundle);
    if (entry.machine.role === 'borrower')
      throw new Error(`${bundle}: this VM does not own it; only the owner recalls`);
    this.#feed(entry, { on: 'recall', graceMs, force });
  }

  /**
   * Asks host and other agents how things stand, for somebody who looks. Calls `done` when they have answered, soon
   * in any case.
   */
  look(done: () => void): void {
    const { link, entropy } = this.#parts;
    for (const entry of this.#entries.values()) {
      if (!link.isUp(HOST)) break;
      entry.look = entropy.random(CHALLENGE_BYTES);
      const asked = { bundle: entry.definition.id, epoch: 0 as Epoch, challenge: entry.look };
      link.send(HOST, { kind: 'queryState', ...asked });
    }
    // The host answers in the order of what it is asked.
    link.look(done);
  }

  /** How a bundle stands. Throws on an unknown one. */
  view(bundle: BundleId): BundleView {
    return this.#view(this.#entry(bundle));
  }

  /** How the ways to host and other agents stand. */
  peers(): PeerView[] {
    return this.#parts.link.peers();
  }

  /** What keeps this agent from everybody. */
  obstacle(): Obstacle | undefined {
    return this.#parts.link.obstacle();
  }

  /** How all bundles stand. */
  views(): BundleView[] {
    return [...this.#entries.values()].map((entry) => this.#view(entry));
  }

  onMessage(from: VmId, message: Message, stamp: Uint8Array | undefined): void {
    if (from === HOST) this.#watch.heard(stamp);
    if (message.kind === 'heartbeat') return;
    if (isLater(message)) return this.#drop(from, message, NOT_SUPPORTED);
    const entry = this.#entries.get(message.bundle);
    if (!entry) return this.#drop(from, message, 'unknown bundle');
    const isPeers =
      message.kind === 'requestBorrow' ||
      message.kind === 'withdrawBorrow' ||
      message.kind === 'borrowDeclined' ||
      message.kind === 'recallDevice';
    // What the host says counts only from the host; what a borrower is told by the owner only from the owner.
    if (isPeers !== (from !== HOST)) return this.#drop(from, message, 'not the sender’s to say');
    if (message.kind === 'borrowDeclined' && from !== entry.definition.owner) {
      return this.#drop(from, message, 'not the owner');
    }
    const isForTable = message.kind !== 'stateReported' || entry.question.isAnsweredBy(message.challenge);
    const isForLook =
      message.kind === 'stateReported' && !!entry.look && sameBytes(message.challenge, entry.look);
    if (isForLook) entry.look = undefined;
    if (!isForTable && !isForLook) {
      this.#parts.log('debug', 'stateReported dropped: answer to an older query', { from });
      return;
    }
    if (message.kind === 'remapped' || message.kind === 'stateReported') {
      const nowMs = this.#parts.clock.nowMs();
      entry.told = toldBy(message, nowMs);
      entry.leaseEndsMs = message.leaseMs > 0 ? nowMs + message.leaseMs : undefined;
      entry.evidence = message.proof?.evidence ?? entry.evidence;
      if (message.kind === 'stateReported') {
        entry.forces = message.forces ?? entry.forces;
        entry.evidence = message.proof?.evidence ?? message.declared ?? entry.evidence;
      }
    }
    if (!isForTable) return;
    const inputs: readonly string[] =
      entry.machine.role === 'owner' ? OWNER_TABLE.inputs : BORROWER_TABLE.inputs;
    if (!inputs.includes(message.kind)) {
      if (message.kind === 'faultReported') return this.#faultSeen(entry, message);
      return this.#drop(from, message, `not for the ${entry.machine.role}`);
    }
    this.#feed(entry, { on: message.kind, from, message } as never);
  }

  onUp(peer: VmId, isNewBoot = false): void {
    this.#parts.log('info', 'session up', { peer });
    for (const entry of this.#entries.values()) {
      this.#compareDefinitions(entry);
      // Another life of the host may have another back end.
      if (peer === HOST && isNewBoot) Object.assign(entry, { evidence: null, forces: undefined });
    }
    if (peer === HOST) this.#hostBack();
  }

  onDown(peer: VmId, reason: string): void {
    if (peer === HOST) this.emit('hostDown', reason);
  }

  onDigestMismatch(peer: VmId, bundle: BundleId): void {
    const entry = this.#entries.get(bundle);
    if (!entry) return;
    entry.diary.note(`${peer} means another definition by ${bundle}: deploy the same bundle file everywhere`);
    this.#parts.log('error', 'bundle definitions differ', { bundle, peer });
  }

  #hostBack(): void {
    this.emit('hostUp');
    for (const entry of this.#entries.values()) this.#feed(entry, { on: 'hostUp' });
  }

  #compareDefinitions(entry: Entry): void {
    const bundle = entry.definition.id;
    const before = entry.differs.join();
    entry.differs = this.#parts.link.differing(bundle);
    if (entry.differs.join() !== before) this.emit('changed', bundle);
  }

  #entry(bundle: BundleId): Entry {
    const entry = this.#entries.get(bundle);
    if (entry) return entry;
    throw new Error(
      `${bundle}: no bundle of this name; there are ${[...this.#entries.keys()].join(', ') || 'none'}`,
    );
  }

  #machineOf(entry: Entry): AnyRunner {
    const { self, clock, entropy } = this.#parts;
    const { definition, digest } = entry;
    const expected = this.#parts.expected?.get(definition.id);
    const config: AgentConfig = { self, definition, digest, expected };
    const owner = {
      perform: (effect: AgentEffect<never>) => this.#perform(entry, effect),
      onStep: (before: { name: string }, input: { on: string }, step: AnyStep) =>
        this.#stepped(entry, before.name, input.on, step),
    };
    if (entry.definition.owner === self) {
      const runner = new Runner(OWNER_TABLE as never, initialOwner(), config, clock, owner as never);
      return { role: 'owner', runner: runner as never };
    }
    const table = this.#parts.borrowerTable ?? BORROWER_TABLE;
    const firstRequest = new DataView(entropy.random(4).slice().buffer).getUint32(0);
    const runner = new Runner(table as never, initialBorrower(firstRequest), config, clock, owner as never);
    return { role: 'borrower', runner: runner as never };
  }

  #feed(entry: Entry, input: OwnerInput | BorrowerInput): void {
    entry.machine.runner.feed(input as never);
  }

  #stepped(entry: Entry, before: string, on: string, step: AnyStep): void {
    entry.question.stepped(on, step.effects);
    const { log } = this.#parts;
    const bundle = entry.definition.id;
    if ((log.level ?? 'debug') === 'debug') {
      if (step.ignored === undefined)
        log('debug', `${before} → ${step.state.name}`, { bundle, on, row: step.row });
      else log('debug', `${on} ignored: ${step.ignored}`, { bundle, row: step.row, state: before });
    }
    if (step.ignored !== undefined) return;
    if (before === step.state.name) return;
    entry.movedMs = this.#parts.clock.nowMs();
    entry.diary.moved(before, step.state.name, step.row);
    this.emit('changed', bundle);
  }

  #perform(entry: Entry, effect: AgentEffect<never>): void {
    const { link, hooks } = this.#parts;
    const bundle = entry.definition.id;
    switch (effect.do) {
      case 'send':
        link.send(effect.to, effect.message);
        if (effect.message.kind === 'borrowDeclined') entry.diary.declined(effect.to, effect.message);
        return;
      case 'query': {
        const { epoch } = entry.machine.runner.state;
        link.send(HOST, { kind: 'queryState', bundle, epoch, challenge: entry.question.ask() });
        return;
      }
      case 'request':
        return this.#request(entry, effect);
      case 'decide': {
        const { do: _, request, ...question } = effect;
        this.#policy({ bundle, ...question }, (decision) =>
          this.#feed(entry, { on: 'policyDecided', request, decision }),
        );
        return;
      }
      case 'persist':
        this.#journal.write(bundle, { attempt: effect.attempt, epoch: effect.epoch }, effect.sync);
        return;
      case 'hook':
        hooks.run(bundle, effect.hook, effect.epoch, (result) =>
          this.#feed(entry, { on: 'hookDone', hook: effect.hook, result: clipped(result) }),
        );
        return;
      case 'inspect':
        hooks.inspect(bundle, (status) => this.#feed(entry, { on: 'driverInspected', status }));
        return;
      case 'notify':
        entry.diary.notified(effect.notice);
        this.emit('notice', bundle, effect.notice);
        return;
      default:
        throw new Error(`the runner keeps timers: ${JSON.stringify(effect)}`);
    }
  }

  #request(entry: Entry, effect: Extract<AgentEffect<never>, { do: 'request' }>): void {
    const { link, clock } = this.#parts;
    const { terms, epoch, incarnation, requestId } = effect;
    const { id: bundle, owner } = entry.definition;
    const claims: ConsentClaims = {
      bundle,
      epoch,
      digest: entry.digest,
      owner,
      incarnation: incarnation as Incarnation,
      stamp: this.#watch.stamp,
      validMs: CONSENT_VALID_MS,
      leaseMs: terms.leaseMs,
      minTenureMs: terms.minTenureMs,
      noticeMs: terms.noticeMs,
      evidence: terms.evidence,
      use: 'borrow',
      renewal: 0,
      requestId,
    };
    const consent = link.sealConsent(claims);
    if (!consent) return;
    const { evidence: _, ...asked } = terms;
    if (link.send(owner, { kind: 'requestBorrow', bundle, ...asked, consent, requestId })) return;
    // The session with the owner is not up yet, as after a boot. The request's timer ends the tries.
    clock.after(REQUEST_RETRY_MS, () => {
      const { state } = entry.machine.runner;
      // Another request may be open by then, on other terms.
      if (state.name === 'requesting' && 'requestId' in state && state.requestId === requestId)
        this.#request(entry, effect);
    });
  }

  #faultSeen(entry: Entry, message: Extract<Message, { kind: 'faultReported' }>): void {
    const who = message.vm ?? 'somebody';
    entry.diary.note(
      `fault: ${who} ${faultVerb(message.write)} ${message.resource} by ${message.by}, epoch ${message.epoch}`,
    );
    this.emit('changed', entry.definition.id);
  }

  #drop(from: VmId, message: Message, why: string): void {
    this.#parts.log('warn', `${message.kind} dropped: ${why}`, { from });
  }

  #view(entry: Entry): BundleView {
    return bundleView(entry, this.#parts.self, this.#parts.clock.nowMs());
  }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(ms < 10_000 ? 1 : 0);
}
