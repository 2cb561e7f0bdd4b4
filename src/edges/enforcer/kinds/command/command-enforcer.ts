/**
 * The Enforcer that runs an executable: one JSON line in, one JSON line out, one request at a time.
 *
 * `runLine` transports a line (a process per line, or a permanent one) and enforces the deadline: it calls back
 * exactly once, with an error when there is no answer. contract.ts defines and checks the lines. No output of an
 * executable can cause an exception here.
 */

import {
  type BundleDefinition,
  type Resource,
  resourcesOf,
  viewOf,
} from '../../../../core/protocol/bundle.ts';
import type { BundleId, VmId } from '../../../../core/protocol/ids.ts';
import type {
  Enforcer,
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
  FaultRecord,
} from '../../../../ports/enforcer.ts';
import type { Log } from '../../../../ports/world.ts';
import { EarlyEvents, OVERTAKEN } from '../../early-events.ts';
import { FaultLog } from '../../fault-log.ts';
import { type Hello, parseAnswers, parseExtras, parseHello, whyNotTaken } from './contract.ts';

/** The answer to one line, or the error. */
export type LineAnswer =
  | { readonly ok: true; readonly line: string }
  | { readonly ok: false; readonly error: string };

/** Sends one line to the executable; calls `done` exactly once. */
export type RunLine = (line: string, done: (answer: LineAnswer) => void) => void;

/** Asks the executable for its description; passes on the enforcer, or the error. */
export function openCommandEnforcer(
  bundles: readonly BundleDefinition[],
  runLine: RunLine,
  done: (
    result:
      | { readonly ok: true; readonly enforcer: CommandEnforcer }
      | { readonly ok: false; readonly error: string },
  ) => void,
  log?: Log,
): void {
  runLine(JSON.stringify({ hello: 1 }), (answer) => {
    const hello = answer.ok ? parseHello(answer.line) : answer;
    if (!hello.ok) return done({ ok: false, error: `enforcer command: ${hello.error}` });
    const enforcer = new CommandEnforcer(bundles, runLine, hello.value, log);
    // Earlier events may be part of the first answer.
    if (answer.ok) enforcer.takeExtras(answer.line);
    done({ ok: true, enforcer });
  });
}

export class CommandEnforcer implements Enforcer {
  readonly #bundles: readonly BundleDefinition[];
  readonly #runLine: RunLine;
  readonly #hello: Hello;
  readonly #faults = new FaultLog();
  /**
   * Waiting requests by subject: one per bundle, one per VM, one poll. A newer one replaces the waiting one, so that
   * a hung executable does not fill a queue.
   */
  readonly #queue = new Map<string, { readonly line: string; readonly done: (answer: LineAnswer) => void }>();
  #running: readonly VmId[];
  #isBusy = false;
  /** Whether a contract violation was logged. It is logged once. */
  #isOddTold = false;
  #isClosed = false;
  #listener: ((event: EnforcerEvent) => void) | null = null;
  /** Events before there was a listener. */
  readonly #early = new EarlyEvents();
  readonly #log: Log;
  /** Acknowledgements that the executable has not confirmed; one per VM. */
  readonly #unheard = new Map<VmId, Unheard>();

  constructor(bundles: readonly BundleDefinition[], runLine: RunLine, hello: Hello, log: Log = () => {}) {
    this.#log = log;
    this.#bundles = bundles;
    this.#runLine = runLine;
    this.#hello = hello;
    this.#running = hello.running;
  }

  describe(): EnforcerDescription {
    return this.#hello.description;
  }

  machineBoot(): string {
    return this.#hello.machineBoot;
  }

  running(): readonly VmId[] {
    return this.#running;
  }

