/**
 * The Enforcer that asks an executable: one JSON line in, one JSON line out, one request at a time.
 *
 * How a line travels (a process per line, or one that stays) is `runLine`'s affair, and so is its deadline: it
 * calls back exactly once, with an error when there is no answer. The contract of the lines is stated and
 * checked in command-contract.ts. Nothing an executable prints can throw here.
 */

import type { Log } from '../ports.ts';
import { type BundleDefinition, type Resource, resourcesOf, viewOf } from '../protocol/bundle.ts';
import type { BundleId, VmId } from '../protocol/ids.ts';
import {
  type Extras,
  type Hello,
  parseAnswers,
  parseExtras,
  parseHello,
  whyNotTaken,
} from './command-contract.ts';
import { FaultLog } from './fault-log.ts';
import type {
  Enforcer,
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
  FaultRecord,
} from './port.ts';

/** The answer to one line, or why there is none. */
export type LineAnswer =
  | { readonly ok: true; readonly line: string }
  | { readonly ok: false; readonly error: string };

/** Sends one line to the executable; calls `done` exactly once. */
export type RunLine = (line: string, done: (answer: LineAnswer) => void) => void;

/** Asks the executable who it is; hands over the enforcer, or says why there is none. */
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
    if (hello.ok) done({ ok: true, enforcer: new CommandEnforcer(bundles, runLine, hello.value, log) });
    else done({ ok: false, error: `enforcer command: ${hello.error}` });
  });
}

export class CommandEnforcer implements Enforcer {
  readonly #bundles: readonly BundleDefinition[];
  readonly #runLine: RunLine;
  readonly #hello: Hello;
  readonly #faults = new FaultLog();
  /** Requests that wait for the one under way; as many as the coordinator has bundles, and a few notices. */
  readonly #queue: { readonly line: string; readonly done: (answer: LineAnswer) => void }[] = [];
  #running: readonly VmId[];
  #isBusy = false;
  #isClosed = false;
  #listener: ((event: EnforcerEvent) => void) | null = null;
  /** Events that came before there was a listener. */
  #early: EnforcerEvent[] = [];
  readonly #log: Log;
  /** What a VM may do and its executable has not taken in; of a VM one thing at a time. */
  readonly #unheard = new Map<VmId, Acknowledgement>();
  #polls = 0;

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
    this.#ask({ bundle, calls: detailed }, (answer) => {
      if (!answer.ok) done([{ ok: false, error: answer.error }]);
      else done(parseAnswers(answer.line, calls));
    });
  }

  /**
   * Asks for events and faults when there is nothing else to ask, and repeats what was not taken in. The host calls
   * this now and then.
   */
  poll(done: () => void): void {
    if (this.#isClosed) return;
    this.#polls += 1;
    if (this.#polls % POLLS_PER_REPEAT === 0) {
      for (const [vm, what] of this.#unheard) this.#acknowledge(vm, what);
    }
    this.#ask({ poll: 1 }, () => done());
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
    const early = this.#early;
    this.#early = [];
    for (const event of early) listener(event);
  }

  close(): void {
    this.#isClosed = true;
    this.#listener = null;
    for (const { done } of this.#queue.splice(0)) done({ ok: false, error: 'the enforcer was closed' });
  }

  /** The platform waits for this, a VM's start or the memory of one that is gone: it is said until it is heard. */
  #acknowledge(vm: VmId, what: Acknowledgement): void {
    const isFirst = this.#unheard.get(vm) !== what;
    this.#unheard.set(vm, what);
    this.#ask({ [what]: vm }, (answer) => {
      // An event may have overtaken it.
      if (this.#unheard.get(vm) !== what) return;
      const error = answer.ok ? whyNotTaken(answer.line) : answer.error;
      if (error === undefined) this.#unheard.delete(vm);
      if (error === undefined && isFirst) return;
      if (error === undefined) this.#log('info', `${what} was taken in`, { vm });
      else if (isFirst) this.#log('error', `${what} was not taken in, and is repeated: ${error}`, { vm });
    });
  }

  #ask(request: unknown, done: (answer: LineAnswer) => void): void {
    if (this.#isClosed) done({ ok: false, error: 'the enforcer was closed' });
    else this.#queue.push({ line: JSON.stringify(request), done });
    this.#next();
  }

  #next(): void {
    if (this.#isBusy) return;
    const request = this.#queue.shift();
    if (request === undefined) return;
    this.#isBusy = true;
    this.#runLine(request.line, (answer) => {
      this.#isBusy = false;
      const extras: Extras = answer.ok ? parseExtras(answer.line) : { faults: [], events: [] };
      if (extras.running !== undefined) this.#running = extras.running;
      request.done(answer);
      for (const fault of extras.faults) this.#faults.add(fault);
      if (extras.faults.length > 0) this.#tell({ kind: 'faultsPending' });
      for (const event of extras.events) this.#tell(event);
      this.#next();
    });
  }

  #tell(event: EnforcerEvent): void {
    if (this.#isClosed) return;
    // A VM that starts or ends waits for nothing of its state before.
    if (event.kind === 'vmStarting' || event.kind === 'vmExited') this.#unheard.delete(event.vm);
    if (this.#listener !== null) this.#listener(event);
    else if (this.#early.length < EARLY_EVENTS_MAX) this.#early.push(event);
  }
}

/** A call with everything a stateless script needs: numbers of the resource, and how the VM sees it. */
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
  return resource.smmu === undefined ? {} : { smmu: resource.smmu };
}

/** What the platform waits for. */
type Acknowledgement = 'acknowledgeStart' | 'acknowledgeExit';

/** Polls from one repetition to the next: about a second, since an executable that hangs holds up all others. */
const POLLS_PER_REPEAT = 5;
/** Events kept for a listener that is not there yet: starts of a handful of VMs. */
const EARLY_EVENTS_MAX = 32;
