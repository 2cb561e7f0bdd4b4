/**
 * Host, owner and borrower in one process over the memory network and a virtual clock, with hooks and a remap that
 * cost nothing: what is left is the product's own work. It keeps no history, so that memory can be measured.
 */

import { BORROWER_TABLE } from '../../../src/core/agent/borrower.ts';
import { allowList } from '../../../src/core/agent/policy.ts';
import { HOST_TABLE } from '../../../src/core/host/host-table.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { type BundleId, HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { Agent } from '../../../src/drivers/agent/agent.ts';
import { Host } from '../../../src/drivers/host/host.ts';
import { HostTable } from '../../../src/drivers/host/table.ts';
import { Link, type LinkListener, type LinkParts } from '../../../src/drivers/link/link.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { MemoryNetwork } from '../../../src/edges/transport/memory.ts';
import type { Enforcer } from '../../../src/ports/enforcer.ts';
import type { DriverHooks, DriverStatus, Entropy, Journal } from '../../../src/ports/world.ts';
import { CLOCK } from '../../node/system/clock.ts';
import { ANDROID, PANEL, VAULT } from '../machine/board.ts';
import { seededRandom } from '../machine/random.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { PARTIES, pairKey, TERMS, VMS } from './parties.ts';

/** Told what goes on, in order; all in the call that does it. */
export interface Watch {
  sent?(by: VmId, to: VmId, message: Message, hostTime: Uint8Array | undefined, frameBytes: number): void;
  received?(by: VmId, from: VmId, message: Message): void;
  /** A record was made durable. */
  synced?(by: VmId, bytes: number): void;
}

/** What a world is made of, where it is not the usual. */
export interface MemoryWorldParts {
  readonly bundles?: readonly BundleDefinition[];
  readonly enforcer?: Enforcer;
  readonly watch?: Watch;
  readonly hostTable?: typeof HOST_TABLE;
  readonly borrowerTable?: typeof BORROWER_TABLE;
}

/** The world. */
export class MemoryWorld {
  readonly clock = new VirtualClock();
  readonly bundles: readonly BundleDefinition[];
  readonly host: Host;
  readonly #borrower: Agent;
  readonly #network: MemoryNetwork;
  readonly #watch: Watch;
  readonly #random = seededRandom(1);
  readonly #entropy: Entropy = {
    random: (count) => Uint8Array.from({ length: count }, () => this.#random(256)),
  };
  #frameBytes = 0;
  #news = '';

