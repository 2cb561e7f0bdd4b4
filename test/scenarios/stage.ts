/**
 * The stage on which transcripts play: host, agents and simulated machine in one process, under a virtual clock.
 *
 * Each command is one line; what it causes is written below it. Time moves only by commands.
 */

import { type BundleId, type VmId, vmId } from '../../src/core/protocol/ids.ts';
import type { Enforcer, EnforcerAnswer, EnforcerCall } from '../../src/ports/enforcer.ts';
import type { HookName } from '../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { SimulatedMachine } from '../../targets/lab/machine/machine.ts';
import { judgeHost } from '../support/judge-host.ts';
import { TERMS, UnisolatedWorld } from '../support/unisolated-world.ts';

/** Two borrowers: most transcripts start the first one alone. */
const VMS = [ANDROID, VAULT, vmId('kiosk')];
/** Inputs that only say that time passed, or that a query was answered as expected: noise in a transcript. */
const QUIET = new Set([
  'recorded',
  'vmRuns',
  'hostUp',
  'timer:query',
  'start',
  'driverInspected',
  'confirmed',
  'queryState',
]);

export class Stage {
  readonly world: UnisolatedWorld;
  #machine: SimulatedMachine;
  #boot = 1;
  /** Calls of the enforcer that are to fail, by name: how often. */
  readonly #failing = new Map<string, number>();
  readonly #hung = new Set<string>();
  #read = 0;
  #noticed = 0;

  constructor() {
    this.#machine = new SimulatedMachine({ vms: [], bundles: [PANEL], seed: 7 });
    this.world = new UnisolatedWorld(VMS, [PANEL], () => this.#enforcer(), 7);
    judgeHost(this.world, this.#machine.checker);
    this.world.startHost();
  }

  /** What broke an invariant so far. */
  violations(): readonly string[] {
    return this.#machine.checker.violations.map(({ invariant, text }) => `${invariant}: ${text}`);
  }

  /** Carries out one line of a transcript. */
  run(line: string): string[] {
    const [command = '', ...args] = line.split(/\s+/);
    const handler = this.#handlers[command];
    if (!handler)
      throw new Error(`no command ${command}; there are ${Object.keys(this.#handlers).join(', ')}`);
    const shown = handler(args) ?? [];
    return [...this.#news(), ...shown];
  }

  readonly #handlers: Record<string, (args: string[]) => string[] | undefined> = {
    /** boot VM: the platform starts a VM; its agent starts with its first instruction. */
    boot: ([vm]) => this.#boots(vm as VmId),
    /** advance MS: time passes. */
    advance: ([ms]) => void this.world.clock.advance(Number(ms)),
    /** borrow VM [lease=MS] [notice=MS] [minimum hold time=MS] [wait=MS] [evidence=LEVEL]. */
    borrow: ([vm, ...options]) => this.#borrow(vm as VmId, options),
    return: ([vm]) => void this.world.agents.get(vm as VmId)!.giveBack(PANEL.id),
    /** offer VM: unasked, for 10 s. */
    offer: ([vm]) => void this.world.agents.get(ANDROID)!.offer(PANEL.id, vm as VmId, 1_000, 10_000),
    /** renew LEASE-MS. */
    renew: ([ms]) => void this.world.agents.get(VAULT)!.renew(PANEL.id, Number(ms)),
    /** recall GRACE-MS [force]. */
    recall: ([ms, force]) =>
      void this.world.agents.get(ANDROID)!.recall(PANEL.id, Number(ms), force === 'force'),
    /** crash agent VM | crash host: a process dies; VMs and machine live on. */
    crash: ([what, vm]) => this.#crash(what!, vm as VmId),
    /** restart agent VM | restart host [lost]. */
    restart: ([what, arg]) => this.#restart(what!, arg),
    /** exit VM: the whole VM ends. */
    exit: ([vm]) => this.#exit(vm as VmId),
    /** hook VM NAME fail|hang|ok: how the next hooks of this name end. */
    hook: ([vm, name, how]) => this.#hook(vm as VmId, name as HookName, how!),
    /** enforcer OP fail|hang COUNT: the next calls of this kind fail, or are never answered. */
    enforcer: ([op, how, count]) => {
      if (how === 'hang') this.#hung.add(op!);
      else this.#failing.set(op!, Number(count ?? 1));
      return undefined;
    },
    /** cut VM | join VM: the network to a party. */
    cut: ([vm]) => void this.world.network.setCut(vm as VmId, true),
    join: ([vm]) => void this.world.network.setCut(vm as VmId, false),
    lift: () => void this.world.host.lift(PANEL.id),
    /** poke VM: its driver touches the touch controller, whether it may or not. */
    poke: ([vm]) => this.#poke(vm as VmId),
    status: () => this.#status(),
    faults: () => {
      // Reading the hash writes what waits.
      this.world.host.facts();
      return this.world.audit
        .filter((entry) => entry.includes('"event":"fault"'))
        .map((entry) => (JSON.parse(entry) as { detail: string }).detail);
    },
    judge: () => [...this.violations(), 'judged'],
  };

  #boots(vm: VmId): undefined {
    this.#machine.startVm(vm);
    this.world.startAgent(
      vm,
      vm === ANDROID && this.world.host.views()[0]!.holder === ANDROID ? 'active' : 'suspended',
    );
    return undefined;
  }

  #borrow(vm: VmId, options: string[]): undefined {
    const given = Object.fromEntries(options.map((option) => option.split('=')));
    this.world.agents.get(vm)!.borrow(PANEL.id, {
      ...TERMS,
      leaseMs: Number(given.lease ?? TERMS.leaseMs),
      noticeMs: Number(given.notice ?? TERMS.noticeMs),
      minHoldMs: Number(given.minHold ?? 0),
      waitMs: Number(given.wait ?? TERMS.waitMs),
      evidence: given.evidence ?? 'observed',
    });
    return undefined;
  }

