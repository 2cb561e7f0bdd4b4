/**
 * What idle costs: wakeups of the shipped programs in a minute in which the owner holds and nobody asks for anything,
 * with the borrower's agent present or absent, on streams and on MQTT. The kernel counts them: each time that a thread
 * of the process went to sleep.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json } from '../../../src/common/lines.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { Parties, START_MS } from '../demo/parties.ts';
import { ANDROID, PANEL, VAULT } from '../machine/board.ts';
import { type Mosquitto, mosquittoProgram, startMosquitto } from './mosquitto.ts';
import type { Report } from './report.ts';

/** The built programs are where this one is. */
const DIST = dirname(fileURLToPath(import.meta.url));
/** Until retries have backed off to a minute: 0.2 s doubled nine times. */
const SETTLE_MS = 130_000;
/** Minutes that are counted: a timer that runs every 60 s falls into each. */
const MINUTES = 2;
/** Wakeups in a minute: design, section 7. */
const WAKEUPS_MAX = { stream: 3, mqtt: 5 } as const;

type Transport = keyof typeof WAKEUPS_MAX;

/** All four pairs of transport and borrower at once: they sleep. */
export async function benchIdle(report: Report): Promise<void> {
  const rigs: IdleTestbed[] = [];
  try {
    for (const transport of ['stream', 'mqtt'] as const) {
      const why = whyNot(transport);
      if (why !== undefined) report.skip('idle', transport, why);
      else
        for (const borrower of ['present', 'absent'] as const)
          rigs.push(new IdleTestbed(transport, borrower));
    }
    for (const rig of rigs) await rig.start();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    for (const rig of rigs) rig.begin();
    await new Promise((resolve) => setTimeout(resolve, MINUTES * 60_000));
    for (const rig of rigs) rig.addRows(report);
  } finally {
    await Promise.all(rigs.map((rig) => rig.stop()));
  }
}

function whyNot(transport: Transport): string | undefined {
  const program = join(DIST, 'quickjs/x86_64', agentFor(transport));
  if (!existsSync(program)) return `${program} is not there: npm run build:quickjs`;
  return transport === 'mqtt' && !mosquittoProgram() ? 'apt-get install mosquitto' : undefined;
}

const agentFor = (transport: Transport) => (transport === 'mqtt' ? 'baton-agent-mqtt' : 'baton-agent');

/** A host on Node and static agents. */
class IdleTestbed extends Parties {
  readonly #transport: Transport;
  readonly #borrower: 'present' | 'absent';
  readonly #pids = new Map<string, number>();
  readonly #before = new Map<string, number>();
  #broker: Mosquitto | undefined;

  constructor(transport: Transport, borrower: 'present' | 'absent') {
    super();
    this.#transport = transport;
    this.#borrower = borrower;
  }

  /** Resolves when the owner holds. */
  async start(): Promise<void> {
    const program = this.#transport === 'mqtt' ? mosquittoProgram() : undefined;
    if (program !== undefined) this.#broker = await startMosquitto(program, this.folder);
    this.write('bundles.json', bundleFileText([PANEL]));
    this.writeKeys();
    this.writeHost({ kind: 'none', vms: [ANDROID, VAULT] }, this.#route('host'));
    this.#begun('host', [process.execPath, join(DIST, 'baton-host.mjs'), '--create-table']);
    const vms = this.#borrower === 'present' ? [ANDROID, VAULT] : [ANDROID];
    for (const vm of vms) {
      this.writeAgent(vm, PANEL, this.#route(vm), {});
      this.#begun(vm, [join(DIST, 'quickjs/x86_64', agentFor(this.#transport))]);
    }
    const owner = await this.connect(ANDROID, ANDROID);
    await this.until('the owner holds', START_MS, async () => {
      const { bundles } = (await owner.request({ do: 'status' })) as { bundles?: { state?: string }[] };
      return bundles?.[0]?.state === 'held';
    });
    owner.close();
  }

  begin(): void {
    for (const [party, pid] of this.#pids) this.#before.set(party, switches(pid));
  }

  addRows(report: Report): void {
    for (const [party, pid] of this.#pids) {
      const value = (switches(pid) - this.#before.get(party)!) / MINUTES;
      const name = `${party}, ${this.#transport}, borrower ${this.#borrower}`;
      report.limit({ bench: 'idle', case: name, value, unit: 'wakeups/min' }, WAKEUPS_MAX[this.#transport]);
    }
  }

  override async stop(): Promise<void> {
    this.#broker?.stop();
    await super.stop();
  }

  #begun(party: 'host' | VmId, words: readonly string[]): void {
    const child = this.spawnWords(party, [...words, '--config', this.path(`${party}.json`)]);
    this.#pids.set(party, child.pid!);
  }

  #route(party: 'host' | VmId): Json {
    const kind = this.#transport;
    if (kind === 'mqtt') {
      const passwordFile = this.#broker!.passwordFile(party);
      return { kind, url: this.#broker!.tcpUrl, username: party, passwordFile };
    }
    const addressOf = (vm: VmId) => `unix:${this.path(`to-${vm}.sock`)}`;
    if (party !== 'host') return { kind, address: addressOf(party) };
    return { kind, listen: { [ANDROID]: addressOf(ANDROID), [VAULT]: addressOf(VAULT) } };
  }
}

/** How often threads of a process went to sleep, and so how often they were woken. */
function switches(pid: number): number {
  const counts = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]);
  });
  return counts.reduce((sum, count) => sum + count, 0);
}
