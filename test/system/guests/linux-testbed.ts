/**
 * Two Linux guests under a real hypervisor: each runs an agent of its own, over a socket to its host (AF_VSOCK) that
 * leads to
 * `baton-host` on this machine. What the guests' input devices say, they tell over another such socket.
 */

import { createServer, type Server, type Socket } from 'node:net';
import type { Json } from '../../../src/common/lines.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { Parties } from '../../../targets/lab/demo/parties.ts';
import { ANDROID, type Hardware, LINUX, LINUX_TOUCH, VAULT } from '../../../targets/lab/testbed/hardware.ts';
import { EMULATED_TIMES, KvmMachine } from '../../../targets/lab/testbed/kvm-machine.ts';
import { freePort } from '../../../targets/lab/testbed/plain-guest.ts';
import { paced } from '../../support/pace.ts';
import { Tap } from '../kvm/tap.ts';

/** The guests, with the CID by which their host's kernel knows them. */
const CIDS: Readonly<Record<VmId, number>> = { [ANDROID]: 3, [VAULT]: 4 };
const VMS = [ANDROID, VAULT];
/** Ports of the guests' host. */
const AGENT_PORT = 7000;
const LINK_PORT = 7100;
/** Longest boot of a guest to its first words, in ms: two at once take some 6 s. */
export const GUEST_MS = paced(40_000);

/** Longest command in a guest, in ms: a handover with drivers that are bound anew takes one or two seconds. */
const COMMAND_MS = paced(20_000);

/** One word of a guest about its input devices. */
export interface Said {
  readonly vm: VmId;
  readonly atMs: number;
  readonly text: string;
}

/** What the guests lend each other: one bundle of one device, and how its driver is suspended. */
export interface Lent {
  readonly hardware: Hardware;
  readonly suspend: (vm: VmId) => readonly Json[];
}

/** Where a guest sees the registers: its kernel names the device by them. */
const placeOf = (vm: VmId) => (vm === ANDROID ? 'a000000' : 'b000000');

/**
 * A guest binds the driver of the device when it has it, and unbinds it before it lends it: the driver knows nothing
 * of us.
 */
export const LENT_TABLET: Lent = {
  hardware: LINUX,
  suspend: (vm) => [
    { kind: 'unbind', bus: 'platform', driver: 'xhci-hcd', device: `${placeOf(vm)}.usb`, limitMs: 5_000 },
  ],
};

/** Folder of the touch screen in a guest. */
export const touchFolder = (vm: VmId) => `/sys/devices/platform/${placeOf(vm)}.touch`;

/** Our own driver stays bound: its input device is inhibited, so it has no more users, and its power goes. */
export const LENT_TOUCH: Lent = {
  hardware: LINUX_TOUCH,
  suspend: (vm) => [
    { kind: 'input-inhibit', input: touchFolder(vm) },
    { kind: 'runtime-pm', device: touchFolder(vm) },
  ],
};

export class LinuxTestbed extends Parties {
  readonly machine: KvmMachine;
  readonly said: Said[] = [];
  /** What was waited for, and how long it took: it tells where the time of the tests goes. */
  readonly waits: { readonly what: string; readonly ms: number }[] = [];
  readonly #servers: Server[] = [];
  readonly #links = new Map<VmId, Socket>();
  /** Guests that run a command. */
  readonly #busy = new Set<VmId>();
  readonly #agent: string;
  readonly #lent: Lent;
  /** Tells what the host orders of `baton-kvm`. */
  readonly tap: Tap;

  /** `root`: this repository; `agent`: the agent's program for the guests. */
  constructor(root: string, programs: string, agent: string, lent = LENT_TABLET) {
    super(programs);
    this.machine = new KvmMachine(root, lent.hardware);
    this.tap = new Tap(this.path('tap.sock'), this.machine.enforcer);
    this.#agent = agent;
    this.#lent = lent;
  }

