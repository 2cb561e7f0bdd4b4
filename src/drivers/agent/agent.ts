/**
 * Runs an agent: turns messages, hook results, timers and client requests into facts of the endpoint
 * (agent-endpoint.ts), and carries out its orders in sequence. Makes no decisions.
 */

import { TypedEmitter } from 'tiny-typed-emitter';
import { quietLog } from '../../common/quiet-log.ts';
import { AgentEndpoint } from '../../core/agent/agent-endpoint.ts';
import type { AgentFact, AgentNews, AgentOrder } from '../../core/agent/agent-facts.ts';
import type { AgentNotice, BorrowTerms } from '../../core/agent/agent-io.ts';
import { type BundleView, faultVerb } from '../../core/agent/agent-view.ts';
import type { BORROWER_TABLE } from '../../core/agent/borrower.ts';
import { renewalMessage, requestMessage } from '../../core/agent/consent-messages.ts';
import type { Policy } from '../../core/agent/policy.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { GrantedForm } from '../../core/protocol/evidence.ts';
import { type BundleId, HOST, type VmId } from '../../core/protocol/ids.ts';
import { CHALLENGE_BYTES, type Message } from '../../core/protocol/messages.ts';
import { hex } from '../../core/wire/bytes.ts';
import type { PeerView } from '../../core/wire/peer-view.ts';
import type { Clock, DriverHooks, Entropy, Journal, Log, Obstacle } from '../../ports/world.ts';
import { FactQueue } from '../fact-queue.ts';
import type { Link, LinkListener } from '../link/link.ts';
import { TimerSet } from '../timer-set.ts';
import { bundleView, type Entry, newEntry, noteTold } from './agent-entry.ts';
import { AgentJournal } from './agent-journal.ts';
import { EventLog } from './event-log.ts';

/** The parts of an agent. */
export interface AgentParts {
  readonly self: VmId;
  readonly bundles: readonly BundleDefinition[];
  /** Expected grants by bundle, from this VM's device tree. A bundle without an entry: by its definition. */
  readonly expected?: ReadonlyMap<BundleId, readonly GrantedForm[]>;
  readonly link: Link;
  readonly hooks: DriverHooks;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly journal: Journal;
  readonly log: Log;
  /** Table of the borrower; a negative control substitutes another one. */
  readonly borrowerTable?: typeof BORROWER_TABLE;
}

export interface AgentEvents {
  notice: (bundle: BundleId, notice: AgentNotice) => void;
  /** Something in `view` has changed. Listeners make the view themselves, since most changes have no listener. */
  changed: (bundle: BundleId) => void;
  hostUp: () => void;
  hostDown: (reason: string) => void;
}

type Fact = AgentFact extends infer F ? (F extends AgentFact ? Omit<F, 'nowMs'> : never) : never;
type Slept = (isAsleep: boolean, lent: readonly BundleId[]) => void;

/** The agent of one VM. */
export class Agent extends TypedEmitter<AgentEvents> implements LinkListener {
  readonly #parts: AgentParts;
  readonly #endpoint: AgentEndpoint;
  readonly #entries = new Map<BundleId, Entry>();
  readonly #journal: AgentJournal;
  readonly #timers: TimerSet;
  readonly #facts: FactQueue<AgentFact>;
  readonly #showsSteps: boolean;
  /** Callback of the client that waits until the VM may sleep. */
  #slept: Slept | undefined;