  #crash(what: string, vm: VmId): undefined {
    if (what === 'host') this.world.host.stop();
    else this.world.agents.get(vm)!.stop();
    return undefined;
  }

  #restart(what: string, arg: string | undefined): undefined {
    if (what === 'host') {
      this.#hung.clear();
      this.world.startHost(arg === 'lost' ? 'lost' : 'keep');
      return undefined;
    }
    const vm = arg as VmId;
    this.world.startAgent(vm, this.world.drivers.get(vm)!.status);
    return undefined;
  }

  #exit(vm: VmId): undefined {
    this.world.agents.get(vm)?.stop();
    this.world.drivers.delete(vm);
    this.#machine.exitVm(vm);
    return undefined;
  }

  #hook(vm: VmId, name: HookName, how: string): undefined {
    const driver = this.world.drivers.get(vm)!;
    if (how === 'ok') delete driver.next[name];
    else
      driver.next[name] =
        how === 'hang' ? 'hang' : { ok: false, outcome: 'failed', error: 'scripted failure' };
    return undefined;
  }

  #poke(vm: VmId): string[] {
    const register = vm === VAULT ? 0x0b90_0000 : 0x0a90_0000;
    const result = this.#machine.context(vm).mmioRead(register);
    return [result.ok ? `${vm} read 0x${result.value.toString(16)}` : `${vm} got ${result.error}`];
  }

  #status(): string[] {
    const host = this.world.host.views()[0]!;
    const agents = [...this.world.agents].map(([vm, agent]) => {
      const view = agent.views()[0]!;
      return `${vm} ${view.state}, driver ${this.world.drivers.get(vm)?.status ?? 'gone'}`;
    });
    return [
      `host: ${host.state} ${host.holder ?? 'nobody'} epoch ` +
        `${host.epoch}${host.state === 'quarantined' ? ` (${host.reason})` : ''}`,
      ...agents.map((line) => `agent: ${line}`),
    ];
  }

  /** What happened since the last command: steps of the tables, hooks, notices. */
  #news(): string[] {
    const lines = this.world.logs.slice(this.#read).flatMap((line) => shown(line));
    this.#read = this.world.logs.length;
    const notices = this.world.notices.slice(this.#noticed).map(({ vm, notice }) => {
      const { notice: name, ...rest } = notice;
      return `${vm} is told: ${name}${Object.entries(rest)
        .map(([key, value]) => ` ${key}=${value}`)
        .join('')}`;
    });
    this.#noticed = this.world.notices.length;
    return [...lines, ...notices];
  }

  /** The machine's enforcer, with what the transcript wants to go wrong. */
  #enforcer(): Enforcer {
    const enforcer = this.#machine.enforcer();
    return new Proxy(enforcer, {
      get: (target, name) => {
        if (name === 'run')
          return (
            bundle: BundleId,
            calls: EnforcerCall[],
            done: (answers: readonly EnforcerAnswer[]) => void,
          ) => this.#runCalls(target, bundle, calls, done);
        if (name === 'machineBoot') return () => `boot ${this.#boot}`;
        const value = target[name as keyof Enforcer];
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
      },
    });
  }

  #runCalls(
    target: Enforcer,
    bundle: BundleId,
    calls: EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    if (calls.some((call) => this.#hung.has(call.op))) return;
    const bad = calls.findIndex((call) => (this.#failing.get(call.op) ?? 0) > 0);
    if (bad < 0) return target.run(bundle, calls, done);
    const { op } = calls[bad]!;
    this.#failing.set(op, this.#failing.get(op)! - 1);
    target.run(bundle, calls.slice(0, bad), (answers) =>
      done([...answers, { ok: false, error: `scripted failure of ${op}` }]),
    );
  }
}

/** A log line as a transcript shows it, or nothing. */
function shown(line: string): string[] {
  const match = /^([\d.]+) (\S+) (\w+): (.*?) (\{.*\})$/.exec(line);
  if (!match) return [];
  const [, atMs, who, , text, json] = match as unknown as [string, string, string, string, string, string];
  const fields = JSON.parse(json) as { on?: string; row?: string };
  if (!text.includes(' → ') || (fields.on && QUIET.has(fields.on))) return [];
  const [before, after] = text.split(' → ');
  const what = before === after ? before : `${before} → ${after}`;
  return [`${Math.round(Number(atMs))} ${who}: ${fields.on}: ${what} [${fields.row}]`];
}
