/**
 * An Enforcer behind a socket that speaks JSON lines: the simulated machine as a process of its own, `baton-kvm`, and
 * any platform that offers the same (docs/PLATFORMS.md, "The enforcer socket").
 *
 * Requests carry an id; events carry `event`. Faults are pushed and kept here, bounded. When the connection ends
 * the platform counts as lost, and the host ends with it: its next run connects anew and reads the machine back. So
 * nothing is said twice here; what a platform had not heard it tells again to the next connection.
 */

import { type Json, Lines } from '../../common/lines.ts';
import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type {
  Enforcer,
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
  FaultRecord,
} from '../../ports/enforcer.ts';
import type { Clock, StreamNetwork } from '../../ports/world.ts';
import { EarlyEvents, OVERTAKEN } from './early-events.ts';
import type { EnforcerParts, EnforcerSocket } from './kind.ts';
import { type Hello, parseAnswers, parseExtras, parseHello } from './kinds/command/contract.ts';

/** Fault records kept until they are fetched; more are dropped, and the next one says so. */
const FAULTS_MAX = 1_024;

/** Characters kept of what a platform says when it is lost. */
const ERROR_CHARS_MAX = 200;

/**
 * Time to connect and be answered `hello`, in ms. A helper first carries out what a former host ordered (enforceMs, 3
 * s); one that has not answered after this hangs, and a supervisor that starts the host again can tell so.
 */
export const HELLO_MS = 5_000;

/** Ends a line: what a former host began and did not end, on a channel that outlived it, must not swallow `hello`. */
const LINE_END = Uint8Array.of(0x0a);

/** Connects and learns what the platform is. `done` gets the enforcer or an error, once and in time. */
export function connectRemoteEnforcer(
  network: Pick<StreamNetwork, 'connect'>,
  address: string,
  clock: Clock,
  done: (result: Enforcer | Error) => void,
): void {
  let lines: Lines | undefined;
  let isOver = false;
  const finish = (result: Enforcer | string): void => {
    if (isOver) return;
    isOver = true;
    stopTimer();
    if (typeof result === 'string') lines?.close();
    done(typeof result === 'string' ? new Error(`enforcer ${result}`) : result);
  };
  const stopTimer = clock.after(HELLO_MS, () =>
    finish(`${address}: ${lines ? 'hello was not answered' : 'not connected'} within ${HELLO_MS} ms`),
  );
  network.connect(address, (stream) => {
    if (stream instanceof Error) return finish(stream.message);
    if (isOver) return stream.close();
    let enforcer: RemoteEnforcer | undefined;
    const ours = new Lines(stream, {
      onLine: (line) => {
        if (enforcer) return enforcer.take(line);
        if (line['id'] !== 0 || isOver) return;
        const hello = parseHello(JSON.stringify(line));
        if (!hello.ok) return finish(`${address}: ${hello.error}`);
        enforcer = new RemoteEnforcer(ours, hello.value);
        // What happened before anybody asked may ride on the first answer.
        enforcer.take({ ...line, id: null });
        finish(enforcer);
      },
      onBad: () => {},
      onClose: (reason) => {
        if (enforcer) enforcer.lost(reason);
        else finish(`${address}: ${reason}`);
      },
    });
    lines = ours;
    stream.write(LINE_END);
    ours.send({ id: 0, do: 'hello' });
  });
}

/** A run that the host ordered. */
interface Order {
  readonly bundle: BundleId;
  readonly calls: readonly EnforcerCall[];
  readonly done: (answers: readonly EnforcerAnswer[]) => void;
}

class RemoteEnforcer implements Enforcer {
  readonly #lines: Lines;
  readonly #description: EnforcerDescription;
  readonly #machineBoot: string;
  readonly #running: readonly VmId[];
  /** Runs that are not answered yet: one of a bundle. */
  readonly #open = new Map<number, Order>();
  /** The run of a bundle that waits until the one before it is answered; a newer one takes its place. */
  readonly #waiting = new Map<BundleId, Order>();
  #nextId = 1;
  #faults: FaultRecord[] = [];
  #dropped = false;
  #listener: ((event: EnforcerEvent) => void) | undefined;
  readonly #early = new EarlyEvents();
  #error: string | undefined;

  constructor(lines: Lines, hello: Hello) {
    this.#lines = lines;
    this.#description = hello.description;
    this.#machineBoot = hello.machineBoot;
    this.#running = hello.running;
  }

  describe(): EnforcerDescription {
    return this.#description;
  }

