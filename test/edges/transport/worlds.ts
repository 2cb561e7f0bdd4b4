/**
 * The worlds that the compliance suite runs in: memory, byte streams through the host's router, an MQTT broker.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IClientOptions } from 'mqtt';
import { connectAsync } from 'mqtt';
import { expect, vi } from 'vitest';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import { MqttTransport } from '../../../src/edges/transport/kinds/mqtt/mqtt-transport.ts';
import { StreamRouter } from '../../../src/edges/transport/kinds/stream/stream-router.ts';
import { StreamTransport } from '../../../src/edges/transport/kinds/stream/stream-transport.ts';
import { MemoryNetwork } from '../../../src/edges/transport/memory.ts';
import type { Log } from '../../../src/ports/world.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { mqttBroker } from '../../../targets/node/net/mqtt.ts';
import { parseAddress, STREAMS } from '../../../targets/node/net/streams.ts';
import { CLOCK } from '../../../targets/node/system/clock.ts';
import { ENTROPY } from '../../../targets/node/system/entropy.ts';
import { paced } from '../../support/pace.ts';
import type { WireWorld, World } from './compliance.ts';
import { frameOf, GUESTS, numbered, PARTIES, Party } from './party.ts';

/** Longest wait of a test for something that takes milliseconds. */
const PATIENCE_MS = paced(5_000);

/** Waits in real time. */
export function until(what: string, condition: () => boolean): Promise<void> {
  return vi.waitFor(() => expect(condition(), what).toBe(true), { timeout: PATIENCE_MS, interval: 2 });
}

const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A folder that is gone after `remove`. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'baton-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Returns ports of the loopback interface that nobody uses. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = servers.map(
    (server) =>
      new Promise<number>((resolve) =>
        server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
      ),
  );
  const found = await Promise.all(ports);
  for (const server of servers) server.close();
  return found;
}

/** Log lines that a test can look at. */
export function memoryLog(): { readonly lines: string[]; readonly log: Log } {
  const lines: string[] = [];
  return { lines, log: (level, message) => lines.push(`${level}: ${message}`) };
}

/** A network in memory, in virtual time. */
export async function memoryWorld(): Promise<World> {
  const clock = new VirtualClock();
  const network = new MemoryNetwork(clock, () => 0.5);
  let host: Party | undefined;
  const setCut = (cut: boolean) => {
    for (const vm of PARTIES) network.setCut(vm, cut);
  };
  return {
    party: (vm) => {
      const party = new Party(vm, network.transport(vm));
      if (vm === HOST) host = party;
      return party;
    },
    until: async (what, condition) => {
      for (let ms = 0; ms < PATIENCE_MS && !condition(); ms++) clock.advance(1);
      expect(condition(), what).toBe(true);
    },
    breathe: async () => clock.advance(1),
    interrupt: async () => setCut(true),
    mend: async () => {
      setCut(false);
      return host!;
    },
    close: async () => {},
  };
}

/** Where each VM's stream goes. */
export type Addresses = ReadonlyMap<VmId, string>;

/** Returns a UNIX socket for each guest in `folder`. */
export function unixAddresses(folder: string): Addresses {
  return new Map(GUESTS.map((vm) => [vm, `unix:${folder}/${vm}`]));
}

