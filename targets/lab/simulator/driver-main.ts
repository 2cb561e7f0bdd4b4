/**
 * A guest's driver program: drives touch and display of the simulated machine through its VM's socket, answers the
 * agent's hooks, and reports to the demo what its users would see.
 *
 * It reaches the devices only through the VM context at the other end of that socket. It has no way to report its own
 * faults; the machine sees them.
 */

import { type Json, Lines } from '../../../src/common/lines.ts';
import type { DriverStatus } from '../../../src/ports/world.ts';
import { STREAMS } from '../../node/net/streams.ts';
import { plainWords } from '../../node/program/program.ts';
import {
  DisplayDriver,
  type GuestAccess,
  type Program,
  runRemotely,
  TouchDriver,
} from '../machine/drivers.ts';
import type { AccessResult } from '../machine/vm.ts';

const FACE = {
  name: 'baton-driver',
  help: `baton-driver VM FOLDER TOUCH_MMIO TOUCH_INTERRUPT DISPLAY_MMIO DISPLAY_INTERRUPT ACTIVE

The driver program of a guest of the simulated machine, for the demo and for tests. FOLDER has the socket vm-VM.sock.
`,
};
const [vm = '', folder = '', ...numbers] = plainWords(FACE, process.argv.slice(2), 7);
const [touchMmio = 0, touchInterrupt = 0, displayMmio = 0, displayInterrupt = 0, active = 0] =
  numbers.map(Number);

/** Longest wait of a give-back for the last finger to leave the panel, in ms. */
const FINGER_WAIT_MS = 2_000;
const FINGER_LOOK_MS = 5;
/** Duration of a slow hook, in ms: longer than any notice. */
const SLOW_MS = 800;

const touch = new TouchDriver({ mmio: touchMmio, interrupt: touchInterrupt });
const display = new DisplayDriver({ mmio: displayMmio, interrupt: displayInterrupt });
const status: Record<'touch' | 'display', DriverStatus> = { touch: 'suspended', display: 'suspended' };
let fingerDown = false;
/** Misbehaviour that the demo requests of this driver. */
let misbehaviour: string | undefined;
const watchers = new Set<Lines>();

const open = new Map<number, (result: AccessResult) => void>();
let nextId = 1;
let machine: Lines;

/** One access of the VM, awaited. */
function access(what: GuestAccess): Promise<AccessResult> {
  return new Promise((resolve) => {
    const id = nextId++;
    open.set(id, resolve);
    machine.send({ id, access: what });
  });
}

/** One program at a time, in the order of requests: a driver has one lock. */
let last: Promise<unknown> = Promise.resolve();
function run<T>(program: () => Program<T>): Promise<T> {
  const next = last.then(() => runRemotely({ access }, program()));
  last = next.catch(() => {});
  return next;
}

function tell(event: Json): void {
  for (const watcher of watchers) watcher.send(event);
}

async function serveInterrupt(virtual: number): Promise<void> {
  if (display.interrupt(virtual)) await run(() => display.serve());
  if (!touch.interrupt(virtual)) return;
  for (const report of await run(() => touch.poll())) {
    fingerDown = report.down;
    tell({ event: 'touch', vm, x: report.x, y: report.y, down: report.down });
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A finger that was put down under one VM must not be reported to the next VM. */
async function waitForNoFinger(): Promise<void> {
  for (let waitedMs = 0; fingerDown && waitedMs < FINGER_WAIT_MS; waitedMs += FINGER_LOOK_MS) {
    await sleep(FINGER_LOOK_MS);
  }
}

async function hook(device: 'touch' | 'display', name: string): Promise<Json> {
  if (name === 'inspect') return { ok: true, status: status[device] };
  if (name === 'suspend') {
    // Longer than any step limit: for the agent this hook hangs.
    if (misbehaviour === 'slow') await sleep(SLOW_MS);
    if (device === 'touch') {
      await waitForNoFinger();
      await run(() => (misbehaviour === 'leave-dma' ? touch.fakeSuspend() : touch.suspend()));
    } else if (misbehaviour !== 'leave-dma') await run(() => display.suspend());
    status[device] = 'suspended';
  }
  if (name === 'resume') {
    fingerDown = false;
    if (device === 'touch') await run(() => touch.resume());
    else await run(() => display.resume());
    status[device] = 'active';
  }
  return { ok: true };
}

async function app(request: Json): Promise<Json> {
  switch (request['do']) {
    case 'show':
      await run(() => display.show(Number(request['word'])));
      return {};
    case 'peek':
      return { seen: await run(() => display.peek()) };
    case 'poke':
      return { read: await run(() => touch.poke()) };
    case 'misbehave':
      misbehaviour = String(request['how']);
      return {};
    case 'behave':
      misbehaviour = undefined;
      return {};
    default:
      throw new Error(`unknown request ${JSON.stringify(request['do'])}`);
  }
}

/** Serves JSON lines on a socket: each request is answered with its id. */
function serve(name: string, answer: (request: Json) => Promise<Json>, watch: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    STREAMS.listen(
      `unix:${folder}/${name}.sock`,
      (stream) => {
        const lines = new Lines(stream, {
          onLine: (request) => {
            const { id = null } = request;
            answer(request).then(
              (result) => lines.send({ id, ok: true, ...result }),
              (error: Error) => lines.send({ id, ok: false, error: error.message }),
            );
          },
          onBad: (error) => lines.send({ ok: false, error }),
          onClose: () => watchers.delete(lines),
        });
        if (watch) watchers.add(lines);
      },
      (error) => (error ? reject(error) : resolve()),
    );
  });
}

STREAMS.connect(`unix:${folder}/vm-${vm}.sock`, (stream) => {
  if (stream instanceof Error) {
    process.stderr.write(`baton-driver ${vm}: ${stream.message}\n`);
    process.exit(1);
  }
  machine = new Lines(stream, {
    onLine: (line) => {
      if (line['event'] === 'interrupt') {
        serveInterrupt(Number(line['virtual'])).catch((error: Error) =>
          tell({ event: 'error', message: error.message }),
        );
        return;
      }
      const resolve = open.get(Number(line['id']));
      open.delete(Number(line['id']));
      resolve?.(line as unknown as AccessResult);
    },
    onBad: () => {},
    onClose: () => process.exit(0),
  });
  void main();
});

async function main(): Promise<void> {
  if (active) {
    await hook('display', 'resume');
    await hook('touch', 'resume');
  }
  for (const device of ['touch', 'display'] as const) {
    await serve(`${device}-${vm}`, (request) => hook(device, String(request['hook'])), false);
  }
  await serve(`app-${vm}`, app, true);
}