  override async until(
    what: string,
    limitMs: number,
    holds: () => boolean | Promise<boolean>,
  ): Promise<void> {
    const startMs = performance.now();
    await super.until(what, limitMs, holds);
    this.waits.push({ what, ms: performance.now() - startMs });
  }

  /** Boots the machine and both guests; resolves when their agents know who holds. */
  async start(): Promise<void> {
    const links = await this.#ports((vm) => this.#listenForLink(vm));
    const agents = await this.#ports(() => freePort());
    this.write('bundles.json', bundleFileText(this.#lent.hardware.bundles));
    this.writeKeys();
    const listen = Object.fromEntries(VMS.map((vm) => [vm, `tcp:127.0.0.1:${agents[CIDS[vm]!]}`]));
    const enforcer = { kind: 'kvm', address: `unix:${this.tap.path}` };
    this.writeHost(enforcer, { kind: 'stream', listen }, { times: EMULATED_TIMES });
    await this.#timed('the machine boots', () =>
      this.machine.start([], {
        files: this.#files(),
        relays: { [AGENT_PORT]: agents, [LINK_PORT]: links },
      }),
    );
    await this.tap.listen();
    await this.#timed('the host starts', () => this.startHost(['--create-table']));
    for (const vm of VMS) await this.machine.ask({ do: 'startVm', vm, linux: 1 });
    for (const vm of VMS)
      await this.until(`${vm} tells its touches`, GUEST_MS, () => this.heard(vm).includes('ready'));
    for (const vm of VMS) await this.#serves(vm);
  }

  /** What a guest said since `sinceMs`. */
  heard(vm: VmId, sinceMs = 0): string[] {
    return this.said.filter((each) => each.vm === vm && each.atMs >= sinceMs).map(({ text }) => text);
  }

  /** Places in X that a guest's input devices reported since `sinceMs`. */
  touches(vm: VmId, sinceMs = 0): number[] {
    return this.heard(vm, sinceMs).flatMap((text) => (text.startsWith('x ') ? [Number(text.slice(2))] : []));
  }

  /** What both guests felt, and when they said so. */
  felt(): { vm: VmId; place: number; atMs: number }[] {
    return this.said.flatMap(({ vm, atMs, text }) =>
      text.startsWith('x ') ? [{ vm, atMs, place: Number(text.slice(2)) }] : [],
    );
  }

  /** Runs a command in a guest; resolves with its status and words. One at a time in each. */
  async run(vm: VmId, command: string, limitMs = COMMAND_MS): Promise<{ status: number; output: string }> {
    if (this.#busy.has(vm)) throw new Error(`${vm} has a command already`);
    this.#busy.add(vm);
    const from = this.said.length;
    const since = () => this.said.slice(from).flatMap((each) => (each.vm === vm ? [each.text] : []));
    this.#links.get(vm)!.write(`${command}\n`);
    const ending = () => since().find((text) => text.startsWith('done '));
    await this.until(`${vm} has run ${command}`, limitMs, () => ending() !== undefined);
    const output = since().flatMap((text) => (text.startsWith('out ') ? [text.slice(4)] : []));
    return { status: Number(ending()!.slice(5)), output: output.join('\n') };
  }

  /** Signals a guest's agent. One that is killed is started again by the guest. */
  async signalAgent(vm: VmId, signal: 'KILL' | 'STOP' | 'CONT'): Promise<void> {
    const mark = performance.now();
    this.#links.get(vm)!.write(`signal ${signal}\n`);
    await this.until(`${vm} has sent ${signal}`, COMMAND_MS, () =>
      this.heard(vm, mark).includes(`signalled ${signal}`),
    );
  }

  /** Whether nothing that was told to a guest is under way. */
  isAnswered(vm: VmId): boolean {
    return !this.#busy.has(vm);
  }

  /**
   * Ends a guest at once, and starts it again; resolves when it is up, with what `baton-kvm` answered first: that the
   * guest is made, which takes long, or what it was asked after that. Bundles of other guests move meanwhile.
   */
  async restart(vm: VmId): Promise<readonly string[]> {
    const mark = performance.now();
    let answered: string[] = [];
    await this.machine.ask({ do: 'killVm', vm });
    await this.machine.until(`${vm} may start`, GUEST_MS, async () => {
      answered = [];
      const isMade = this.machine.ask({ do: 'startVm', vm, linux: 1 }).then(
        () => answered.push('made') > 0,
        () => false,
      );
      await this.machine.exits(vm).then(() => answered.push('asked later'));
      return isMade;
    });
    this.#busy.delete(vm);
    await this.until(`${vm} is up`, GUEST_MS, () => this.heard(vm, mark).includes('ready'));
    await this.#serves(vm);
    return answered;
  }

  /** Waits until a program in the guest can ask its agent. */
  #serves(vm: VmId): Promise<void> {
    return this.until(`the agent of ${vm} serves`, GUEST_MS, async () => {
      return (await this.run(vm, 'test -S /run/agent.sock')).status === 0;
    });
  }

  async #timed(what: string, work: () => Promise<void>): Promise<void> {
    const startMs = performance.now();
    await work();
    this.waits.push({ what, ms: performance.now() - startMs });
  }

