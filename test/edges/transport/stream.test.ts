/**
 * What only streams have: names that belong to addresses, shared addresses, connections that take over, turns and
 * allowances.
 */

import { mkdirSync, rmdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import { frameForStream } from '../../../src/core/wire/framing.ts';
import { type ListenPoint, StreamRouter } from '../../../src/edges/transport/kinds/stream/stream-router.ts';
import { StreamTransport } from '../../../src/edges/transport/kinds/stream/stream-transport.ts';
import type { ByteStream, ByteStreamListener, Log, StreamNetwork } from '../../../src/ports/world.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { STREAMS } from '../../../targets/node/net/streams.ts';
import { CLOCK } from '../../../targets/node/system/clock.ts';
import { ENTROPY } from '../../../targets/node/system/entropy.ts';
import { ANDROID, counts, frameOf, LIDAR, numbered, Party, VAULT } from './party.ts';
import { memoryLog, temporaryFolder, until } from './worlds.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** A router with an address for android and one that others share. */
async function rig(log: Log = () => {}) {
  const folder = temporaryFolder();
  const own: ListenPoint = { vm: ANDROID, address: `unix:${folder.path}/android` };
  const shared: ListenPoint = { vm: undefined, address: `unix:${folder.path}/shared` };
  const router = new StreamRouter({ listen: [own, shared], streams: STREAMS, clock: CLOCK, log });
  const host = new Party(HOST, router);
  cleanups.push(folder.remove, () => router.close());
  const guest = (vm: VmId, point: ListenPoint) => {
    const parts = { self: vm, address: point.address, streams: STREAMS, clock: CLOCK, entropy: ENTROPY, log };
    const party = new Party(vm, new StreamTransport(parts));
    cleanups.push(() => party.transport.close());
    return party;
  };
  /** Somebody who keeps no rules: returns a socket that writes frames. */
  const raw = async (point: ListenPoint) => {
    const socket: Socket = connect(point.address.slice(5)).on('error', () => {});
    cleanups.push(() => socket.destroy());
    await new Promise((resolve) => socket.once('connect', resolve));
    return {
      write: (frame: Uint8Array) => socket.write(frameForStream(frame)),
      bytes: (bytes: Uint8Array) => socket.write(bytes),
      isClosed: () => socket.destroyed,
    };
  };
  await until('the host listens', () => host.isUp);
  return { own, shared, router, host, guest, raw, folder: folder.path };
}

describe('a guest on an address of its own', () => {
  test('gets frames before it ever sent one', async () => {
    const { own, host, guest, router } = await rig();
    const android = guest(ANDROID, own);
    await until('android is connected', () => router.connected().includes(ANDROID));
    host.say(ANDROID, 1);
    await until('it arrived', () => android.heard(HOST, 1));
  });

  test.each([
    ['nothing', Uint8Array.of(0, 0, 0, 0)],
    ['more than a frame may be', Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 1)],
  ])('that announces %s is cut off, and may dial again', async (_, bytes) => {
    const { own, host, raw, router } = await rig();
    const mallory = await raw(own);
    mallory.bytes(bytes);
    await until('it is cut off', () => mallory.isClosed());
    expect(router.connected()).toEqual([]);
    const again = await raw(own);
    again.write(numbered(ANDROID, HOST, 3));
    await until('the next one arrived', () => host.heard(ANDROID, 3));
  });

  test('cannot send under another name', async () => {
    const { own, host, raw, router } = await rig();
    const mallory = await raw(own);
    mallory.write(numbered(VAULT, HOST, 1));
    mallory.write(numbered(HOST, HOST, 2));
    mallory.write(numbered(ANDROID, HOST, 3));
    await until('the honest one arrived', () => host.heard(ANDROID, 3));
    expect(host.frames).toHaveLength(1);
    expect(router.counts.malformed).toBe(2);
    expect(router.connected()).toEqual([ANDROID]);
  });

  test('is replaced by its newest connection, which is logged', async () => {
    const { lines, log } = memoryLog();
    const { own, host, raw, router } = await rig(log);
    const older = await raw(own);
    await until('the older is connected', () => router.connected().includes(ANDROID));
    const newer = await raw(own);
    await until('the older is closed', older.isClosed);
    older.write(numbered(ANDROID, HOST, 1));
    newer.write(numbered(ANDROID, HOST, 2));
    await until('the newer is heard', () => host.heard(ANDROID, 2));
    expect(host.heard(ANDROID, 1)).toBe(false);
    expect(router.counts.replaced).toBe(1);
    expect(lines).toContain('warn: a newer connection of the same VM takes over');
  });

  test('drops what is not for it, and survives it', async () => {
    const { own, host, guest, router } = await rig();
    const android = guest(ANDROID, own);
    await until('android is connected', () => router.connected().includes(ANDROID));
    host.transport.send(ANDROID, numbered(HOST, VAULT, 1));
    host.transport.send(ANDROID, Uint8Array.of(1, 2, 3));
    host.say(ANDROID, 2);
    await until('the right one arrived', () => android.heard(HOST, 2));
    expect(android.frames).toHaveLength(1);
    expect(counts(android)).toMatchObject({ malformed: 2, received: 1 });
  });

  test('that floods the host is made to wait, loses nothing, and has one turn for each of another’s', async () => {
    const { own, shared, host, raw, router } = await rig();
    const android = await raw(own);
    const vault = await raw(shared);
    const long = frameOf(ANDROID, HOST, new Uint8Array(4_000));
    for (let sent = 0; sent < 1_000; sent++) android.write(long);
    await until('the flood has come', () => host.frames.length > 0);
    const before = host.frames.length;
    vault.write(numbered(VAULT, HOST, 7));
    await until('the other is heard', () => host.heard(VAULT, 7));
    // What one read of the other's socket takes at most: nobody waits for the whole flood.
    expect(host.frames.length - before).toBeLessThan(300);
    await until('all came', () => router.counts.received === 1_001);
    expect(router.counts.throttled).toBe(0);
  });

  test('that floods another guest is cut down to its allowance, also when it dials again', async () => {
    const { own, shared, guest, raw, router } = await rig();
    const vault = guest(VAULT, shared);
    await until('vault is known', () => {
      vault.say(HOST, 1);
      return router.connected().includes(VAULT);
    });
    const long = frameOf(ANDROID, VAULT, new Uint8Array(4_000));
    const fromMs = CLOCK.nowMs();
    for (let dial = 0; dial < 4; dial++) {
      const android = await raw(own);
      for (let sent = 0; sent < 50; sent++) android.write(long);
      await until('all were seen', () => router.counts.throttled + router.counts.routed === 50 * (dial + 1));
    }
    const most = (128 * 1024 + 256 * (CLOCK.nowMs() - fromMs)) / long.length;
    expect(router.counts.routed).toBeLessThanOrEqual(most);
    expect(router.counts.routed).toBeGreaterThan(20);
  });

  test('that dials without end is refused, and the connection that it has stays', async () => {
    const { own, host, raw, router } = await rig();
    const kept: Awaited<ReturnType<typeof raw>>[] = [];
    for (let dial = 0; dial < 30; dial++) kept.push(await raw(own));
    await until('some were refused', () => router.counts.refused > 10);
    expect(router.counts.replaced).toBeLessThanOrEqual(12);
    await until('one is heard', () => {
      for (const each of kept) each.write(numbered(ANDROID, HOST, 1));
      return host.heard(ANDROID, 1);
    });
  });
});

