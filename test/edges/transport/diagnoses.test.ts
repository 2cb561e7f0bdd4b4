/**
 * A fault is told in the same words whatever carries the frames: a name that two processes have, keys that differ, a
 * name that nobody knows, bundle files that differ, who does not answer, a way that is gone. One table, over every
 * transport that needs nothing but Node.
 */

import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type BundleId, HOST, type Incarnation, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import { routeOf } from '../../../src/core/wire/envelope.ts';
import { FRAME_BYTES_MAX } from '../../../src/core/wire/limits.ts';
import type { PeerView } from '../../../src/core/wire/peer-view.ts';
import { OUSTED_HINT, TWIN_HINT, TwinWatch } from '../../../src/core/wire/twins.ts';
import { Link } from '../../../src/drivers/link/link.ts';
import { BROKEN, DOES_NOT_READ, whyNot } from '../../../src/edges/transport/complaints.ts';
import { MqttTransport } from '../../../src/edges/transport/kinds/mqtt/mqtt-transport.ts';
import { StreamRouter } from '../../../src/edges/transport/kinds/stream/stream-router.ts';
import { StreamTransport } from '../../../src/edges/transport/kinds/stream/stream-transport.ts';
import { MemoryNetwork } from '../../../src/edges/transport/memory.ts';
import { parseVsockUnix } from '../../../src/edges/transport/vsock-unix.ts';
import type { Clock, Log, Transport } from '../../../src/ports/world.ts';
import { startBroker } from '../../../targets/lab/simulator/broker.ts';
import { FakeVmm } from '../../../targets/lab/testbed/fake-vmm.ts';
import { mqttBroker } from '../../../targets/node/net/mqtt.ts';
import { STREAMS } from '../../../targets/node/net/streams.ts';
import { CLOCK } from '../../../targets/node/system/clock.ts';
import { ENTROPY } from '../../../targets/node/system/entropy.ts';
import { pairKey } from '../../support/unisolated-world.ts';
import { ANDROID, longestFrame, numbered, VAULT } from './party.ts';
import { freePorts, temporaryFolder, until } from './worlds.ts';

/** Time of links and transports goes so much faster than that of this test. */
const SPEED = 20;
const FAST: Clock = {
  nowMs: () => CLOCK.nowMs() * SPEED,
  soon: CLOCK.soon,
  after: (ms, fire) => CLOCK.after(ms / SPEED, fire),
};
const VOLT = vmId('volt');
const folder = temporaryFolder();
afterAll(() => folder.remove());
let worlds = 0;

/** A network that has room for host, android and vault; `as` is the place or login that a party comes with. */
interface Net {
  transport(self: VmId, log: Log, as?: VmId): Transport;
  /** The middle goes away: the host's sockets, or the broker. */
  break(): Promise<void>;
  close(): Promise<void>;
}

function streamNet(addresses: ReadonlyMap<VmId, string>, more: () => void = () => {}): Net {
  let router: StreamRouter | undefined;
  return {
    transport: (self, log, as = self) => {
      if (self !== HOST)
        return new StreamTransport({
          self,
          address: addresses.get(as)!,
          streams: STREAMS,
          clock: FAST,
          entropy: ENTROPY,
          log,
        });
      const listen = [...addresses].map(([vm, address]) => ({ vm, address }));
      router = new StreamRouter({ listen, streams: STREAMS, clock: FAST, log });
      return router;
    },
    break: async () => router?.close(),
    close: async () => more(),
  };
}

const NETS: Readonly<Record<string, () => Promise<Net>>> = {
  'UNIX sockets': async () => {
    worlds += 1;
    return streamNet(new Map([ANDROID, VAULT].map((vm) => [vm, `unix:${folder.path}/${worlds}-${vm}`])));
  },
  TCP: async () => {
    const ports = await freePorts(2);
    return streamNet(new Map([ANDROID, VAULT].map((vm, i) => [vm, `tcp:127.0.0.1:${ports[i]}`])));
  },
  'the UNIX form of vsock': async () => {
    worlds += 1;
    const vmms: FakeVmm[] = [];
    const addresses = new Map<VmId, string>();
    for (const [index, vm] of [ANDROID, VAULT].entries()) {
      const vmm = new FakeVmm(`${folder.path}/${worlds}-${vm}`);
      await vmm.listen();
      vmm.guest.set(5_000 + index, (socket: Socket) => {
        const { path, port } = parseVsockUnix(`vsock-unix:${vmm.path}:${5_000 + index}`)!;
        const on = connect(`${path}_${port}`).on('error', () => {});
        on.on('close', () => socket.destroy());
        socket.on('close', () => on.destroy());
        socket.pipe(on).pipe(socket);
      });
      vmms.push(vmm);
      addresses.set(vm, `vsock-unix:${vmm.path}:${5_000 + index}`);
    }
    return streamNet(addresses, () => {
      for (const vmm of vmms) vmm.close();
    });
  },
  MQTT: async () => {
    worlds += 1;
    const passwords = new Map([HOST, ANDROID, VAULT, VOLT].map((vm) => [vm as string, `of ${vm}`]));
    const broker = await startBroker(`unix:${folder.path}/${worlds}-broker`, passwords);
    let isOpen = true;
    const end = async () => {
      if (isOpen) await broker.close();
      isOpen = false;
    };
    return {
      transport: (self, log) => {
        const settings = mqttBroker({ url: broker.url, username: self, password: `of ${self}` });
        return new MqttTransport({ self, broker: settings, clock: FAST, entropy: ENTROPY, log });
      },
      break: end,
      close: end,
    };
  },
};