  /** The host's view of the bundle. */
  async view(): Promise<Json> {
    return ((await this.ask('host', { do: 'status' }))['bundles'] as Json[])[0]!;
  }

  override async stop(): Promise<void> {
    await super.stop();
    this.tap.close();
    await this.machine.stop();
    for (const server of this.#servers) server.close();
  }

  /** Files of both guests. */
  #files() {
    const copy = (name: string) => [`/baton/${name}`, { copy: this.path(name) }] as const;
    for (const vm of VMS) this.#writeGuest(vm);
    return {
      '/baton/start.sh': { text: START },
      '/baton/baton-agent': { copy: this.#agent },
      ...Object.fromEntries(
        ['bundles.json', ...VMS.flatMap((vm) => [`${vm}.json`, `${vm}.keys.json`])].map(copy),
      ),
    };
  }

  #writeGuest(vm: VmId): void {
    const [bundle] = this.#lent.hardware.bundles;
    const { id, devices } = bundle!;
    const rule = { bundle: id, borrower: VAULT, leaseMaxMs: 60_000 };
    this.write(`${vm}.json`, {
      vm,
      bundles: 'bundles.json',
      keys: `${vm}.keys.json`,
      transport: { kind: 'stream', address: `vsock:2:${AGENT_PORT}` },
      state: '/run/baton',
      control: '/run/agent.sock',
      ...(vm === ANDROID ? { policy: { kind: 'list', allow: [rule] } } : {}),
      hooks: { [id]: { [devices[0]!.id]: { suspend: this.#lent.suspend(vm) } } },
    });
  }

  async #ports(make: (vm: VmId) => Promise<number>): Promise<Record<number, number>> {
    const ports: Record<number, number> = {};
    for (const vm of VMS) ports[CIDS[vm]!] = await make(vm);
    return ports;
  }

  async #listenForLink(vm: VmId): Promise<number> {
    const server = createServer((socket) => {
      this.#links.set(vm, socket);
      let rest = '';
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        const lines = (rest + bytes.toString()).split('\n');
        rest = lines.pop()!;
        for (const text of lines) {
          this.said.push({ vm, atMs: performance.now(), text });
          if (text.startsWith('done ')) this.#busy.delete(vm);
        }
      });
    });
    this.#servers.push(server);
    return listening(server);
  }
}

/** Run in each guest when it is up. */
const START = `
cd /baton
chmod 755 baton-agent guest-link
# A file of its own: busybox's killall takes whatever runs this file for the agent.
cp baton-agent baton
./guest-link ${LINK_PORT} &
while :; do
  ./baton-agent --config /baton/$VM.json
  echo "agent ended with $?"
  sleep 0.2
done
`;

function listening(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
}
