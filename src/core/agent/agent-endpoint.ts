/**
 * An agent's part of the protocol, for all bundles of its VM: facts in, orders out.
 *
 * Pure. All decisions are made here: which sender may send which message, which query to the host is open, whether
 * the host is silent, which bundles are lent while the VM wants to sleep, and, by the tables of owner and borrower,
 * what happens to each bundle. The driver (agent.ts) turns events into facts and carries the orders out, in their
 * order.
 */

import type { HookResult } from '../../ports/world.ts';
import { BUSY_RETRY_MS } from '../protocol/codes.ts';
import type { AgentConfig } from '../protocol/evidence.ts';
import { sameBytes } from '../protocol/evidence.ts';
import { type BundleId, type Epoch, HOST, UINT32_MAX, type VmId } from '../protocol/ids.ts';
import { isLater, NOT_SUPPORTED } from '../protocol/later.ts';
import { MESSAGES, type Message, type MessageOf, TEXT_BYTES_MAX } from '../protocol/messages.ts';
import { bundleDigest } from '../wire/digest.ts';
import { clipText } from '../wire/utf8.ts';
import {
  type AgentBundle,
  type AgentEndpointState,
  isAwake,
  lentSince,
  NOT_LENT,
  type SleepRequest,
} from './agent-endpoint-state.ts';
import type { AgentFact, AgentOrder, AgentSetup } from './agent-facts.ts';
import type { AgentEffect } from './agent-io.ts';
import { BORROWER_TABLE } from './borrower.ts';
import { type BorrowerInput, initialBorrower } from './borrower-state.ts';
import { claimsOf } from './consent-messages.ts';
import { hasFreshToken, heard, looked, tokenOf, UNWATCHED, type WatchStep, watched } from './host-watch.ts';
import { OWNER_TABLE } from './owner.ts';
import { initialOwner, type OwnerInput, type OwnerState } from './owner-state.ts';
import { againMs, answered, asked, challengeOf, NO_QUESTION, type Question, stepped } from './question.ts';
import { timedIn, withSteps } from './step-times.ts';

/** Time between two attempts to send a request while there is no session with the owner, in ms. */
const REQUEST_RETRY_MS = 100;

const WATCH = 'watch';
const SLEEP = 'sleep';

/** An agent's part of the protocol. */
export class AgentEndpoint {
  /** Complete state. A search sets another state before a step and reads the result afterwards. */
  state: AgentEndpointState;
  readonly #setup: AgentSetup;
  readonly #configs = new Map<BundleId, AgentConfig>();
  readonly #borrowerTable: typeof BORROWER_TABLE;
  #orders: AgentOrder[] = [];
  /** Inputs that effects of the present step cause; processed after the effects. */
  #later: (() => void)[] = [];

  constructor(setup: AgentSetup) {
    this.#setup = setup;
    this.#borrowerTable = setup.borrowerTable ?? BORROWER_TABLE;
    const { self, expected } = setup;
    for (const definition of setup.bundles) {
      const digest = bundleDigest(definition);
      this.#configs.set(definition.id, { self, definition, digest, expected: expected?.get(definition.id) });
    }
    this.state = this.initial();
  }

