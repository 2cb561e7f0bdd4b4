/**
 * Driver hooks on a real kernel: two guests of QEMU alone (plain-guest.ts), each with the static agent and devices of
 * its own, and
 * `baton-host` on this machine. Its enforcer is `none`, since nothing moves but the drivers' leave: what is looked at
 * is what a hook does to them.
 */

import { join } from 'node:path';
import type { Json } from '../../../src/common/lines.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import { type BundleDefinition, nameResources } from '../../../src/core/protocol/bundle.ts';
import { bundleId, deviceId, type VmId } from '../../../src/core/protocol/ids.ts';
import { Parties } from '../demo/parties.ts';
import { OUTER } from './emulated.ts';
import { ANDROID, VAULT } from './hardware.ts';
import { cacheFolder, missingPrograms } from './kvm-machine.ts';
import { freePort, GUEST_START, PlainGuest } from './plain-guest.ts';
import { run } from './run.ts';

const VMS = [ANDROID, VAULT];
/** Longest wait for an agent to serve and to know who holds, in ms. */
const AGENT_MS = 20_000;

/** Stands in a configuration for the folder of the tablet, which the kernel numbers. */
const TABLET_PLACE = '@TABLET@';
const touch = (name: string) => `/sys/devices/platform/touch-${name}`;
const inhibit = (name: string) => ({ kind: 'input-inhibit', input: touch(name) });
const runtime = (name: string) => ({ kind: 'runtime-pm', device: touch(name) });
/** What programs of hooks write to; a pattern, since the number changes with each bind. */
const inhibited = (name: string) => `${touch(name)}/input/input*/inhibited`;
const write = (name: string, value: string) => ['/baton/guest-drivers', 'write', inhibited(name), value];
const shell = (name: string, value: string) => [
  '/bin/sh',
  '-c',
  `for each in ${inhibited(name)}; do echo ${value} > $each; done`,
];

/** Bundle → its suspend steps: each kind of hook on a device of its own. */
const STEPS = {
  inhibit: [inhibit('inhibit')],
  runtime: [runtime('runtime')],
  off: [inhibit('off'), runtime('off')],
  tablet: [{ kind: 'input-inhibit', input: TABLET_PLACE }],
  display: [{ kind: 'fb-blank', fb: 'fb0' }],
  attribute: [
    {
      kind: 'sysfs',
      ...{ path: `${touch('attribute')}/power/control`, write: 'auto', undo: 'on' },
      expect: { path: `${touch('attribute')}/power/runtime_status`, value: 'suspended', undone: 'active' },
    },
  ],
  unbind: [{ kind: 'unbind', bus: 'platform', driver: 'baton-touch', device: 'touch-unbind' }],
  command: [{ kind: 'command', command: write('command', '1'), undo: write('command', '0') }],
  shell: [{ kind: 'command', command: shell('shell', '1'), undo: shell('shell', '0') }],
  socket: [{ kind: 'socket', path: '/run/socket.hook' }],
  trusted: [{ kind: 'trusted-touch', device: touch('trusted') }],
} as const;
export type DriverBundle = keyof typeof STEPS;
export const DRIVER_BUNDLES = Object.keys(STEPS) as readonly DriverBundle[];
/** Bundles that are one of our touch screens. */
const TOUCHES = DRIVER_BUNDLES.filter((name) => name !== 'tablet' && name !== 'display');

/** Where the kernel would have the registers, one page each; nobody looks. */
const REGISTERS = 0x0c00_0000;

function definition(name: DriverBundle, index: number): BundleDefinition {
  const id = deviceId('device');
  const registers = { kind: 'mmio', physical: REGISTERS + index * 0x1000, bytes: 0x1000, views: {} } as const;
  const devices = [{ id, resources: nameResources(id, [registers]), residualStates: [] }];
  return { id: bundleId(name), owner: ANDROID, keeper: 'owner', devices };
}

/** What has to be installed, as a sentence; undefined when nothing is missing. */
export function missingForDrivers(): string | undefined {
  return missingPrograms({ dtc: 'device-tree-compiler' });
}

export class DriverTestbed extends Parties {
  readonly #root: string;
  readonly #counts: boolean;
  readonly #guests = new Map<VmId, PlainGuest>();

  /**
   * `root`: this repository, with its programs built, those of QuickJS for aarch64 as well. `counts`: the clocks of
   * the guests count instructions; then only times within a guest mean anything.
   */
  constructor(root: string, counts = false) {
    super(join(root, 'dist'));
    this.#root = root;
    this.#counts = counts;
  }