  machineBoot(): string {
    return this.#machineBoot;
  }

  running(): readonly VmId[] {
    return this.#running;
  }

  run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    if (this.#error !== undefined) return done([{ ok: false, error: this.#error }]);
    const order = { bundle, calls, done };
    if (![...this.#open.values()].some((open) => open.bundle === bundle)) return this.#send(order);
    const before = this.#waiting.get(bundle);
    this.#waiting.set(bundle, order);
    before?.done([{ ok: false, error: OVERTAKEN }]);
  }

  #send(order: Order): void {
    const id = this.#nextId++;
    this.#open.set(id, order);
    this.#lines.send({ id, do: 'run', bundle: order.bundle, calls: order.calls });
  }

  faults(): readonly FaultRecord[] {
    const faults = this.#faults;
    this.#faults = [];
    return faults;
  }

  acknowledgeStart(vm: VmId): void {
    this.#lines.send({ do: 'acknowledgeStart', vm });
  }

  acknowledgeExit(vm: VmId): void {
    this.#lines.send({ do: 'acknowledgeExit', vm });
  }

  onEvent(listener: (event: EnforcerEvent) => void): void {
    this.#listener = listener;
    for (const event of this.#early.take()) listener(event);
    // Starts and exits that nobody acknowledged are told now, not before somebody listens.
    this.#lines.send({ do: 'listen' });
  }

  close(): void {
    this.#listener = undefined;
    this.#lines.close();
  }

  /** Takes in a line of the platform; what does not parse has no effect, or fails the call it answers. */
  take(line: Json): void {
    // Behind a channel that outlives it, as a virtual serial port, the platform was started anew: its VMs are gone.
    if (line['event'] === 'lost') return this.lost(String(line['error']).slice(0, ERROR_CHARS_MAX));
    const text = JSON.stringify(line);
    const isEvent = line['event'] !== undefined && line['event'] !== 'faultsPending';
    const { faults, events } = parseExtras(
      isEvent ? JSON.stringify({ ...line, events: [eventOf(line)] }) : text,
    );
    this.#keep(faults);
    if (line['event'] === 'faultsPending') this.#tell({ kind: 'faultsPending' });
    for (const event of events) this.#tell(event);
    const { id } = line;
    const open = typeof id === 'number' ? this.#open.get(id) : undefined;
    if (!open) return;
    this.#open.delete(id as number);
    const next = this.#waiting.get(open.bundle);
    this.#waiting.delete(open.bundle);
    if (next) this.#send(next);
    open.done(parseAnswers(text, open.calls));
  }

  #tell(event: EnforcerEvent): void {
    if (this.#listener) this.#listener(event);
    else this.#early.add(event);
  }

  /** The platform is gone. */
  lost(reason: string): void {
    this.#error = `the enforcer is lost: ${reason}`;
    // First, so that no open call counts as failed by the machine: that would be written down as a quarantine.
    this.#tell({ kind: 'lost', error: this.#error });
    const orders = [...this.#open.values(), ...this.#waiting.values()];
    this.#open.clear();
    this.#waiting.clear();
    for (const { done } of orders) done([{ ok: false, error: this.#error }]);
  }

  #keep(faults: readonly FaultRecord[]): void {
    for (const fault of faults) {
      if (this.#faults.length >= FAULTS_MAX) {
        this.#dropped = true;
        continue;
      }
      this.#faults.push(this.#dropped ? { ...fault, lost: true } : fault);
      this.#dropped = false;
    }
  }
}

/** Bytes travel as hexadecimal text. */
export function encodeAnswer(answer: EnforcerAnswer): Json {
  if (!answer.ok) return answer;
  const { before, after, ...rest } = answer;
  return { ...rest, ...(before ? { before: hex(before) } : {}), ...(after ? { after: hex(after) } : {}) };
}

/** An event line in the form of the command contract. */
function eventOf(line: Json): Json {
  return { kind: line['event'], vm: line['vm'] };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Opens the helper at `address`, for kinds that are a helper on an enforcer socket. */
export function openRemote(
  { address }: { readonly address: string },
  parts: EnforcerParts,
): Promise<Enforcer> {
  return new Promise((resolve, reject) => {
    connectRemoteEnforcer(parts.network, address, parts.clock, (result) =>
      result instanceof Error ? reject(result) : resolve(result),
    );
  });
}

/** The socket of such a helper. */
export function remoteSocket({ address }: { readonly address: string }): EnforcerSocket[] {
  return [{ path: ['address'], address, listens: false }];
}