test('a stream that cannot be held up loses what it sends beyond its room', () => {
  let accept: (stream: ByteStream) => void = () => {};
  const streams = {
    connect: () => {},
    listen: (_address: string, onConnection: typeof accept, done: (error: undefined) => void) => {
      accept = onConnection;
      done(undefined);
      return () => {};
    },
  } as StreamNetwork;
  const clock = new VirtualClock();
  const router = new StreamRouter({ listen: [{ vm: ANDROID, address: 'a' }], streams, clock, log: () => {} });
  const host = new Party(HOST, router);
  let data: (bytes: Uint8Array) => void = () => {};
  const stream = {
    open: ({ onData }: ByteStreamListener) => {
      data = onData;
    },
    write: () => true,
    close: () => {},
  };
  accept(stream);
  for (let sent = 0; sent < 200; sent++) data(frameForStream(frameOf(ANDROID, HOST, new Uint8Array(4_000))));
  clock.advance(10);
  // One at once, and 512 KiB that waited.
  expect(host.frames.length).toBeGreaterThan(120);
  expect(host.frames.length).toBeLessThanOrEqual(132);
  expect(router.counts.throttled).toBe(200 - host.frames.length);
});

test('what was read from a connection after a newer one took over counts for nothing', async () => {
  const connections: ((stream: ByteStream) => void)[] = [];
  const streams: StreamNetwork = {
    connect: () => {},
    listen: (_address, onConnection, done) => {
      connections.push(onConnection);
      done(undefined);
      return () => {};
    },
  };
  const listen = [{ vm: ANDROID, address: 'here' }];
  const host = new Party(HOST, new StreamRouter({ listen, streams, clock: CLOCK, log: () => {} }));
  const accept = () => {
    let opened: ByteStreamListener | undefined;
    connections[0]!({
      open: (listener) => {
        opened = listener;
      },
      write: () => true,
      close: () => {},
    });
    return opened!;
  };
  const [older, newer] = [accept(), accept()];
  older.onData(frameForStream(numbered(ANDROID, HOST, 1)));
  newer.onData(frameForStream(numbered(ANDROID, HOST, 2)));
  older.onClose('late');
  newer.onData(frameForStream(numbered(ANDROID, HOST, 3)));
  await until('what was read last had its turn', () => host.heard(ANDROID, 3));
  expect([1, 2, 3].map((number) => host.heard(ANDROID, number))).toEqual([false, true, true]);
});