/** The host's router at these addresses and guests that dial it. */
export function streamWorld(
  addresses: Addresses,
  log: Log = () => {},
  /** Where router and guests have their streams from, and the socket that a guest's address leads to. */
  { streams = STREAMS, reach = (address: string) => connect(parseAddress(address)) } = {},
): WireWorld & { router(): StreamRouter } {
  const parties: Party[] = [];
  const sockets: Socket[] = [];
  let router: StreamRouter;
  const openHost = () => {
    const listen = [...addresses].map(([vm, address]) => ({ vm, address }));
    router = new StreamRouter({ listen, streams, clock: CLOCK, log });
    const host = new Party(HOST, router);
    parties.push(host);
    return host;
  };
  const dial = async (vm: VmId) => {
    const socket = reach(addresses.get(vm)!);
    sockets.push(socket.on('error', () => {}));
    await new Promise((resolve) => socket.once('connect', resolve));
    return socket;
  };
  return {
    router: () => router,
    party: (vm) => {
      if (vm === HOST) return openHost();
      const address = addresses.get(vm)!;
      const parts = { self: vm, address, streams, clock: CLOCK, entropy: ENTROPY, log };
      const party = new Party(vm, new StreamTransport(parts));
      parties.push(party);
      return party;
    },
    until,
    breathe,
    interrupt: async () => router.close(),
    mend: async () => openHost(),
    stall: async (vm) => {
      (await dial(vm)).pause();
      await until(`${vm} is connected`, () => router.connected().includes(vm));
    },
    garbage: async (vm) => {
      const other = PARTIES.find((party) => party !== vm && party !== HOST)!;
      const withLength = (frame: Uint8Array) => [0, 0, frame.length >> 8, frame.length & 0xff, ...frame];
      const pieces = [
        [0, 0, 0, 0],
        [0, 0, 32, 1],
        [255, 255, 255, 255, 1, 2, 3],
        withLength(randomBytes(100)),
        withLength(numbered(other, HOST, 1)),
        withLength(numbered(HOST, other, 1)),
      ];
      const before = router.counts.malformed;
      for (const [index, piece] of pieces.entries()) {
        (await dial(vm)).end(Uint8Array.from(piece));
        await until(`${piece.slice(0, 8)} is counted`, () => router.counts.malformed > before + index);
      }
      expect(router.counts.malformed).toBe(before + pieces.length);
      (await dial(vm)).end(Uint8Array.from(withLength(frameOf(vm, HOST, randomBytes(50))).slice(0, 60)));
      await until('the truncated one is gone', () => sockets.every(({ destroyed }) => destroyed));
    },
    close: async () => {
      for (const { transport } of parties) transport.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A broker that a test can stop and start again at the same place. */
export interface TestBroker {
  readonly url: string;
  readonly passwords: ReadonlyMap<string, string>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** One random password for each party. */
export function randomPasswords(): ReadonlyMap<string, string> {
  return new Map(PARTIES.map((vm) => [vm, randomBytes(12).toString('hex')]));
}

/** Everybody at one broker. */
export async function mqttWorld(
  broker: TestBroker,
  options: { readonly protocol: '3.1.1' | '5'; readonly log?: Log; readonly qos?: 0 | 1 },
): Promise<WireWorld> {
  await broker.start();
  const { protocol, log = () => {}, ...qos } = options;
  const parties: Party[] = [];
  let lastSocket: Socket | undefined;
  const open = (vm: VmId) => {
    const password = broker.passwords.get(vm)!;
    const settings = mqttBroker({ url: broker.url, protocol, username: vm, password });
    const connectBroker: typeof settings.connect = (client) => {
      const stream = settings.connect(client);
      lastSocket = stream as unknown as Socket;
      return stream;
    };
    const parts = { self: vm, clock: CLOCK, entropy: ENTROPY, log, ...qos };
    const party = new Party(
      vm,
      new MqttTransport({ ...parts, broker: { ...settings, connect: connectBroker } }),
    );
    parties.push(party);
    return party;
  };
  return {
    party: open,
    until,
    breathe,
    interrupt: () => broker.stop(),
    mend: async () => {
      await broker.start();
      return parties.find(({ vm }) => vm === HOST)!;
    },
    stall: async (vm) => {
      const party = open(vm);
      await until(`${vm} is up`, () => party.isUp);
      lastSocket!.unpipe();
      lastSocket!.pause();
    },
    garbage: async (vm) => {
      const raw = await rawClient(broker, vm, { protocolVersion: protocol === '5' ? 5 : 4 });
      const to = parties.find((party) => party.vm !== vm && party.vm !== HOST)!;
      const { counts } = to.transport as MqttTransport;
      const pieces = [[], randomBytes(100), numbered(HOST, to.vm, 1), numbered(vm, HOST, 1)].map((piece) =>
        Buffer.from(piece),
      );
      for (const piece of pieces) {
        const before = counts.malformed;
        await raw.publishAsync(`baton/machine/${to.vm}/in/${vm}`, piece, { qos: 1 });
        await until(`${piece.toString('hex')} is counted`, () => counts.malformed === before + 1);
      }
      await raw.endAsync(true);
    },
    close: async () => {
      for (const { transport } of parties) transport.close();
      await broker.stop();
    },
  };
}

/** A client of the broker that keeps no rule of ours, under the user name of `vm`. */
export function rawClient(
  broker: Pick<TestBroker, 'url' | 'passwords'>,
  vm: string,
  options: IClientOptions = {},
) {
  const password = broker.passwords.get(vm) ?? 'wrong';
  return connectAsync(broker.url, { username: vm, password, reconnectPeriod: 0, ...options });
}
