/**
 * An Enforcer behind a socket with JSON lines: the simulated machine as a process, `baton-kvm`, and any platform with
 * the same protocol (docs/PLATFORMS.md, "The enforcer socket").
 *
 * Requests carry an id; events carry `event`. Faults are pushed and stored here, bounded. When the connection ends,
 * the platform is lost and the host ends too: its next run reconnects and reads the machine back. So no message is
 * repeated here; the platform repeats unacknowledged events on the next connection.
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

/** Most fault records until they are fetched; more are dropped, and the next one reports it. */
const FAULTS_MAX = 1_024;

/** Longest error text of a lost platform, in characters. */
const ERROR_CHARS_MAX = 200;

/**
 * Time limit of connecting and of `hello`, in ms. A helper first finishes the orders of a former host (enforceMs, 3
 * s). One that has not answered by then hangs, and the supervisor restarts the host.
 */
export const HELLO_MS = 5_000;

/** Ends a line: on a channel that outlives the host, a half-sent line must not swallow `hello`. */
const LINE_END = Uint8Array.of(0x0a);

/**
 * Connects and reads the platform's description. Calls `done` once, with the enforcer or an error, within the limit.
 */
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
        // Earlier events may be part of the first answer.
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

/** A run ordered by the host. */
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
  /** Unanswered runs: one per bundle. */
  readonly #open = new Map<number, Order>();
  /** By bundle: the run that waits for the previous answer; a newer one replaces it. */
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
    // Unacknowledged starts and exits are reported from here on, not before there is a listener.
    this.#lines.send({ do: 'listen' });
  }

  close(): void {
    this.#listener = undefined;
    this.#lines.close();
  }

  /** Processes a line of the platform. An invalid one is ignored, or fails the call that it answers. */
  take(line: Json): void {
    // On a channel that outlives it, such as a virtual serial port, the platform was restarted: its VMs are gone.
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
    // First, so that no open call counts as failed by the machine, which would be recorded as a quarantine.
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

/** Bytes are sent as hexadecimal text. */
export function encodeAnswer(answer: EnforcerAnswer): Json {
  if (!answer.ok) return answer;
  const { before, after, ...rest } = answer;
  return { ...rest, ...(before ? { before: hex(before) } : {}), ...(after ? { after: hex(after) } : {}) };
}

/** Returns an event line in the form of the command contract. */
function eventOf(line: Json): Json {
  return { kind: line['event'], vm: line['vm'] };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Opens the helper at `address`, for kinds with a helper on an enforcer socket. */
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
