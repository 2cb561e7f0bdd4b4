/**
 * Host and agents in one process over the memory network and a virtual clock, on any enforcer: the smallest
 * setting in which the drivers of the core run as they do in production.
 */

import type { OwnTree } from '../../src/config/own-tree.ts';
import type { AgentNotice, BorrowTerms } from '../../src/core/agent/agent-io.ts';
import { allowList, type Policy } from '../../src/core/agent/policy.ts';
import type { BundleDefinition } from '../../src/core/protocol/bundle.ts';
import { type BundleId, HOST, type VmId } from '../../src/core/protocol/ids.ts';
import { bundleDigest } from '../../src/core/wire/digest.ts';
import { Agent } from '../../src/drivers/agent/agent.ts';
import { Host } from '../../src/drivers/host/host.ts';
import { HostTable } from '../../src/drivers/host/table.ts';
import { Link } from '../../src/drivers/link/link.ts';
import { MemoryNetwork } from '../../src/edges/transport/memory.ts';
import type { Enforcer } from '../../src/ports/enforcer.ts';
import type { DriverHooks, DriverStatus, HookName, HookResult, Log } from '../../src/ports/world.ts';
import { type Random, seededRandom } from '../../targets/lab/machine/random.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';
import { MemoryJournal } from './memory-journal.ts';
import { MemoryRecord } from './memory-record.ts';

export const TERMS: BorrowTerms = {
  purpose: 'pin',
  leaseMs: 10_000,
  minHoldMs: 0,
  noticeMs: 500,
  waitMs: 2_000,
  evidence: 'none',
  mayQueue: true,
};

/** A driver that does nothing but remember what it was told, after `hookMs` of virtual time. */
export class ScriptedDriver implements DriverHooks {
  status: DriverStatus;
  readonly calls: string[] = [];
  /** The next result of a hook; undefined: success. A hook set to `hang` never ends. */
  next: Partial<Record<HookName, HookResult | 'hang'>> = {};
  readonly #clock: VirtualClock;
  readonly #hookMs: number;
  onActive: (active: boolean) => void = () => {};

  constructor(clock: VirtualClock, status: DriverStatus, hookMs = 2) {
    this.#clock = clock;
    this.status = status;
    this.#hookMs = hookMs;
  }

  run(bundle: BundleId, hook: HookName, epoch: number, done: (result: HookResult) => void): void {
    this.calls.push(`${hook} ${bundle} ${epoch}`);
    const result = this.next[hook] ?? { ok: true as const };
    if (result === 'hang') return;
    this.#clock.after(this.#hookMs, () => {
      if (result.ok && hook !== 'prepare') {
        this.status = hook === 'resume' ? 'active' : 'suspended';
        this.onActive(hook === 'resume');
      }
      done(result);
    });
  }

  inspect(_bundle: BundleId, done: (status: DriverStatus) => void): void {
    done(this.status);
  }
}

/** Wall-clock time at which the virtual clock starts. */
export const WALL_MS = Date.UTC(2026, 10, 30, 13);

/** Host, network and any number of agents. */
export class UnisolatedWorld {
  readonly clock = new VirtualClock();
  readonly network: MemoryNetwork;
  readonly journal = new MemoryJournal();
  readonly bounds = new MemoryRecord(this.journal);
  readonly audit: string[] = [];
  /** The audit log cannot be written, and this is why. */
  auditBroken: string | undefined;
  /** Lines of the handover records. */
  readonly records: string[] = [];
  /** The handover records cannot be written, and this is why. */
  recordsBroken: string | undefined;
  /** Why the host ended its process. */
  readonly ends: string[] = [];
  readonly notices: { vm: VmId; bundle: BundleId; notice: AgentNotice }[] = [];
  readonly logs: string[] = [];
  readonly drivers = new Map<VmId, ScriptedDriver>();
  readonly agents = new Map<VmId, Agent>();
  readonly journals = new Map<VmId, MemoryJournal>();
  readonly #random: Random;
  readonly #bundles: readonly BundleDefinition[];
  readonly #enforcer: () => Enforcer;
  readonly #vms: readonly VmId[];
  host!: Host;
  /** Sees each host before it starts. */
  onHost: (host: Host) => void = () => {};

