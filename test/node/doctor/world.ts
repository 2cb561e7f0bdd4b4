/**
 * A machine in a folder for `baton doctor`: configurations with all that they name, programs that answer on the control
 * sockets, a broker, devices below a folder in place of /sys, and a systemd that says what the test wants. All is well
 * with it until something is planted.
 */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Aedes, type AedesOptions } from 'aedes';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import { PANEL } from '../../../targets/lab/machine/board.ts';
import { type Broker, startBroker } from '../../../targets/lab/simulator/broker.ts';
import { NodeHookLocks } from '../../../targets/node/agent/hooks-lock.ts';
import type { Line } from '../../../targets/node/cli/doctor/checks.ts';
import { MACHINE } from '../../../targets/node/cli/doctor/machine.ts';
import { doctorOn } from '../../../targets/node/cli/verbs/doctor.ts';
import { VERSION } from '../../../targets/node/program/version.ts';
import { CLOCK } from '../../../targets/node/system/clock.ts';

type Json = Record<string, unknown>;
const KEY = (digit: string) => digit.repeat(64);

/** The answers of a daemon that is well. */
const view = (more: Json) => ({
  bundle: 'panel',
  owner: 'android',
  phase: 'held',
  evidence: 'observed',
  ...more,
});
const peer = (name: string) => ({ peer: name, up: true, forMs: 5, heardMs: 5 });
export const wellAgent = (): Json => ({
  bundles: [view({ role: 'owner', state: 'held', holder: 'android', driver: 'active', reason: 'confirmed' })],
  peers: [peer('host'), peer('vault')],
  obstacle: null,
  version: VERSION,
  incarnation: 1,
});
export const wellHost = (): Json => ({
  bundles: [view({ state: 'held', holder: 'android', reason: 'confirmed', rejections: [] })],
  peers: [peer('android'), peer('vault')],
  obstacle: null,
  vms: { android: 1, vault: 1 },
  writeFault: null,
  stopped: null,
  version: VERSION,
});

/** A daemon's control socket. */
export interface Control {
  status: Json;
  /** How far its clock is from ours, in ms. */
  offMs: number;
  /** Time until it answers, in ms. */
  delayMs: number;
  close(): Promise<void>;
}