  /** Processes a fact and returns the orders. Never throws on anything that a peer, a client or a hook can cause. */
  step(fact: AgentFact): readonly AgentOrder[] {
    this.#orders = [];
    this.#take(fact);
    for (let next = this.#later.shift(); next; next = this.#later.shift()) next();
    this.#follow(fact.nowMs);
    return this.#orders;
  }

  /** Returns the state of an agent that is about to start. */
  initial(): AgentEndpointState {
    const bundles: Record<BundleId, AgentBundle> = {};
    for (const [id, { definition, self }] of this.#configs)
      bundles[id] =
        definition.owner === self
          ? { role: 'owner', state: initialOwner() }
          : { role: 'borrower', state: initialBorrower(this.#setup.firstRequest) };
    return {
      bundles,
      questions: {},
      looks: {},
      asked: 0,
      times: {},
      watch: UNWATCHED,
      tableId: undefined,
      isAsleep: false,
      sleepRequest: undefined,
      leaseEnds: {},
      lentSince: {},
    };
  }

  #take(fact: AgentFact): void {
    switch (fact.on) {
      case 'start':
        for (const bundle of this.#configs.keys()) this.#feed(bundle, { on: 'start' }, fact.nowMs);
        return;
      case 'message':
        return this.#message(fact);
      case 'sessionUp':
        if (fact.peer !== HOST) return;
        this.#tableSeen(fact.tableId, fact.nowMs);
        return this.#hostUp(fact.nowMs);
      case 'timer':
        return this.#timer(fact);
      case 'requestUnsent':
        // As after a boot. The request's own timer ends the attempts.
        return this.#do({ do: 'timer', bundle: fact.bundle, timer: 'request-again', ms: REQUEST_RETRY_MS });
      case 'borrow': {
        const isFresh = hasFreshToken(this.state.watch, fact.nowMs);
        return this.#feed(fact.bundle, { on: 'borrow', terms: fact.terms, fresh: isFresh }, fact.nowMs);
      }
      case 'look':
        return this.#look();
      case 'sleep':
        return this.#sleep(fact.graceMs, fact.waitMs);
      case 'wake':
        return this.#wake();
      case 'hookDone':
        return this.#feed(fact.bundle, { ...fact, result: clipped(fact.result) }, fact.nowMs);
      default:
        return this.#feed(fact.bundle, fact, fact.nowMs);
    }
  }

  /** Runs after every fact: starts or stops watching the host, and continues a sleep request. */
  #follow(nowMs: number): void {
    const isNeeded = Object.values(this.state.bundles).some(isAwake);
    const step = watched(this.state.watch, isNeeded, nowMs);
    if (step.watch !== this.state.watch) this.#watch(step, nowMs);
    if (this.state.sleepRequest) this.#recallForSleep(this.state.sleepRequest, nowMs);
  }

  #message({ from, message, token, nowMs }: Extract<AgentFact, { on: 'message' }>): void {
    if (from === HOST) this.#watch(heard(this.state.watch, nowMs, token), nowMs);
    if (message.kind === 'heartbeat') return;
    if (isLater(message)) return this.#do({ do: 'drop', from, kind: message.kind, why: NOT_SUPPORTED });
    const drop = (why: string) => this.#do({ do: 'drop', from, kind: message.kind, why });
    if (!('bundle' in message)) return drop('not for an agent');
    const config = this.#configs.get(message.bundle);
    const entry = this.state.bundles[message.bundle];
    if (!config || !entry) return drop('unknown bundle');
    // Each message counts from its sender alone (`from` of MESSAGES): the host, the owner or another agent.
    const sender = MESSAGES[message.kind].from;
    if ((sender === 'host') !== (from === HOST)) return drop('not from the right sender');
    if (sender === 'owner' && from !== config.definition.owner) return drop('not the owner');
    if (message.kind === 'faultReported') return this.#do({ do: 'fault', bundle: message.bundle, message });
    if (message.kind === 'remapped') this.#do({ do: 'ownershipReported', bundle: message.bundle, message });
    if (message.kind === 'stateReported' && !this.#answersQuery(message, from)) return;
    if ('leaseMs' in message && from === HOST)
      this.#set({ leaseEnds: { ...this.state.leaseEnds, [message.bundle]: nowMs + message.leaseMs } });
    const inputs: readonly string[] = entry.role === 'owner' ? OWNER_TABLE.inputs : BORROWER_TABLE.inputs;
    if (!inputs.includes(message.kind)) return drop(`not for the ${entry.role}`);
    const fresh = message.kind === 'offerLease' && { fresh: hasFreshToken(this.state.watch, nowMs) };
    this.#feed(message.bundle, { on: message.kind, from, message, ...fresh } as never, nowMs);
  }

  /**
   * Returns whether a state report answers the open query. The answer to a status request is published, nothing more.
   */
  #answersQuery(message: MessageOf<'stateReported'>, from: VmId): boolean {
    const { bundle, challenge } = message;
    const question = this.state.questions[bundle] ?? NO_QUESTION;
    const isOpen = question.open !== 0 && sameBytes(challenge, this.#challenge(question.open));
    const look = this.state.looks[bundle] ?? 0;
    const isLook = look !== 0 && sameBytes(challenge, this.#challenge(look));
    if (isLook) this.#set({ looks: { ...this.state.looks, [bundle]: 0 } });
    if (isOpen) this.#setQuestion(bundle, answered(question));
    if (isOpen || isLook) this.#do({ do: 'ownershipReported', bundle, message });
    else this.#do({ do: 'drop', from, kind: message.kind, why: 'answer to an older query', isLate: true });
    return isOpen;
  }

  /** Epochs compare only within one table: what was learned from another table is void. */
  #tableSeen(tableId: string | undefined, nowMs: number): void {
    const before = this.state.tableId;
    if (tableId === undefined || tableId === before) return;
    this.#set({ tableId });
    if (before === undefined) return;
    for (const bundle of this.#configs.keys()) this.#feed(bundle, { on: 'newTable' }, nowMs);
  }

  #hostUp(nowMs: number): void {
    this.#do({ do: 'hostUp' });
    for (const bundle of this.#configs.keys()) this.#feed(bundle, { on: 'hostUp' }, nowMs);
  }

  #timer({ bundle, timer, lateMs, nowMs }: Extract<AgentFact, { on: 'timer' }>): void {
    if (bundle === undefined && timer === WATCH)
      return this.#watch(looked(this.state.watch, nowMs, lateMs), nowMs);
    if (bundle === undefined) return this.#giveUpSleep();
    if (timer === 'request-again') return this.#requestAgain(bundle);
    this.#feed(bundle, { on: `timer:${timer}` } as never, nowMs);
  }

  #watch({ watch, timerMs, silentMs, backMs, stoppedMs }: WatchStep, nowMs: number): void {
    const wasWatched = this.state.watch.sinceMs !== undefined;
    this.#set({ watch });
    if (timerMs !== undefined) this.#do({ do: 'timer', bundle: undefined, timer: WATCH, ms: timerMs });
    else if (wasWatched && watch.sinceMs === undefined)
      this.#do({ do: 'stopTimer', bundle: undefined, timer: WATCH });
    if (stoppedMs !== undefined) this.#do({ do: 'stopped', ms: stoppedMs });
    if (silentMs !== undefined) {
      this.#do({ do: 'hostSilent', silentMs });
      this.#do({ do: 'renew', peer: HOST });
    }
    if (backMs === undefined) return;
    // Messages that it sent meanwhile may be lost.
    this.#do({ do: 'hostBack', silentMs: backMs });
    this.#hostUp(nowMs);
  }

  #look(): void {
    for (const bundle of this.#configs.keys()) {
      const number = this.state.asked + 1;
      this.#set({ asked: number, looks: { ...this.state.looks, [bundle]: number } });
      const challenge = this.#challenge(number);
      this.#do({
        do: 'send',
        to: HOST,
        message: { kind: 'queryState', bundle, epoch: 0 as Epoch, challenge },
      });
    }
  }

  #requestAgain(bundle: BundleId): void {
    const entry = this.state.bundles[bundle];
    if (entry?.role !== 'borrower' || entry.state.name !== 'requesting') return;
    const { known, incarnation, terms, requestId } = entry.state;
    if (!terms || requestId === undefined) return;
    this.#request(bundle, { do: 'request', requestId, epoch: known.epoch, incarnation, terms });
  }

  #sleep(graceMs: number, waitMs: number): void {
    this.#wake();
    this.#set({ isAsleep: true, sleepRequest: { graceMs, recalled: [] } });
    this.#do({ do: 'timer', bundle: undefined, timer: SLEEP, ms: waitMs });
  }

  /** The VM is awake: requests are decided again. An unfinished sleep request is given up. */
  #wake(): void {
    if (this.state.sleepRequest) this.#giveUpSleep();
    this.#set({ isAsleep: false });
  }

  #giveUpSleep(): void {
    if (!this.state.sleepRequest) return;
    this.#set({ isAsleep: false, sleepRequest: undefined });
    this.#do({ do: 'stopTimer', bundle: undefined, timer: SLEEP });
    this.#do({ do: 'slept', isAsleep: false, lent: this.#lent().map(([bundle]) => bundle) });
  }

  #recallForSleep(sleepRequest: SleepRequest, nowMs: number): void {
    const lent = this.#lent();
    if (lent.length === 0) {
      this.#set({ sleepRequest: undefined });
      this.#do({ do: 'stopTimer', bundle: undefined, timer: SLEEP });
      return this.#do({ do: 'slept', isAsleep: true, lent: [] });
    }
    for (const [bundle, { name, borrower, epoch }] of lent) {
      const lease = `${bundle} ${epoch}`;
      if (name !== 'lent' || borrower === undefined || sleepRequest.recalled.includes(lease)) continue;
      this.#set({ sleepRequest: { ...sleepRequest, recalled: [...sleepRequest.recalled, lease] } });
      this.#feed(bundle, { on: 'recall', graceMs: sleepRequest.graceMs, force: true }, nowMs);
    }
  }

  /** Our bundles that are lent or moving. */
  #lent(): (readonly [BundleId, OwnerState])[] {
    return Object.entries(this.state.bundles).flatMap(([bundle, { role, state }]) =>
      role === 'owner' && !NOT_LENT.has(state.name)
        ? [[bundle as BundleId, state as OwnerState] as const]
        : [],
    );
  }

  /** Runs a bundle's table on an input and turns its effects into orders. */
  #feed(bundle: BundleId, input: OwnerInput | BorrowerInput, nowMs: number): void {
    const config = this.#configs.get(bundle);
    const entry = this.state.bundles[bundle];
    if (!config || !entry) return;
    const table = entry.role === 'owner' ? OWNER_TABLE : this.#borrowerTable;
    const step = table.run(entry.state as never, input as never, config);
    const { state, effects, row, levels, ignored } = step;
    const after = { role: entry.role, state } as AgentBundle;
    if (state !== entry.state) this.#set({ bundles: { ...this.state.bundles, [bundle]: after } });
    if (after.role === 'owner') this.#noteLent(bundle, after.state, nowMs);
    const question = this.state.questions[bundle] ?? NO_QUESTION;
    this.#setQuestion(bundle, stepped(question, input.on, effects));
    this.#set({ times: timedIn(this.state.times, bundle, input, effects, nowMs) });
    const rows = [row, ...levels];
    this.#do({
      do: 'step',
      bundle,
      on: input.on,
      before: entry.state.name,
      after: state.name,
      rows,
      ignored,
    });
    for (const effect of effects) this.#perform(bundle, input.on, effect as AgentEffect<never>, nowMs);
  }

  #noteLent(bundle: BundleId, state: OwnerState, nowMs: number): void {
    const before = this.state.lentSince[bundle];
    const since = lentSince(before, state, nowMs);
    if (since && since !== before) this.#set({ lentSince: { ...this.state.lentSince, [bundle]: since } });
  }

  #perform(bundle: BundleId, on: string, effect: AgentEffect<never>, nowMs: number): void {
    switch (effect.do) {
      case 'send':
        this.#do({ ...effect, message: this.#timed(bundle, effect.message, nowMs) });
        if (effect.message.kind === 'borrowDeclined')
          this.#do({ do: 'declined', to: effect.to, message: effect.message });
        return;
      case 'query':
        return this.#query(bundle, on);
      case 'request':
        return this.#request(bundle, effect);
      case 'renew':
        return this.#renew(bundle, effect);
      case 'decide':
        return this.#decide(bundle, effect, nowMs);
      case 'persist':
        return this.#do({ do: 'note', bundle, attempt: effect.attempt, epoch: effect.epoch });
      case 'hook':
        return this.#do({ do: 'hook', bundle, hook: effect.hook, epoch: effect.epoch });
      case 'inspect':
        return this.#do({ do: 'inspect', bundle });
      case 'timer': {
        const { timer, sooner } = effect;
        const isRetry = on === 'timer:query' && timer === 'query';
        const ms = isRetry ? againMs(this.state.questions[bundle] ?? NO_QUESTION) : effect.ms;
        return this.#do({ do: 'timer', bundle, timer, ms, sooner });
      }
      case 'stopTimer':
        return this.#do({ do: 'stopTimer', bundle, timer: effect.timer });
      case 'notify':
        return this.#do({ do: 'notice', bundle, notice: effect.notice });
    }
  }

  /** Adds to a message what only clocks know: step times, and what is left of the present lease. For people. */
  #timed(bundle: BundleId, message: Message, nowMs: number): Message {
    if (message.kind !== 'queued') return withSteps(message, this.state.times[bundle]);
    const leftMs = Math.max(0, Math.round((this.state.leaseEnds[bundle] ?? 0) - nowMs));
    return { ...message, expectedMs: Math.min(message.expectedMs + leftMs, UINT32_MAX) };
  }

  #query(bundle: BundleId, on: string): void {
    const question = asked(this.state.questions[bundle] ?? NO_QUESTION, on, this.state.asked + 1);
    this.#set({ asked: Math.max(this.state.asked, question.open) });
    this.#setQuestion(bundle, question);
    const { epoch } = this.state.bundles[bundle]!.state;
    const challenge = this.#challenge(question.open);
    this.#do({ do: 'send', to: HOST, message: { kind: 'queryState', bundle, epoch, challenge } });
  }

  #request(bundle: BundleId, effect: Extract<AgentEffect<never>, { do: 'request' }>): void {
    const { owner } = this.#configs.get(bundle)!.definition;
    const { evidence: _, mayQueue: _mayQueue, ...terms } = effect.terms;
    const claims = claimsOf(this.#configs.get(bundle)!, tokenOf(this.state.watch), effect, 'borrow', 0);
    this.#do({ do: 'request', bundle, owner, claims, terms, offerId: effect.offerId });
  }

  #renew(bundle: BundleId, effect: Extract<AgentEffect<never>, { do: 'renew' }>): void {
    const { owner } = this.#configs.get(bundle)!.definition;
    const { renewal } = effect;
    const claims = claimsOf(this.#configs.get(bundle)!, tokenOf(this.state.watch), effect, 'renew', renewal);
    this.#do({ do: 'requestRenewal', bundle, owner, claims, purpose: effect.terms.purpose });
  }

  #decide(bundle: BundleId, effect: Extract<AgentEffect<never>, { do: 'decide' }>, nowMs: number): void {
    const { do: _, request, isRenewal, ...asked } = effect;
    const { sinceMs = nowMs } = this.state.lentSince[bundle] ?? {};
    const question = { bundle, ...asked, ...(isRenewal ? { heldMs: Math.round(nowMs - sinceMs) } : {}) };
    if (!this.state.isAsleep) return this.#do({ do: 'decide', request, question });
    const detail = 'the owner’s system is about to sleep';
    const decision = { allow: false, reason: 'policy', retryAfterMs: BUSY_RETRY_MS, detail } as const;
    this.#later.push(() => this.#feed(bundle, { on: 'policyDecided', request, decision }, nowMs));
  }

  #challenge(number: number): Uint8Array {
    return challengeOf(this.#setup.challenges, number);
  }

  #setQuestion(bundle: BundleId, question: Question): void {
    if (this.state.questions[bundle] === question) return;
    this.#set({ questions: { ...this.state.questions, [bundle]: question } });
  }

  #do(order: AgentOrder): void {
    this.#orders.push(order);
  }

  #set(part: Partial<AgentEndpointState>): void {
    this.state = { ...this.state, ...part };
  }
}

/** Clips the text of a hook result to what a message to another VM may carry. */
function clipped(result: HookResult): HookResult {
  if (result.ok || result.where === undefined) return result;
  return { ...result, where: clipText(result.where, TEXT_BYTES_MAX) };
}