  constructor(given: AgentParts) {
    super();
    const parts = { ...given, log: quietLog(given.log, given.clock) };
    const { self, bundles, expected, borrowerTable, entropy, clock, log } = parts;
    this.#parts = parts;
    this.#showsSteps = (log.level ?? 'debug') === 'debug';
    this.#journal = new AgentJournal(parts.journal, log);
    const challenges = entropy.random(CHALLENGE_BYTES);
    const firstRequest = new DataView(entropy.random(4).slice().buffer).getUint32(0);
    this.#endpoint = new AgentEndpoint({ self, bundles, expected, challenges, firstRequest, borrowerTable });
    this.#timers = new TimerSet(clock, (name, lateMs) => this.#timerFired(name, lateMs));
    this.#facts = new FactQueue(
      (fact) => this.#step(fact),
      () => this.#timers.apply(),
    );
    for (const definition of bundles)
      this.#entries.set(definition.id, newEntry(definition, new EventLog(definition.id, clock, log)));
  }

  /** Inspects the drivers, then queries the host for the holders. Changes nothing before the answer. */
  start(): void {
    for (const [bundle, last] of this.#journal.last) {
      this.#parts.log('info', 'last attempt according to the journal', { bundle, ...last });
    }
    this.#feed({ on: 'start' });
    this.#parts.link.open(this);
  }

  /** Stops everything. The drivers stay as they are; the host continues without this agent. */
  stop(): void {
    this.#facts.stop();
    this.#timers.clear();
    this.#parts.link.close();
    this.#parts.journal.close();
  }

  /** Asks for a bundle; `notice` events report the outcome. Throws if the VM cannot borrow the bundle. */
  borrow(bundle: BundleId, terms: BorrowTerms): void {
    if (this.#role(bundle) === 'owner') throw new Error(`${bundle}: this VM owns it; nothing to borrow`);
    this.#feed({ on: 'borrow', bundle, terms });
  }

  /** Asks for the lease to last `leaseMs` from now on; a `renewed` or `renewalDeclined` notice reports the outcome. */
  renew(bundle: BundleId, leaseMs: number): void {
    if (this.#role(bundle) === 'owner') throw new Error(`${bundle}: this VM owns it; there is no lease`);
    this.#feed({ on: 'renew', bundle, leaseMs });
  }

  /** Releases a bundle, or withdraws the request for it. */
  giveBack(bundle: BundleId): void {
    if (this.#role(bundle) === 'owner') throw new Error(`${bundle}: this VM owns it; nothing to give back`);
    this.#feed({ on: 'return', bundle });
  }

  /** Asks the borrower for our bundle. With `force` the host takes it after `graceMs`, as far as the consent allows. */
  recall(bundle: BundleId, graceMs: number, force: boolean): void {
    if (this.#role(bundle) === 'borrower')
      throw new Error(`${bundle}: this VM does not own it; only the owner recalls`);
    this.#feed({ on: 'recall', bundle, graceMs, force });
  }

  /** Offers our bundle to a borrower, unasked. A `lent` or `notOffered` notice reports the outcome. */
  offer(bundle: BundleId, to: VmId, leaseMs: number, reservedMs: number): void {
    if (this.#role(bundle) === 'borrower')
      throw new Error(`${bundle}: this VM does not own it; only the owner offers`);
    this.#feed({ on: 'offer', bundle, to, leaseMs, reservedMs });
  }

  /**
   * The whole VM wants to sleep (system suspend). A sleeping kernel switches off the supplies that it keeps for a
   * borrower, and answers no message (M11). So this recalls every lent bundle, by force after `graceMs`. Calls `done`
   * once: asleep, when nothing is lent any more, which stays so until `wake`; or awake, with the bundles that were
   * not back after `waitMs`, or when `wake` or another `sleep` ended this one.
   */
  sleep(graceMs: number, waitMs: number, done: Slept): void {
    // The endpoint ends a waiting sleep, which calls its callback.
    const before = this.#slept;
    if (before) this.#feed({ on: 'wake' });
    this.#slept = done;
    this.#feed({ on: 'sleep', graceMs, waitMs });
  }

  /** The VM is awake: requests are decided again. */
  wake(): void {
    this.#feed({ on: 'wake' });
  }

  /**
   * Queries the host and other agents for a status request. Calls `done` when they have answered, or after a short
   * limit.
   */
  look(done: () => void): void {
    const { link } = this.#parts;
    if (link.isUp(HOST)) this.#feed({ on: 'look' });
    // The host answers queries in their order.
    link.look(done);
  }

  /** Returns the view of a bundle. Throws on an unknown one. */
  view(bundle: BundleId): BundleView {
    return this.#view(this.#entry(bundle));
  }

  /** Our incarnation as the host counts it; 0: not known yet. */
  get incarnation(): number {
    return this.#parts.link.incarnation;
  }

  /** Returns the state of the connections to the host and other agents. */
  peers(): PeerView[] {
    return this.#parts.link.peers();
  }

  /** Returns what prevents all connections, if anything. */
  obstacle(): Obstacle | undefined {
    return this.#parts.link.obstacle();
  }

  /** Returns the views of all bundles. */
  views(): BundleView[] {
    return [...this.#entries.values()].map((entry) => this.#view(entry));
  }

  onMessage(from: VmId, message: Message, token: Uint8Array | undefined): void {
    this.#feed({ on: 'message', from, message, token });
  }

  onUp(peer: VmId, isNewBoot = false, tableId?: Uint8Array): void {
    this.#parts.log('info', 'session up', { peer });
    for (const entry of this.#entries.values()) {
      const { id } = entry.definition;
      const before = entry.differs.join();
      entry.differs = this.#parts.link.differing(id);
      if (entry.differs.join() !== before) this.emit('changed', id);
      // A restarted host may have another enforcer.
      if (peer === HOST && isNewBoot) Object.assign(entry, { evidence: null, forces: undefined });
    }
    this.#feed({ on: 'sessionUp', peer, tableId: tableId && hex(tableId) });
  }

  onDown(peer: VmId, reason: string): void {
    if (peer === HOST) this.emit('hostDown', reason);
  }

  onDigestMismatch(peer: VmId, bundle: BundleId): void {
    const entry = this.#entries.get(bundle);
    if (!entry) return;
    entry.eventLog.note(
      `${peer} has a different definition of ${bundle}: deploy the same bundle file everywhere`,
    );
    this.#parts.log('error', 'bundle definitions differ', { bundle, peer });
  }

  #feed(fact: Fact): void {
    this.#facts.feed({ ...fact, nowMs: this.#parts.clock.nowMs() } as AgentFact);
  }

  #step(fact: AgentFact): void {
    for (const order of this.#endpoint.step(fact)) {
      if (this.#facts.isStopped) return;
      this.#carryOut(order);
    }
  }

  #carryOut(order: AgentOrder): void {
    const { link, hooks } = this.#parts;
    switch (order.do) {
      case 'send':
        return void link.send(order.to, order.message);
      case 'request':
        return this.#request(order);
      case 'requestRenewal':
        return this.#requestRenewal(order);
      case 'decide': {
        const { request, question } = order;
        const { bundle } = question;
        return this.#parts.policy(question, (decision) =>
          this.#feed({ on: 'policyDecided', bundle, request, decision }),
        );
      }
      case 'note':
        return this.#journal.write(order.bundle, { attempt: order.attempt, epoch: order.epoch });
      case 'hook': {
        const { bundle, hook, epoch } = order;
        return hooks.run(bundle, hook, epoch, (result, steps) =>
          this.#feed({ on: 'hookDone', bundle, hook, result, steps }),
        );
      }
      case 'inspect': {
        const { bundle } = order;
        return hooks.inspect(bundle, (status) => this.#feed({ on: 'driverInspected', bundle, status }));
      }
      case 'timer':
        return this.#timers.start(timerName(order), order.ms, order.sooner);
      case 'stopTimer':
        return this.#timers.stop(timerName(order));
      case 'renew':
        return link.renew(order.peer);
      default:
        return this.#tell(order);
    }
  }

  #request(order: Extract<AgentOrder, { do: 'request' }>): void {
    const { link } = this.#parts;
    const consent = link.sealConsent(order.claims);
    const isSent = consent && link.send(order.owner, requestMessage(order, consent));
    if (!isSent) this.#feed({ on: 'requestUnsent', bundle: order.bundle });
  }

  /** What cannot be sent now is repeated by its timer. */
  #requestRenewal(order: Extract<AgentOrder, { do: 'requestRenewal' }>): void {
    const { link } = this.#parts;
    const consent = link.sealConsent(order.claims);
    if (consent) link.send(order.owner, renewalMessage(order, consent));
  }

  #timerFired(name: string, lateMs: number): void {
    const [timer, bundle] = name.split(' ') as [string, BundleId | undefined];
    this.#feed({ on: 'timer', bundle, timer, lateMs });
  }

  #tell(news: AgentNews): void {
    const { log, clock } = this.#parts;
    switch (news.do) {
      case 'notice':
        this.#entry(news.bundle).eventLog.notified(news.notice);
        this.emit('notice', news.bundle, news.notice);
        return;
      case 'ownershipReported':
        return noteTold(this.#entry(news.bundle), news.message, clock.nowMs());
      case 'declined':
        return this.#entry(news.message.bundle).eventLog.declined(news.to, news.message);
      case 'fault':
        return this.#faultSeen(news);
      case 'drop':
        return log(news.isLate ? 'debug' : 'warn', `${news.kind} dropped: ${news.why}`, { from: news.from });
      case 'hostUp':
        this.emit('hostUp');
        return;
      case 'hostSilent': {
        const reason = `last heard ${Math.round(news.silentMs)} ms ago`;
        log('warn', `the host is silent: ${reason}`, { peer: HOST });
        this.emit('hostDown', reason);
        return;
      }
      case 'hostBack':
        return log('info', `the host is heard again, after ${seconds(news.silentMs)} s`, { peer: HOST });
      case 'stopped':
        return log(
          'warn',
          `this process did not run for ${seconds(news.ms)} s: it or its VM was stopped, or had no CPU time`,
        );
      case 'slept': {
        const done = this.#slept;
        this.#slept = undefined;
        return done?.(news.isAsleep, news.lent);
      }
      case 'step':
        return this.#stepped(news);
    }
  }

  #stepped({ bundle, on, before, after, rows, ignored }: Extract<AgentNews, { do: 'step' }>): void {
    const row = rows.join(', ');
    if (this.#showsSteps) {
      const { log } = this.#parts;
      if (ignored === undefined) log('debug', `${before} → ${after}`, { bundle, on, row });
      else log('debug', `${on} ignored: ${ignored}`, { bundle, row, state: before });
    }
    if (ignored !== undefined || before === after) return;
    const entry = this.#entry(bundle);
    entry.movedMs = this.#parts.clock.nowMs();
    entry.eventLog.moved(before, after, row);
    this.emit('changed', bundle);
  }

  #faultSeen({ bundle, message }: Extract<AgentNews, { do: 'fault' }>): void {
    const { vm = 'somebody', write, resource, by, epoch } = message;
    this.#entry(bundle).eventLog.note(
      `fault: ${vm} ${faultVerb(write)} ${resource} by ${by}, epoch ${epoch}`,
    );
    this.emit('changed', bundle);
  }

  #role(bundle: BundleId): 'owner' | 'borrower' {
    this.#entry(bundle);
    return this.#endpoint.state.bundles[bundle]!.role;
  }

  #entry(bundle: BundleId): Entry {
    const entry = this.#entries.get(bundle);
    if (entry) return entry;
    throw new Error(
      `${bundle}: no bundle of this name; there are ${[...this.#entries.keys()].join(', ') || 'none'}`,
    );
  }

  #view(entry: Entry): BundleView {
    return bundleView(entry, this.#endpoint.state, this.#parts.self, this.#parts.clock.nowMs());
  }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(ms < 10_000 ? 1 : 0);
}

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