/** The machine, and what there is to plant faults in. */
export class DoctorWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'baton-doctor-'));
  readonly #ends: (() => unknown)[] = [];
  #broker: Broker | undefined;
  agent!: Json;
  locks!: NodeHookLocks;
  host!: Json;
  agentControl!: Control;
  hostControl!: Control;
  /** What systemd says of a unit. */
  unit: Json = {};
  wallMs = () => Date.now();

  at(...names: string[]): string {
    return join(this.folder, ...names);
  }

  write(name: string, text: string, mode = 0o644): void {
    mkdirSync(dirname(this.at(name)), { recursive: true, mode: 0o700 });
    writeFileSync(this.at(name), text, { mode });
    chmodSync(this.at(name), mode);
  }

  /** Ends it with the world. */
  ending(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** Makes a machine with which all is well. */
  async start(transport: 'mqtt' | 'stream' = 'mqtt'): Promise<this> {
    this.write('bundles.json', bundleFileText([PANEL]));
    this.write('host.bundles.json', bundleFileText([PANEL]));
    this.write('android.keys.json', JSON.stringify({ host: KEY('a'), vault: KEY('b') }), 0o600);
    this.write('host.keys.json', JSON.stringify({ android: KEY('a'), vault: KEY('c') }), 0o600);
    for (const party of ['android', 'host']) this.write(`${party}.password`, `${party}-secret\n`, 0o600);
    this.write('enforcer', enforcerProgram('observed'), 0o755);
    this.write('policy', '#!/bin/sh\n', 0o755);
    this.write('state/agent.journal', '');
    this.write('host-state/table.journal', 'x');
    this.write('denied.log', 'type=AVC msg=audit(1): avc:  granted  { read } for comm="cat"\n');
    chmodSync(this.at('state'), 0o700);
    chmodSync(this.at('host-state'), 0o700);
    this.#devices();
    await this.listen('hook.sock');
    await this.#hooks();
    this.agentControl = await this.control('agent.sock', wellAgent());
    this.hostControl = await this.control('host.sock', wellHost());
    if (transport === 'mqtt') {
      const users = new Map(['android', 'host'].map((party) => [party, `${party}-secret`]));
      this.#broker = await startBroker('tcp:127.0.0.1:0', users);
      this.ending(() => this.#broker!.close());
    } else for (const vm of ['android', 'vault']) await this.listen(`${vm}.stream`);
    this.agent = this.#agentConfig(transport);
    this.host = this.#hostConfig(transport);
    return this;
  }

  /** The locks of an agent that has run its hooks once. */
  async #hooks(): Promise<void> {
    this.locks = new NodeHookLocks(this.at('state'), () => {});
    const taken = await this.locks.take(PANEL.id);
    if (taken.ok) taken.lock.release();
    this.ending(() => this.locks.close());
  }

  /** A touch controller whose input device is inhibited, and a display that is blanked and suspended. */
  #devices(): void {
    const attributes: Readonly<Record<string, string>> = {
      'touch/power/control': 'auto',
      'touch/power/runtime_status': 'active',
      'touch/input/input3/inhibited': '0',
      'touch/input/input3/event3/uevent': 'MAJOR=13\nDEVNAME=input/event3',
      'display/power/control': 'auto',
      'display/power/runtime_status': 'active',
      'display/drm/card0/uevent': 'DEVNAME=dri/card0',
      'display/blank': '0',
    };
    for (const [name, text] of Object.entries(attributes)) this.write(`sys/${name}`, `${text}\n`);
    for (const node of ['input/event3', 'dri/card0']) this.write(`dev/${node}`, '');
  }

  #agentConfig(transport: 'mqtt' | 'stream'): Json {
    const hooks = {
      touch: {
        suspend: [{ kind: 'input-inhibit', input: this.at('sys/touch') }],
        inspect: { kind: 'socket', path: this.at('hook.sock') },
      },
      display: {
        suspend: [
          { kind: 'sysfs', path: this.at('sys/display/blank'), write: '1' },
          { kind: 'runtime-pm', device: this.at('sys/display') },
        ],
      },
    };
    return {
      vm: 'android',
      bundles: 'bundles.json',
      keys: 'android.keys.json',
      transport:
        transport === 'mqtt'
          ? this.#mqtt('android')
          : { kind: 'stream', address: `unix:${this.at('android.stream')}` },
      state: 'state',
      control: 'agent.sock',
      policy: { kind: 'program', command: ['./policy'] },
      hooks: { panel: hooks },
    };
  }

  #hostConfig(transport: 'mqtt' | 'stream'): Json {
    const listen = Object.fromEntries(
      ['android', 'vault'].map((vm) => [vm, `unix:${this.at(`${vm}.stream`)}`]),
    );
    return {
      bundles: 'host.bundles.json',
      keys: 'host.keys.json',
      enforcer: { kind: 'command', command: ['./enforcer'] },
      transport: transport === 'mqtt' ? this.#mqtt('host') : { kind: 'stream', listen },
      state: 'host-state',
      control: 'host.sock',
    };
  }

  #mqtt(party: string): Json {
    return { kind: 'mqtt', url: this.#broker!.url, username: party, passwordFile: `${party}.password` };
  }

  /** Changes a part of the agent's transport. */
  transport(more: Json): void {
    this.agent['transport'] = { ...(this.agent['transport'] as Json), ...more };
  }

  /** The agent's steps of a device. */
  suspend(device: string, ...steps: Json[]): void {
    const { panel } = this.agent['hooks'] as { panel: Record<string, Json> };
    panel[device] = { suspend: steps };
  }

  /** A broker with rules of its own in place of the sound one. */
  async broker(rules: AedesOptions): Promise<void> {
    const aedes = await Aedes.createBroker(rules);
    const server = createServer({ noDelay: true }, (socket) => aedes.handle(socket));
    await this.#listening(server, 0);
    this.ending(() => aedes.close());
    this.transport({ url: `mqtt://127.0.0.1:${(server.address() as { port: number }).port}` });
  }

  /**
   * A broker that answers each packet by a write of its own, as mosquitto does, without its `set_tcp_nodelay`: the
   * kernel holds back the second.
   */
  async slowBroker(): Promise<void> {
    const server = createServer({ noDelay: false }, (socket) =>
      socket.on('data', (bytes) => {
        if (bytes[0] === 0x10) socket.write(Buffer.from([0x20, 2, 0, 0]));
        if (bytes[0] === 0x82) socket.write(Buffer.from([0x90, 3, bytes[2]!, bytes[3]!, 0x80]));
        for (let at = 0; bytes[0] === 0xc0 && at < bytes.length; at += 2)
          socket.write(Buffer.from([0xd0, 0]));
      }),
    );
    await this.#listening(server, 0);
    this.transport({ url: `mqtt://127.0.0.1:${(server.address() as { port: number }).port}` });
  }

  /** Something that takes connections. */
  async listen(name: string, serve: (socket: Socket) => void = () => {}): Promise<void> {
    const server = createServer(serve);
    await this.#listening(server, this.at(name));
    chmodSync(this.at(name), 0o600);
  }

  async #listening(server: Server, where: string | number): Promise<() => Promise<void>> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((done) =>
      typeof where === 'number' ? server.listen(where, '127.0.0.1', done) : server.listen(where, done),
    );
    const close = () =>
      new Promise<void>((done) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => done());
      });
    this.ending(close);
    return close;
  }

  async control(name: string, status: Json): Promise<Control> {
    const server = createServer((socket) => {
      let text = '';
      socket.on('data', (bytes) => {
        text += bytes.toString();
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          const { id, do: what } = JSON.parse(text.slice(0, end)) as Json;
          text = text.slice(end + 1);
          const nowMs = Math.round(CLOCK.nowMs() + made.offMs);
          const answer = { id, ok: true, ...(what === 'describe' ? { nowMs } : made.status) };
          setTimeout(() => socket.write(`${JSON.stringify(answer)}\n`), made.delayMs);
        }
      });
    });
    const close = await this.#listening(server, this.at(name));
    const made: Control = { status, offMs: 0, delayMs: 0, close };
    chmodSync(this.at(name), 0o600);
    return made;
  }

  /** Runs `baton doctor` on the files of these names. */
  async doctor(files: readonly ('agent' | 'host')[], ...args: string[]) {
    this.write('agent.json', JSON.stringify(this.agent));
    this.write('host.json', JSON.stringify(this.host));
    const unit = {
      LoadState: 'loaded',
      ExecStart: `{ argv[]=/usr/bin/baton --config ${this.at('agent.json')} --config ${this.at('host.json')} ; }`,
      Restart: 'on-failure',
      RestartUSec: '1s',
      StartLimitBurst: '5',
      StartLimitIntervalUSec: '0',
      ...this.unit,
    };
    const said = Object.entries(unit).map(([name, value]) => `${name}=${value}`);
    this.write('systemctl', `#!/bin/sh\ncat <<'END'\n${said.join('\n')}\nEND\n`, 0o755);
    const out: string[] = [];
    const machine = {
      ...MACHINE,
      dev: this.at('dev'),
      systemctl: this.at('systemctl'),
      logs: [this.at('denied.log')],
      wallMs: () => this.wallMs(),
    };
    const names = files.map((file) => this.at(`${file}.json`));
    const status = await doctorOn(machine, { out: (line) => out.push(line) }, [...names, ...args]);
    return { status, out };
  }

  /** The lines of `baton doctor --json`. */
  async lines(files: readonly ('agent' | 'host')[], ...args: string[]) {
    const { status, out } = await this.doctor(files, '--json', ...args);
    const { checks, counts } = JSON.parse(out[0]!) as { checks: Line[]; counts: Record<string, number> };
    return { status, checks, counts };
  }

  async end(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A program of an enforcer that describes itself, and answers nothing else. */
export function enforcerProgram(evidence: string): string {
  const hello = {
    name: 'planted',
    kind: 'central',
    evidence,
    machineBoot: 'b1',
    running: ['android', 'vault'],
    capabilities: { forceRevoke: true, reset: true, faultReport: false },
  };
  const lines = [
    '#!/bin/sh',
    'read -r line',
    `case "$line" in *hello*) echo '${JSON.stringify(hello)}';; *) echo '{}';; esac`,
  ];
  return `${lines.join('\n')}\n`;
}