  constructor(
    vms: readonly VmId[],
    bundles: readonly BundleDefinition[],
    enforcer: () => Enforcer,
    seed = 1,
  ) {
    this.#random = seededRandom(seed);
    this.#vms = vms;
    this.#bundles = bundles;
    this.#enforcer = enforcer;
    this.network = new MemoryNetwork(this.clock, () => this.#random(1_000_000) / 1_000_000);
  }

  /** Random bytes of this world. */
  entropy = { random: (count: number) => Uint8Array.from({ length: count }, () => this.#random(256)) };

  log(name: string): Log {
    return (level, message, fields) => {
      this.logs.push(`${this.clock.nowMs()} ${name} ${level}: ${message} ${JSON.stringify(fields ?? {})}`);
    };
  }

  startHost(table: 'keep' | 'lost' = 'keep'): Host {
    const bootId = this.entropy.random(16);
    const peers = this.#vms;
    this.host = new Host({
      bundles: this.#bundles,
      enforcer: this.#enforcer(),
      link: this.#link(HOST, peers, bootId),
      clock: this.clock,
      log: this.log('host'),
      entropy: this.entropy,
      bootId,
      bounds: this.bounds,
      table: table === 'keep' ? new HostTable(this.journal) : undefined,
      freshTable: () => new HostTable(this.journal),
      audit: (lines) => {
        if (this.auditBroken !== undefined) throw new Error(this.auditBroken);
        this.audit.push(...lines.trimEnd().split('\n'));
      },
      auditHash: undefined,
      records: {
        append: (lines) => {
          if (this.recordsBroken !== undefined) throw new Error(this.recordsBroken);
          this.records.push(...lines.trimEnd().split('\n'));
        },
        wallMs: () => WALL_MS + this.clock.nowMs(),
        isoTime: (wallMs) => new Date(wallMs).toISOString(),
        recorded: this.#recorded(),
      },
      end: (reason) => this.ends.push(reason),
    });
    this.onHost(this.host);
    this.host.start();
    return this.host;
  }

  #recorded(): Map<BundleId, number[]> {
    const all = this.records.map((line) => JSON.parse(line) as { bundle: BundleId; epoch: number });
    return new Map(
      this.#bundles.map(({ id }) => [
        id,
        all.filter(({ bundle }) => bundle === id).map(({ epoch }) => epoch),
      ]),
    );
  }

  /** `hooks`: in place of the scripted driver, which then has no part. */
  startAgent(
    vm: VmId,
    status: DriverStatus,
    policy: Policy = this.everybody(),
    hooks?: DriverHooks,
    expected?: OwnTree['expected'],
  ): Agent {
    const driver = this.drivers.get(vm) ?? new ScriptedDriver(this.clock, status);
    driver.status = status;
    this.drivers.set(vm, driver);
    const bootId = this.entropy.random(16);
    const peers = [HOST, ...this.#vms.filter((other) => other !== vm)];
    const journal = new MemoryJournal();
    this.journals.set(vm, journal);
    const agent = new Agent({
      self: vm,
      bundles: this.#bundles,
      link: this.#link(vm, peers, bootId),
      hooks: hooks ?? driver,
      policy,
      clock: this.clock,
      entropy: this.entropy,
      journal,
      log: this.log(vm),
      ...(expected ? { expected } : {}),
    });
    agent.on('notice', (bundle, notice) => this.notices.push({ vm, bundle, notice }));
    agent.start();
    this.agents.set(vm, agent);
    return agent;
  }

  everybody(): Policy {
    return allowList(
      this.#bundles.flatMap((bundle) => this.#vms.map((borrower) => ({ bundle: bundle.id, borrower }))),
    );
  }

  /** Notices of one VM, as short texts. */
  told(vm: VmId): string[] {
    return this.notices.filter((entry) => entry.vm === vm).map(({ notice }) => notice.notice);
  }

  #link(self: VmId, peers: readonly VmId[], bootId: Uint8Array): Link {
    return new Link({
      self,
      pairKeys: new Map(peers.map((peer) => [peer, pairKey(self, peer)])),
      bootId,
      bundles: this.#bundles.map((bundle) => ({ bundle: bundle.id, digest: bundleDigest(bundle) })),
      transport: this.network.transport(self),
      clock: this.clock,
      entropy: this.entropy,
      log: this.log(`${self} link`),
    });
  }
}

/** A test key: the same for both ends of a pair, another for every pair. */
export function pairKey(a: VmId, b: VmId): Uint8Array {
  const name = [a, b].sort().join('/');
  return Uint8Array.from({ length: 32 }, (_, i) => (name.charCodeAt(i % name.length) * 31 + i) & 0xff);
}
