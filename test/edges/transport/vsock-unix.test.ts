/**
 * vsock in the form of Firecracker and Cloud Hypervisor, in both directions, with a VMM that behaves and one that
 * does not.
 */

import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseVsockUnix, withVsockUnix } from '../../../src/edges/transport/vsock-unix.ts';
import type { ByteStream, StreamNetwork } from '../../../src/ports/world.ts';
import { FakeVmm } from '../../../targets/lab/testbed/fake-vmm.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { STREAMS } from '../../../targets/node/net/streams.ts';
import { describeWire } from './compliance.ts';
import { GUESTS } from './party.ts';
import { streamWorld, temporaryFolder, until } from './worlds.ts';

let folder: ReturnType<typeof temporaryFolder>;
let vmm: FakeVmm;
beforeEach(async () => {
  folder = temporaryFolder();
  vmm = new FakeVmm(`${folder.path}/vmm`);
  await vmm.listen();
});
afterEach(() => {
  vmm.close();
  folder.remove();
});

const dial = (port: number) =>
  new Promise<ByteStream>((done, reject) =>
    STREAMS.connect(`vsock-unix:${vmm.path}:${port}`, (result) =>
      result instanceof Error ? reject(result) : done(result),
    ),
  );

/** What a stream says, and its end. */
function hear(stream: ByteStream) {
  const heard = { text: '', end: undefined as string | undefined };
  stream.open({
    onData: (bytes) => {
      heard.text += Buffer.from(bytes).toString('latin1');
    },
    onClose: (reason) => {
      heard.end = reason;
    },
  });
  return heard;
}

describe('the host dials its guest', () => {
  it('and speaks to the port that it names; what comes with the answer is not lost', async () => {
    let said = '';
    vmm.guest.set(52, (socket) => {
      socket.write('early');
      socket.on('data', (bytes) => {
        said += bytes;
        socket.end(' and late');
      });
      socket.resume();
    });
    const stream = await dial(52);
    const heard = hear(stream);
    stream.write(Buffer.from('hello'));
    await until('both have heard', () => said === 'hello' && heard.text === 'early and late');
    await until('the end is told', () => heard.end === 'closed by the peer');
  });

  it('and is told that nobody listens there', async () => {
    await expect(dial(53)).rejects.toThrow(
      'closed by the VMM: does a program in the guest listen on this port?',
    );
  });

  it('and is told what else was answered', async () => {
    for (const answer of ['NO\n', 'OK\n', 'OK 12x\n', `OK ${'1'.repeat(100)}`]) {
      vmm.wrongAnswer = answer;
      await expect(dial(52)).rejects.toThrow('expected "OK" and a number from the VMM');
    }
  });

  it('and is told that there is no VMM', async () => {
    vmm.close();
    await expect(dial(52)).rejects.toThrow(/^vsock-unix:.*connect (ECONNREFUSED|ENOENT)/);
  });

  it('and waits for its word no longer than 5 s', () => {
    const clock = new VirtualClock();
    const silent: ByteStream = { open: () => {}, write: () => true, close: () => {} };
    const network: StreamNetwork = { connect: (_, done) => done(silent), listen: () => () => {} };
    let result: ByteStream | Error | undefined;
    withVsockUnix(network, clock).connect('vsock-unix:/vmm:52', (found) => {
      result = found;
    });
    clock.advance(4_999);
    expect(result).toBeUndefined();
    clock.advance(1);
    expect(String(result)).toContain('no answer from the VMM within 5000 ms');
  });
});

it('a guest that dials its host arrives at the listener of that port', async () => {
  const heard: ReturnType<typeof hear>[] = [];
  const stop = await new Promise<() => void>((done, reject) => {
    const end = STREAMS.listen(
      `vsock-unix:${vmm.path}:5001`,
      (stream) => heard.push(hear(stream)),
      (error) => (error ? reject(error) : done(end)),
    );
  });
  vmm.dial(5001).write('from the guest');
  await until('it is heard', () => heard[0]?.text === 'from the guest');
  stop();
});

it('of an address only this form is understood', () => {
  expect(parseVsockUnix('vsock-unix:/a:b/c:52')).toEqual({ path: '/a:b/c', port: 52 });
  for (const other of ['vsock-unix:/a', 'vsock-unix::1', 'unix:/a:1', 'vsock:3:1'])
    expect(parseVsockUnix(other)).toBeUndefined();
});

const shared = temporaryFolder();
/** Every guest has a VMM of its own, whose guest hands each connection on to the host, as a guest's kernel does. */
describeWire('streams over the UNIX form of vsock', async () => {
  const vmms = await Promise.all(
    GUESTS.map(async (vm, index) => {
      const own = new FakeVmm(`${shared.path}/${vm}-${Math.random().toString(36).slice(2)}`);
      await own.listen();
      own.guest.set(5_000 + index, (socket: Socket) => {
        const on = own.dial(5_000 + index);
        on.on('close', () => socket.destroy());
        socket.on('close', () => on.destroy());
        socket.pipe(on).pipe(socket);
      });
      return own;
    }),
  );
  const addresses = new Map(
    GUESTS.map((vm, index) => [vm, `vsock-unix:${vmms[index]!.path}:${5_000 + index}`]),
  );
  const world = streamWorld(addresses, undefined, {
    reach: (address) => {
      const { path, port } = parseVsockUnix(address)!;
      return connect(`${path}_${port}`);
    },
  });
  return {
    ...world,
    close: async () => {
      await world.close();
      for (const own of vmms) own.close();
    },
  };
});