  constructor(parts: MemoryWorldParts = {}) {
    const { bundles = [PANEL], hostTable = HOST_TABLE, borrowerTable = BORROWER_TABLE } = parts;
    this.bundles = bundles;
    this.#watch = parts.watch ?? {};
    // Records hold moments: they are as long as on a machine that has run for a while.
    this.clock.advance(CLOCK.nowMs());
    this.#network = new MemoryNetwork(this.clock, () => 0.5);
    this.#network.tap = (_what, _from, _to, frame) => {
      this.#frameBytes = frame.length;
    };
    const bootId = this.#entropy.random(16);
    this.host = new Host({
      bundles,
      enforcer: parts.enforcer ?? new NoneEnforcer({ bundles, vms: VMS, machineBoot: 'one' }),
      link: this.#link(HOST, bootId),
      clock: this.clock,
      log: () => {},
      entropy: this.#entropy,
      bootId,
      bounds: { found: undefined, write: (_record, done) => done(undefined) },
      table: new HostTable(this.#journal(HOST)),
      freshTable: () => new HostTable(this.#journal(HOST)),
      audit: () => {},
      auditHash: undefined,
      protocol: hostTable,
    });
    this.host.start();
    this.#agent(ANDROID, 'active', borrowerTable);
    this.#borrower = this.#agent(VAULT, 'suspended', borrowerTable);
    this.#borrower.on('notice', (_bundle, { notice }) => {
      this.#news = notice;
    });
    // Handshakes, and the first heartbeat that everybody hears.
    this.clock.advance(2_000);
  }

  /** From the borrower's request to its resumed driver. Throws when it comes to anything else. */
  lend(bundle: BundleId = PANEL.id): void {
    this.#news = '';
    this.#borrower.borrow(bundle, TERMS);
    this.#until('granted');
  }

  /** From the borrower's wish to what it is told at the end. */
  giveBack(bundle: BundleId = PANEL.id): void {
    this.#news = '';
    this.#borrower.giveBack(bundle);
    this.#until('returned');
  }

  /** Lets what is still under way arrive: confirmations. */
  settle(): void {
    this.clock.advance(5);
  }

  /** A whole round: lent and given back. */
  round(bundle?: BundleId): void {
    this.lend(bundle);
    this.settle();
    this.giveBack(bundle);
    this.settle();
  }

  #until(notice: string): void {
    while (this.#news === '' && this.clock.step());
    if (this.#news !== notice) throw new Error(`${this.#news || 'nothing'} instead of ${notice}`);
  }

  #agent(self: VmId, status: DriverStatus, borrowerTable: typeof BORROWER_TABLE): Agent {
    const agent = new Agent({
      self,
      bundles: this.bundles,
      link: this.#link(self, this.#entropy.random(16)),
      hooks: instantHooks(status),
      policy: allowList(this.bundles.map(({ id }) => ({ bundle: id, borrower: VAULT }))),
      clock: this.clock,
      entropy: this.#entropy,
      journal: this.#journal(self),
      log: () => {},
      borrowerTable,
    });
    agent.start();
    return agent;
  }

  /** Keeps nothing. */
  #journal(of: VmId): Journal {
    return {
      records: [],
      append: (record, sync) => {
        if (sync) this.#watch.synced?.(of, record.length);
      },
      rewrite: () => {},
      close: () => {},
    };
  }

  #link(self: VmId, bootId: Uint8Array): Link {
    const parts: LinkParts = {
      self,
      pairKeys: new Map(PARTIES.filter((peer) => peer !== self).map((peer) => [peer, pairKey(self, peer)])),
      bootId,
      bundles: this.bundles.map((bundle) => ({ bundle: bundle.id, digest: bundleDigest(bundle) })),
      transport: this.#network.transport(self),
      clock: this.clock,
      entropy: this.#entropy,
      log: () => {},
    };
    const isWatched = this.#watch.sent !== undefined || this.#watch.received !== undefined;
    return isWatched ? new WatchedLink(parts, this.#watch, () => this.#frameBytes) : new Link(parts);
  }
}

/** Hooks that do nothing, at once. */
export function instantHooks(status: DriverStatus): DriverHooks {
  return {
    run: (_bundle, _hook, _epoch, done) => done({ ok: true }),
    inspect: (_bundle, done) => done(status),
  };
}

/** A link that tells what goes through it. */
class WatchedLink extends Link {
  readonly #self: VmId;
  readonly #watch: Watch;
  readonly #frameBytes: () => number;

  constructor(parts: LinkParts, watch: Watch, frameBytes: () => number) {
    super(parts);
    this.#self = parts.self;
    this.#watch = watch;
    this.#frameBytes = frameBytes;
  }

  override open(listener: LinkListener): void {
    super.open({
      onMessage: (from, message, hostTime) => {
        this.#watch.received?.(this.#self, from, message);
        listener.onMessage(from, message, hostTime);
      },
      onUp: (peer) => listener.onUp(peer),
      onDown: (peer, reason) => listener.onDown(peer, reason),
      onDigestMismatch: (peer, bundle) => listener.onDigestMismatch(peer, bundle),
      incarnationOf: (vm) => listener.incarnationOf?.(vm) ?? (0 as never),
    });
  }

  override send(to: VmId, message: Message, hostTime?: Uint8Array): boolean {
    const sent = super.send(to, message, hostTime);
    if (sent) this.#watch.sent?.(this.#self, to, message, hostTime, this.#frameBytes());
    return sent;
  }
}