  run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    const definition = this.#bundles.find(({ id }) => id === bundle);
    if (definition === undefined) {
      done([{ ok: false, error: `unknown bundle ${bundle}` }]);
      return;
    }
    const detailed = calls.map((call) => detailsOf(definition, call));
    this.#ask(`run ${bundle}`, { bundle, calls: detailed }, (answer) => {
      if (!answer.ok) done([{ ok: false, error: answer.error }]);
      else done(parseAnswers(answer.line, calls));
    });
  }

  /**
   * Polls for events and faults when nothing else is queued, and repeats unconfirmed acknowledgements. The host calls
   * this periodically.
   */
  poll(done: () => void): void {
    if (this.#isClosed) return;
    for (const [vm, unheard] of this.#unheard) {
      unheard.pollsLeft -= 1;
      if (unheard.pollsLeft <= 0) this.#repeat(vm, unheard);
    }
    this.#ask('poll', { poll: 1 }, () => done());
  }

  faults(): readonly FaultRecord[] {
    return this.#faults.take();
  }

  acknowledgeStart(vm: VmId): void {
    this.#acknowledge(vm, 'acknowledgeStart');
  }

  acknowledgeExit(vm: VmId): void {
    this.#acknowledge(vm, 'acknowledgeExit');
  }

  onEvent(listener: (event: EnforcerEvent) => void): void {
    this.#listener = listener;
    for (const event of this.#early.take()) listener(event);
  }

  close(): void {
    this.#isClosed = true;
    this.#listener = null;
    const waiting = [...this.#queue.values()];
    this.#queue.clear();
    for (const { done } of waiting) done({ ok: false, error: 'the enforcer was closed' });
  }

  /**
   * The platform waits for an acknowledgement (a VM's start, or memory to be freed), so it is repeated until
   * confirmed.
   */
  #acknowledge(vm: VmId, what: Acknowledgement): void {
    const known = this.#unheard.get(vm);
    const unheard =
      known?.what === what ? known : { what, pollsLeft: 0, waitPolls: POLLS_PER_REPEAT, isTold: false };
    this.#unheard.set(vm, unheard);
    this.#repeat(vm, unheard);
  }

  #repeat(vm: VmId, unheard: Unheard): void {
    const { what } = unheard;
    unheard.pollsLeft = unheard.waitPolls;
    unheard.waitPolls = Math.min(2 * unheard.waitPolls, POLLS_PER_REPEAT_MAX);
    this.#ask(`acknowledge ${vm}`, { [what]: vm }, (answer) => {
      // An event may have superseded it.
      if (this.#unheard.get(vm) !== unheard) return;
      const error = answer.ok ? whyNotTaken(answer.line) : answer.error;
      if (error === undefined) {
        this.#unheard.delete(vm);
        if (unheard.isTold) this.#log('info', `${what} is confirmed`, { vm });
      } else if (!unheard.isTold) {
        unheard.isTold = true;
        this.#log('error', `${what} is not confirmed, and is repeated: ${error}`, { vm });
      }
    });
  }

  /** `about`: the subject of the request. A waiting request with the same subject is replaced. */
  #ask(about: string, request: unknown, done: (answer: LineAnswer) => void): void {
    if (this.#isClosed) return done({ ok: false, error: 'the enforcer was closed' });
    const before = this.#queue.get(about);
    this.#queue.set(about, { line: JSON.stringify(request), done });
    before?.done({ ok: false, error: OVERTAKEN });
    this.#next();
  }

  #next(): void {
    if (this.#isBusy) return;
    // Orders come first; acknowledgements are repeated anyway.
    const waiting = [...this.#queue.keys()];
    const about = waiting.find((key) => key.startsWith('run ')) ?? waiting[0];
    if (about === undefined) return;
    const request = this.#queue.get(about)!;
    this.#queue.delete(about);
    this.#isBusy = true;
    this.#runLine(request.line, (answer) => {
      this.#isBusy = false;
      if (answer.ok) this.#takeRunning(answer.line);
      request.done(answer);
      if (answer.ok) this.takeExtras(answer.line);
      this.#next();
    });
  }

  #takeRunning(line: string): void {
    const { running } = parseExtras(line);
    if (running !== undefined) this.#running = running;
  }

  /** Processes events and faults in an answer. */
  takeExtras(line: string): void {
    const { faults, events, refused } = parseExtras(line);
    for (const fault of faults) this.#faults.add(fault);
    if (faults.length > 0) this.#tell({ kind: 'faultsPending' });
    for (const event of events) this.#tell(event);
    if (refused === undefined || this.#isOddTold) return;
    this.#isOddTold = true;
    this.#log('warn', 'the executable violates its contract: invalid parts of its answer are ignored', {
      refused,
    });
  }

  #tell(event: EnforcerEvent): void {
    if (this.#isClosed) return;
    // A VM that starts or ends makes older acknowledgements void.
    if (event.kind === 'vmStarting' || event.kind === 'vmExited') this.#unheard.delete(event.vm);
    if (this.#listener !== null) this.#listener(event);
    else this.#early.add(event);
  }
}

/** Returns a call with all data for a stateless script: the numbers of the resource, and those that the VM sees. */
function detailsOf(bundle: BundleDefinition, call: EnforcerCall): object {
  if (!('resource' in call)) return call;
  const resource = resourcesOf(bundle).find(({ id }) => id === call.resource);
  if (resource === undefined) return call;
  const details = { ...call, kind: resource.kind, physical: resource.physical, ...kindDetails(resource) };
  return call.op === 'grant' ? { ...details, view: viewOf(resource, call.vm) } : details;
}

function kindDetails(resource: Resource): object {
  if (resource.kind === 'mmio') return { bytes: resource.bytes };
  if (resource.kind === 'interrupt') return { trigger: resource.trigger };
  const { mask, smmu } = resource;
  return { ...(mask ? { mask } : {}), ...(smmu === undefined ? {} : { smmu }) };
}

/** What the platform waits for. */
type Acknowledgement = 'acknowledgeStart' | 'acknowledgeExit';

/** An unconfirmed acknowledgement. */
interface Unheard {
  readonly what: Acknowledgement;
  /** Polls until the next repetition, and the interval after it. */
  pollsLeft: number;
  waitPolls: number;
  /** Whether the failure was logged. */
  isTold: boolean;
}

/** First interval between repetitions, in polls: about a second. It doubles each time, up to a minute. */
const POLLS_PER_REPEAT = 5;
const POLLS_PER_REPEAT_MAX = 300;