  /** Boots both guests; resolves when their agents know who holds what. */
  async start(): Promise<void> {
    const cache = cacheFolder();
    run('/bin/bash', [join(this.#root, 'targets/lab/testbed/prepare.sh'), cache]);
    const ports: Record<VmId, number> = {};
    for (const vm of VMS) ports[vm] = await freePort();
    this.write('bundles.json', bundleFileText(DRIVER_BUNDLES.map(definition)));
    this.writeKeys();
    const listen = Object.fromEntries(VMS.map((vm) => [vm, `tcp:127.0.0.1:${ports[vm]}`]));
    this.writeHost({ kind: 'none', vms: VMS }, { kind: 'stream', listen });
    await this.startHost(['--create-table']);
    for (const vm of VMS) this.#guests.set(vm, this.#makeGuest(vm, cache, ports[vm]!));
    await Promise.all(VMS.map((vm) => this.guest(vm).start()));
    for (const vm of VMS) await this.serves(vm);
    // Runtime PM forbids these two to sleep, so that a loan has something to change and to put back.
    const forbid = ['runtime', 'attribute'].map((name) => `echo on > ${touch(name)}/power/control`);
    await this.guest(ANDROID).tell(forbid.join('; '));
  }

  guest(vm: VmId): PlainGuest {
    return this.#guests.get(vm)!;
  }

  /**
   * Waits until the agent of a guest serves and knows who holds what. Nobody watches it: what it would tell costs it
   * time.
   */
  async serves(vm: VmId): Promise<void> {
    const guest = this.guest(vm);
    // Whoever connects is let in by QEMU, and learns only by asking that nobody is there.
    await guest.until('its agent serves', AGENT_MS, () =>
      this.connect(vm, vm)
        .then((client) => client.request({ do: 'status' }))
        .then(
          () => true,
          () => false,
        ),
    );
    const settled = vm === ANDROID ? ['held', 'lent'] : ['idle', 'held'];
    await guest.until('its agent knows who holds', AGENT_MS, async () => {
      const { bundles } = await this.ask(vm, { do: 'status' });
      return (bundles as Json[]).every(({ state }) => settled.includes(String(state)));
    });
  }

  /** What an agent says of a bundle. */
  async view(vm: VmId, bundle: DriverBundle): Promise<Json> {
    return this.ask(vm, { do: 'describe', bundle });
  }

  /** Borrows for `vault`; resolves when it has it, its driver resumed. Throws when it does not come about. */
  async borrow(bundle: DriverBundle): Promise<void> {
    const answer = await this.ask(VAULT, { do: 'borrow', bundle, evidence: 'none' });
    if (answer['ok'] !== true) throw new Error(`${bundle}: ${JSON.stringify(answer)}`);
  }

  /** Gives back; resolves when `android` has resumed its driver. */
  async giveBack(bundle: DriverBundle): Promise<void> {
    const resumed = this.#resumed(bundle);
    const answer = await this.ask(VAULT, { do: 'return', bundle });
    if (answer['ok'] !== true) throw new Error(`${bundle}: ${JSON.stringify(answer)}`);
    await resumed;
  }

  /** Resolves when the host has heard from the owner that it has resumed. */
  #resumed(bundle: DriverBundle): Promise<void> {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(
        () => reject(new Error(`${bundle}: not resumed within ${AGENT_MS} ms`)),
        AGENT_MS,
      );
      const before = this.onTold;
      this.onTold = (told) => {
        before(told);
        const { event } = told;
        if (told.by !== 'host' || event['event'] !== 'changed' || event['bundle'] !== bundle) return;
        if (event['holder'] !== ANDROID || event['confirmed'] !== true) return;
        clearTimeout(limit);
        this.onTold = before;
        resolve();
      };
    });
  }

  /** How long runs of a hook took, in ms, by the agent's own clock, oldest first. */
  async tookMs(vm: VmId, bundle: DriverBundle, hook: 'suspend' | 'resume'): Promise<number[]> {
    const lines = await this.guest(vm).tell(
      `grep 'hook ${hook}: done bundle=${bundle} ' /run/agent.log || true`,
    );
    return [...lines.matchAll(/ ms=([\d.]+)/g)].map(([, ms]) => Number(ms));
  }

  override async stop(): Promise<void> {
    await Promise.all([...this.#guests.values()].map((guest) => guest.stop()));
    await super.stop();
  }

  protected override controlOf(party: string): string {
    return this.#guests.get(party as VmId)?.control ?? super.controlOf(party);
  }

  #makeGuest(vm: VmId, cache: string, port: number): PlainGuest {
    const hooks = Object.fromEntries(
      DRIVER_BUNDLES.map((name) => [name, { device: { suspend: STEPS[name] } }]),
    );
    const allow = DRIVER_BUNDLES.map((bundle) => ({ bundle, borrower: VAULT, leaseMaxMs: 60_000 }));
    this.write(`${vm}.json`, {
      vm,
      bundles: 'bundles.json',
      keys: `${vm}.keys.json`,
      transport: { kind: 'stream', address: `tcp:${OUTER}:${port}` },
      state: '/run/baton',
      control: '/run/agent.sock',
      logLevel: 'debug',
      ...(vm === ANDROID ? { policy: { kind: 'list', allow } } : {}),
      hooks,
    });
    const files = Object.fromEntries(
      ['bundles.json', `${vm}.json`, `${vm}.keys.json`].map((name) => [
        `/baton/${name}`,
        { copy: this.path(name) },
      ]),
    );
    return new PlainGuest({
      ...{ vm, root: this.#root, cache, folder: this.folder, counts: this.#counts },
      files: {
        ...files,
        '/baton/start.sh': { text: START },
        '/baton/baton-agent': { copy: join(this.#root, 'dist/quickjs/aarch64/baton-agent') },
      },
      touches: TOUCHES,
      borrowed: vm === VAULT ? ['trusted'] : [],
    });
  }
}

/** Run in each guest. */
const START = `
${GUEST_START}
cd /baton
tablet=$(ls -d /sys/devices/platform/*/virtio*/input)
sed -i "s|${TABLET_PLACE}|\${tablet%/input}|" /baton/$VM.json
./guest-drivers serve /run/socket.hook '${inhibited('socket')}' &
while :; do
  ./baton-agent --config /baton/$VM.json 2>> /run/agent.log
  echo "agent ended with $?"
  sleep 0.2
done
`;