/** A party that keeps what it logs. */
class Talker {
  readonly lines: string[] = [];
  readonly mismatches: string[] = [];
  readonly link: Link;
  #cancel: () => void = () => {};

  constructor(net: Net, self: VmId, { key = pairKey, digest = 1, as = self } = {}) {
    const log: Log = (level, message, fields = {}) => {
      if (level !== 'debug') this.lines.push(`${message} ${JSON.stringify(fields)}`);
    };
    const peers = [HOST, ANDROID, VAULT].filter((peer) => peer !== self);
    this.link = new Link({
      self,
      pairKeys: new Map(peers.map((peer) => [peer, key(self, peer)])),
      bootId: ENTROPY.random(16),
      bundles: [{ bundle: 'panel' as BundleId, digest: new Uint8Array(32).fill(digest) }],
      transport: net.transport(self, log, as),
      clock: FAST,
      entropy: ENTROPY,
      log,
    });
    this.link.open({
      onMessage() {},
      onUp() {},
      onDown() {},
      onDigestMismatch: (peer) => this.mismatches.push(peer),
      incarnationOf: () => 1 as Incarnation,
    });
  }

  /** As the host does once a second; whoever has another session with it cannot read them. */
  beat(): void {
    this.link.broadcast({ kind: 'heartbeat' }, new Uint8Array(16));
    this.#cancel = FAST.after(1_000, () => this.beat());
  }

  close(): void {
    this.#cancel();
    this.link.close();
  }

  view(peer: VmId): PeerView {
    return this.link.peers().find((each) => each.peer === peer)!;
  }

  hint(peer: VmId): string {
    return this.view(peer).hint ?? '';
  }

  said(words: string): boolean {
    return this.lines.some((line) => line.includes(words));
  }
}

describe.each(Object.entries(NETS))('over %s', (_, make) => {
  let net: Net;
  const talkers: Talker[] = [];
  const talker = (self: VmId, parts: ConstructorParameters<typeof Talker>[2] = {}) => {
    const made = new Talker(net, self, parts);
    talkers.push(made);
    return made;
  };
  afterEach(async () => {
    for (const each of talkers.splice(0)) each.close();
    await net.close();
  });

  it('a name that two processes have is told by the host and by the two, in log and status', async () => {
    net = await make();
    const host = talker(HOST);
    host.beat();
    const [one, two] = [talker(VAULT), talker(VAULT)];
    await until('the host says it', () => host.said(TWIN_HINT) && host.hint(VAULT) === TWIN_HINT);
    const [first, second] = [one, two].map(
      (each) => () => each.said(OUSTED_HINT) && each.hint(HOST) === OUSTED_HINT,
    );
    await until('one of the two says it', () => first!() || second!());
  });

  it('keys that differ', async () => {
    net = await make();
    const host = talker(HOST);
    const vault = talker(VAULT, {
      key: (self, peer) => pairKey(self, peer).map((byte) => byte ^ 1) as Uint8Array<ArrayBuffer>,
    });
    await until('both say it', () =>
      [vault.hint(HOST), host.hint(VAULT)].every((hint) => hint.includes('do not verify: do both key files')),
    );
    await until('it is in the log', () => vault.said('no session: its frames do not verify'));
  });

  it('a name that nobody knows', async () => {
    net = await make();
    const host = talker(HOST);
    talker(VOLT, { as: VAULT });
    await until('the host says it', () => host.said('frame dropped: it says it is from volt'));
  });

  it('bundle files that differ', async () => {
    net = await make();
    const host = talker(HOST);
    const vault = talker(VAULT, { digest: 2 });
    await until('both know it', () => host.mismatches.includes(VAULT) && vault.mismatches.includes(HOST));
  });

  it('one that does not answer', async () => {
    net = await make();
    const host = talker(HOST);
    const vault = talker(VAULT);
    await until('there is a session', () => vault.view(HOST).up);
    expect(host.hint(ANDROID)).toBe(
      'no answer: does it run, reach the same broker or host, and know this party?',
    );
    await until(
      'it is in the log',
      () => vault.said('no session: no answer') && host.said('no session: no answer'),
    );
  });

  it('a way that is gone, once', async () => {
    net = await make();
    talker(HOST);
    const vault = talker(VAULT);
    await until('there is a session', () => vault.view(HOST).up);
    await net.break();
    await until('it is told', () =>
      vault.lines.some((line) => /^not connected to the (host|broker) at .*, trying again: /.test(line)),
    );
  });
});