describe('guests on a shared address', () => {
  test('are who their first frame says, and stay it', async () => {
    const { shared, host, raw, router } = await rig();
    const vault = await raw(shared);
    vault.write(numbered(VAULT, HOST, 1));
    vault.write(numbered(LIDAR, HOST, 2));
    vault.write(numbered(VAULT, HOST, 3));
    await until('the last one arrived', () => host.heard(VAULT, 3));
    expect(host.frames).toHaveLength(2);
    expect([router.connected(), router.counts.malformed]).toEqual([[VAULT], 1]);
  });

  test.each([
    ['one that has an address of its own', ANDROID],
    ['the host', HOST],
  ])('cannot be %s', async (_what, name) => {
    const { shared, host, raw, router } = await rig();
    const mallory = await raw(shared);
    mallory.write(numbered(name, HOST, 1));
    await until('it is counted', () => router.counts.malformed === 1);
    expect([router.connected(), host.frames]).toEqual([[], []]);
  });

  test('are refused while too many have not said who they are', async () => {
    const { shared, raw, guest, host, own } = await rig();
    const idle = await Promise.all(Array.from({ length: 65 }, () => raw(shared)));
    await until('one is refused', () => idle.filter(({ isClosed }) => isClosed()).length === 1);
    const android = guest(ANDROID, own);
    await until('others come in', () => android.say(HOST, 1) && host.heard(ANDROID, 1));
  });
});

describe('a host', () => {
  test('that cannot listen everywhere serves where it can', async () => {
    const folder = temporaryFolder();
    const { lines, log } = memoryLog();
    const listen = [
      { vm: VAULT, address: `unix:${folder.path}/missing/vault` },
      { vm: ANDROID, address: `unix:${folder.path}/android` },
    ];
    const router = new StreamRouter({ listen, streams: STREAMS, clock: CLOCK, log });
    const host = new Party(HOST, router);
    cleanups.push(folder.remove, () => router.close());
    await until('it is up', () => host.isUp);
    await until('the other is logged', () => lines.some((line) => line.startsWith('error: cannot listen')));
    expect(host.ups).toBe(1);
  });

  test('that writes no frames is left and dialled again', async () => {
    const folder = temporaryFolder();
    let connections = 0;
    let isListening = false;
    const stop = STREAMS.listen(
      `unix:${folder.path}/host`,
      (stream) => {
        connections += 1;
        stream.open({ onData: () => {}, onClose: () => {} });
        stream.write(Uint8Array.of(0, 0, 0, 0));
      },
      () => {
        isListening = true;
      },
    );
    await until('it listens', () => isListening);
    const address = `unix:${folder.path}/host`;
    const parts = { self: VAULT, address, streams: STREAMS, clock: CLOCK, entropy: ENTROPY, log: () => {} };
    const vault = new Party(VAULT, new StreamTransport(parts));
    cleanups.push(folder.remove, stop, () => vault.transport.close());
    await until('it came back', () => connections === 2);
    expect(counts(vault).malformed).toBeGreaterThan(0);
    expect(vault.downs[0]).toContain('the other end does not send frames of Baton');
  });
});

describe('sockets of this machine', () => {
  test('a socket file of a process that is gone is taken over, one that answers is not', async () => {
    const { own, router } = await rig();
    const second = await new Promise<Error | undefined>((resolve) => {
      STREAMS.listen(own.address, () => {}, resolve);
    });
    expect(second?.message).toContain('another process listens there');
    router.close();
  });

  test('whoever listens already hears nothing of a second one that tries', async () => {
    const folder = temporaryFolder();
    const address = `unix:${folder.path}/host`;
    let connections = 0;
    const listen = () =>
      new Promise<{ error: Error | undefined; stop: () => void }>((resolve) => {
        const stop: () => void = STREAMS.listen(
          address,
          (stream) => {
            connections += 1;
            stream.close();
          },
          (error) => resolve({ error, stop: () => stop() }),
        );
      });
    const first = await listen();
    cleanups.push(folder.remove);
    const second = await listen();
    expect(second.error?.message).toContain('another process listens there');
    // One that came by itself: a connection of the second would have come before it.
    STREAMS.connect(address, () => {});
    await until('the connection came', () => connections > 0);
    expect(connections).toBe(1);
    first.stop();
    const third = await listen();
    expect(third.error).toBeUndefined();
    third.stop();
  });

  test('what could not be listened at can be when the reason is gone', async () => {
    const folder = temporaryFolder();
    cleanups.push(folder.remove);
    const path = join(folder.path, 'host');
    const listen = () =>
      new Promise<{ error: Error | undefined; stop: () => void }>((resolve) => {
        const stop: () => void = STREAMS.listen(
          `unix:${path}`,
          () => {},
          (error) => resolve({ error, stop: () => stop() }),
        );
      });
    mkdirSync(path);
    expect((await listen()).error?.message).toContain('EADDRINUSE');
    rmdirSync(path);
    const { error, stop } = await listen();
    expect(error).toBeUndefined();
    stop();
  });

  test.each(['', 'unix:', 'tcp:host', 'tcp:host:99999', '/path'])('%j is not an address', (address) => {
    expect(() => STREAMS.connect(address, () => {})).toThrow(
      /is not an address: .*expected|is not an address: port 99999: expected/,
    );
  });
});
