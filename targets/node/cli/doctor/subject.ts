/**
 * A configuration that `baton doctor` looks at, with what is observed once for several checks: the answer of its
 * daemon, and what its broker does.
 */

import { HungError } from '../../../../src/cli/patience.ts';
import type { ControlClient } from '../../../../src/cli/world.ts';
import type { Json } from '../../../../src/common/lines.ts';
import type { Daemon } from '../../../../src/config/compare.ts';
import { ConfigError } from '../../../../src/config/read.ts';
import { DEFAULT_MACHINE, HOST } from '../../../../src/core/protocol/ids.ts';
import { connectControl } from '../control-client.ts';
import { type Checked, checked } from '../verbs/check-config.ts';
import { type BrokerSeen, probeBroker } from './broker-look.ts';
import { type Machine, within } from './machine.ts';

/** What the command line allows. */
export interface Permissions {
  /** A connection to the address that an agent's configuration names. */
  readonly dial: boolean;
  /** The enforcer's conformance suite, which moves a bundle. */
  readonly enforcer: boolean;
  /** Attributes are written, and put back. */
  readonly tries: boolean;
  /** The least evidence that borrowers ask for. */
  readonly minEvidence: string;
}

/** Longest wait for an answer of a daemon, in ms: it asks its peers for half a second at most. */
const ANSWER_MS = 5_000;

/** Why no daemon answers. `hangs`: one takes connections and says nothing. */
export interface NoAnswer {
  readonly why: string;
  readonly hangs: boolean;
}

/** One configuration. */
export class Subject {
  readonly daemon: Daemon;
  readonly complaints: readonly string[];
  readonly machine: Machine;
  readonly may: Permissions;
  readonly #once = new Map<string, Promise<unknown>>();

  constructor(daemon: Daemon, complaints: readonly string[], machine: Machine, may: Permissions) {
    this.daemon = daemon;
    this.complaints = complaints;
    this.machine = machine;
    this.may = may;
  }

  get party(): string {
    return this.daemon.party;
  }

  get isHost(): boolean {
    return this.daemon.party === HOST;
  }

  get config() {
    return this.daemon.agent ?? this.daemon.host!;
  }

  /** Name of the program. */
  get program(): 'baton-agent' | 'baton-host' {
    return this.isHost ? 'baton-host' : 'baton-agent';
  }

  /** Path of the control socket. */
  get control(): string {
    return this.daemon.beside(this.config.control);
  }

  /** The folder of the state. */
  get state(): string {
    return this.daemon.beside(this.config.state);
  }

  get machineName(): string {
    return this.config.machine ?? DEFAULT_MACHINE;
  }

  /** Names of those that this party has keys for. */
  get peers(): readonly string[] {
    return Object.keys(this.daemon.keys ?? {});
  }

  /** Returns the answer of the running daemon to `status`, asked once; or why there is none. */
  status(): Promise<Json | NoAnswer> {
    return this.once('status', () => this.ask({ do: 'status' }));
  }

  /** Returns the answer to a request that changes nothing, or why there is none. */
  async ask(request: Json): Promise<Json | NoAnswer> {
    let client: ControlClient | undefined;
    try {
      client = await this.connect();
      const answer = await within(this.machine, ANSWER_MS, HUNG, client.request(request));
      if (answer['ok'] === true) return answer;
      return { why: String((answer['error'] as Json)?.['message'] ?? 'it refused'), hangs: false };
    } catch (error) {
      return { why: (error as Error).message, hangs: (error as Error).message === HUNG };
    } finally {
      client?.close();
    }
  }

  /** Connects to the daemon. Rejects when nobody listens. */
  connect(): Promise<ControlClient> {
    return connectControl(this.control);
  }

  /** Returns what the broker of this party does, observed once. */
  broker(): Promise<BrokerSeen> {
    return this.once('broker', () => probeBroker(this));
  }

  /** Returns what `look` observed at its first call. */
  once<T>(name: string, look: () => Promise<T>): Promise<T> {
    const known = this.#once.get(name) as Promise<T> | undefined;
    if (known) return known;
    const seen = look();
    this.#once.set(name, seen);
    return seen;
  }
}

const HUNG = new HungError().message;

/** Returns whether a daemon answered. */
export function answered(status: Json | NoAnswer): status is Json {
  return !('hangs' in status);
}

/**
 * Reads the configurations. Throws a ConfigError when one cannot be read, or is none of a daemon; complaints about
 * what it names are kept for a check.
 */
export function readSubjects(
  files: readonly string[],
  machine: Machine,
  may: Permissions,
): readonly Subject[] {
  return files.map((file) => {
    const found: Checked = checked(machine.files, file, machine.files.readText(file));
    if (!found.daemon)
      throw new ConfigError(`${file}: ${found.is}: expected the configuration of an agent or a host`);
    return new Subject(found.daemon, found.complaints, machine, may);
  });
}