describe('a twin', () => {
  const boot = (byte: number) => new Uint8Array(16).fill(byte);

  it('is one whose boot comes back, however many restarts come in between', () => {
    const watch = new TwinWatch();
    for (const [index, byte] of [1, 2, 3, 4].entries())
      expect(watch.sessionUp(boot(byte), index)).toBeUndefined();
    expect(watch.sessionUp(boot(2), 10)).toBe(TWIN_HINT);
    expect(watch.sessionUp(boot(4), 20)).toBeUndefined();
    expect([watch.hint(60_019), watch.hint(60_020)]).toEqual([TWIN_HINT, undefined]);
    expect(watch.sessionUp(boot(2), 70_000)).toBe(TWIN_HINT);
  });

  it('is nobody who restarts a hundred times, nor who has a new session now and then', () => {
    const watch = new TwinWatch();
    for (let i = 0; i < 100; i++) expect(watch.sessionUp(boot(i), i * 1_000)).toBeUndefined();
    for (let i = 0; i < 100; i++) expect(watch.sessionUp(boot(99), 100_000 + i * 20_000)).toBeUndefined();
  });

  it('that ousts us shows in a peer that begins again and again', () => {
    const watch = new TwinWatch();
    const told = Array.from({ length: 8 }, (_, i) => watch.sessionUp(boot(1), i * 2_000));
    expect(told.filter(Boolean)).toEqual([OUSTED_HINT]);
    expect(watch.hint(80_000)).toBeUndefined();
  });

  it('of a network in memory is told as well: sessions are all that counts', async () => {
    const network = new MemoryNetwork(FAST, () => 0.5);
    const net: Net = {
      transport: (self) => network.transport(self),
      break: async () => {},
      close: async () => {},
    };
    const host = new Talker(net, HOST);
    const one = new Talker(net, VAULT);
    await until('the first is up', () => one.view(HOST).up);
    const two = new Talker(net, VAULT);
    await until('the second is up', () => two.view(HOST).up);
    // The first takes the place back.
    network.transport(VAULT).open(one.link);
    await until('the host says it', () => {
      one.link.renew(HOST);
      return host.hint(VAULT) === TWIN_HINT;
    });
    for (const { link } of [host, one, two]) link.close();
  });
});

describe('a frame that is dropped', () => {
  it.each<[string, Uint8Array, VmId | undefined, string | undefined]>([
    ['is sound', numbered(VAULT, HOST, 1), undefined, undefined],
    ['is sound, from whom it says', numbered(VAULT, HOST, 1), VAULT, undefined],
    ['says that it is from another', numbered(VAULT, HOST, 1), ANDROID, 'it says it is from vault'],
    ['is for another', numbered(VAULT, ANDROID, 1), undefined, 'it is for android'],
    ['is none', Uint8Array.of(1, 2, 3), undefined, 'not an envelope'],
    ['is too long', new Uint8Array(FRAME_BYTES_MAX + 1), undefined, BROKEN],
  ])('one that %s', (_, frame, sender, words) => {
    expect(whyNot(frame, routeOf(frame), HOST, sender)).toBe(words);
  });

  it('since its receiver does not read is told by every transport', async () => {
    for (const [name, make] of Object.entries(NETS)) {
      const net = await make();
      const lines: string[] = [];
      const log: Log = (_, message, fields) => lines.push(`${message} ${JSON.stringify(fields)}`);
      const silent = { onFrame() {}, onUp() {}, onDown() {} };
      const host = net.transport(HOST, log);
      host.open(silent);
      const vault = net.transport(VAULT, log);
      let isUp = false;
      vault.open({ ...silent, onUp: () => (isUp = true) });
      await until(`${name}: there is a way`, () => isUp && host.send(VAULT, numbered(HOST, VAULT, 1)));
      // In one go, so that nobody can take anything out.
      for (const [transport, from, to] of [
        [host, HOST, VAULT],
        [vault, VAULT, HOST],
      ] as const) {
        const frame = longestFrame(from, to);
        for (let i = 0; i < 10_000 && transport.send(to, frame); i++);
      }
      expect(
        lines.filter((line) => line.startsWith(DOES_NOT_READ)).map((line) => line.includes('"to":"vault"')),
        name,
      ).toContain(true);
      expect(
        lines.filter((line) => line.startsWith(DOES_NOT_READ)).map((line) => line.includes('"to":"host"')),
        name,
      ).toContain(true);
      for (const transport of [host, vault]) transport.close();
      await net.close();
    }
  });
});
