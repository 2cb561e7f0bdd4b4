/**
 * An Enforcer behind a socket that speaks JSON lines: the simulated machine as a process of its own, and any
 * platform that offers the same (docs/PLATFORMS.md, "Enforcer socket").
 *
 * Requests carry an id; events carry `event`. Faults are pushed and kept here, bounded. When the connection ends
 * the platform counts as lost: every open call fails.
 */

import { type Json, Lines } from '../control/lines.ts';
import type { StreamNetwork } from '../ports.ts';
import type { BundleId, VmId } from '../protocol/ids.ts';
import type {
  Enforcer,
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
  FaultRecord,
} from './port.ts';

/** Fault records kept until they are fetched; more are dropped, and the next one says so. */
const FAULTS_MAX = 1_024;

/** Connects and learns what the platform is. `done` gets the enforcer or an error, once. */
export function connectRemoteEnforcer(
  network: StreamNetwork,
  address: string,
  done: (result: Enforcer | Error) => void,
): void {
  network.connect(address, (stream) => {
    if (stream instanceof Error) return done(new Error(`enforcer ${stream.message}`));
    let enforcer: RemoteEnforcer | undefined;
    const lines = new Lines(stream, {
      onLine: (line) => {
        if (enforcer) return enforcer.take(line);
        if (line['id'] !== 0) return;
        enforcer = new RemoteEnforcer(lines, line);
        done(enforcer);
      },
      onBad: () => {},
      onClose: (reason) => {
        if (enforcer) enforcer.lost(reason);
        else done(new Error(`enforcer ${address}: ${reason}`));
      },
    });
    lines.send({ id: 0, do: 'hello' });
  });
}

class RemoteEnforcer implements Enforcer {
  readonly #lines: Lines;
  readonly #description: EnforcerDescription;
  readonly #machineBoot: string;
  readonly #running: readonly VmId[];
  readonly #open = new Map<number, (answers: readonly EnforcerAnswer[]) => void>();
  #nextId = 1;
  #faults: FaultRecord[] = [];
  #dropped = false;
  #listener: ((event: EnforcerEvent) => void) | undefined;
  #error: string | undefined;

  constructor(lines: Lines, hello: Json) {
    this.#lines = lines;
    this.#description = hello['description'] as EnforcerDescription;
    this.#machineBoot = String(hello['machineBoot']);
    this.#running = hello['running'] as VmId[];
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
    const id = this.#nextId++;
    this.#open.set(id, done);
    this.#lines.send({ id, do: 'run', bundle, calls });
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
    // Starts and exits that nobody acknowledged are told now, not before somebody listens.
    this.#lines.send({ do: 'listen' });
  }

  close(): void {
    this.#listener = undefined;
    this.#lines.close();
  }

  /** Takes in a line of the platform. */
  take(line: Json): void {
    const { event, id } = line;
    if (Array.isArray(line['faults'])) this.#keep(line['faults'] as FaultRecord[]);
    if (event === 'faultsPending') this.#listener?.({ kind: 'faultsPending' });
    if (event === 'vmStarting' || event === 'vmExited')
      this.#listener?.({ kind: event, vm: line['vm'] as VmId });
    if (typeof id !== 'number') return;
    const done = this.#open.get(id);
    this.#open.delete(id);
    done?.(
      Array.isArray(line['answers'])
        ? line['answers'].map(decodeAnswer)
        : [{ ok: false, error: 'no answers' }],
    );
  }

  /** The platform is gone. */
  lost(reason: string): void {
    this.#error = `the connection to the enforcer ended: ${reason}`;
    for (const done of this.#open.values()) done([{ ok: false, error: this.#error }]);
    this.#open.clear();
    this.#listener?.({ kind: 'lost', error: this.#error });
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

function decodeAnswer(value: unknown): EnforcerAnswer {
  const answer = value as Json;
  if (answer['ok'] !== true)
    return { ok: false, error: String(answer['error'] ?? 'failed without a reason') };
  const { before, after } = answer;
  return {
    ...(answer as unknown as Extract<EnforcerAnswer, { ok: true }>),
    ...(typeof before === 'string' ? { before: unhex(before) } : {}),
    ...(typeof after === 'string' ? { after: unhex(after) } : {}),
  };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function unhex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (pair) => Number.parseInt(pair, 16));
}
