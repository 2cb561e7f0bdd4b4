/**
 * What a handover's time is made of: how often its messages cross a process boundary, and that nothing is made
 * durable while both drivers stand still. Counted on real sockets, with host and agents as in production.
 */

import type { Duplex } from 'node:stream';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { allowList } from '../../../src/core/agent/policy.ts';
import { HOST, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { Agent } from '../../../src/drivers/agent/agent.ts';
import { Host } from '../../../src/drivers/host/host.ts';
import { HostTable } from '../../../src/drivers/host/table.ts';
import { Link, type LinkParts } from '../../../src/drivers/link/link.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { MqttTransport } from '../../../src/edges/transport/kinds/mqtt/mqtt-transport.ts';
import { StreamRouter } from '../../../src/edges/transport/kinds/stream/stream-router.ts';
import { StreamTransport } from '../../../src/edges/transport/kinds/stream/stream-transport.ts';
import type {
  ByteStream,
  DriverHooks,
  DriverStatus,
  StreamNetwork,
  Transport,
} from '../../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { startBroker } from '../../../targets/lab/simulator/broker.ts';
import { mqttBroker } from '../../../targets/node/net/mqtt.ts';
import { STREAMS } from '../../../targets/node/net/streams.ts';
import { CLOCK } from '../../../targets/node/system/clock.ts';
import { ENTROPY } from '../../../targets/node/system/entropy.ts';
import { temporaryFolder, until } from '../../edges/transport/worlds.ts';
import { MemoryJournal } from '../../support/memory-journal.ts';
import { MemoryRecord } from '../../support/memory-record.ts';
import { pairKey, TERMS } from '../../support/unisolated-world.ts';

/** Another borrower. */
const KIOSK = vmId('kiosk');
const VMS = [ANDROID, VAULT, KIOSK];
const PARTIES = [HOST, ...VMS];
/** What the owner's driver takes at least: the borrower's preparation is done by then. */
const QUIESCE_MS = 20;
const folder = temporaryFolder();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => folder.remove());

/** What happened in a world, in order. A message is told as `kind to receiver`. */
interface Happening {
  readonly what: string;
  /** Of a message. */
  readonly frame?: Uint8Array;
}

/** All bytes that went through sockets, each direction of each socket apart. */
class Wire {
  readonly #ways: Uint8Array[][] = [];

  way(): (bytes: Uint8Array) => void {
    const way: Uint8Array[] = [];
    this.#ways.push(way);
    return (bytes) => way.push(Uint8Array.from(bytes));
  }

  /** How often the bytes of `frame` went from one process to another. */
  crossings(frame: Uint8Array): number {
    return this.#ways.filter((way) => Buffer.concat(way).includes(Buffer.from(frame))).length;
  }

  /** The same sockets, listened to where guests dial them: every stream has a guest at one end. */
  streams(): StreamNetwork {
    return {
      listen: STREAMS.listen,
      connect: (address, done) =>
        STREAMS.connect(address, (stream) => done(stream instanceof Error ? stream : this.#tapped(stream))),
    };
  }

  /** Listens to the socket of a party of the broker; the broker itself is the other end. */
  tap(stream: Duplex): Duplex {
    const [out, into] = [this.way(), this.way()];
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    stream.write = ((bytes: Uint8Array, ...rest: unknown[]) => {
      out(bytes);
      return write(bytes, ...rest);
    }) as typeof stream.write;
    const push = stream.push.bind(stream);
    stream.push = (bytes: Uint8Array | null, encoding) => {
      if (bytes) into(bytes);
      return push(bytes, encoding);
    };
    return stream;
  }

  #tapped(stream: ByteStream): ByteStream {
    const [out, into] = [this.way(), this.way()];
    return {
      ...stream,
      open: (listener) =>
        stream.open({
          ...listener,
          onData: (bytes) => {
            into(bytes);
            listener.onData(bytes);
          },
        }),
      write: (bytes) => {
        out(bytes);
        return stream.write(bytes);
      },
    };
  }
}

/** A link that tells what it sends. */
class ToldLink extends Link {
  readonly #tell: (message: Message, to: VmId) => void;

  constructor(parts: LinkParts, tell: (message: Message, to: VmId) => void) {
    super(parts);
    this.#tell = tell;
  }

  override send(to: VmId, message: Message, hostTime?: Uint8Array): boolean {
    this.#tell(message, to);
    return super.send(to, message, hostTime);
  }
}

/** Host and three agents over real transports, with drivers that do nothing. */
class World {
  readonly happenings: Happening[] = [];
  readonly agents = new Map<VmId, Agent>();
  readonly #links = new Map<VmId, Link>();
  readonly #host: Host;

  constructor(transportOf: (party: VmId) => Transport) {
    const bootId = ENTROPY.random(16);
    this.#host = new Host({
      bundles: [PANEL],
      enforcer: new NoneEnforcer({ bundles: [PANEL], vms: VMS, machineBoot: 'one' }),
      link: this.#link(HOST, transportOf(HOST), bootId),
      clock: CLOCK,
      log: () => {},
      entropy: ENTROPY,
      bootId,
      bounds: new MemoryRecord({ broken: undefined }),
      table: new HostTable(this.#journal()),
      freshTable: () => new HostTable(this.#journal()),
      audit: () => {},
      auditHash: undefined,
    });
    this.#host.start();
    closers.push(() => this.#host.stop());
    for (const vm of VMS) this.#startAgent(vm, transportOf(vm));
  }

  state(vm: VmId): string {
    return this.agents.get(vm)!.views()[0]!.state;
  }

  /** Whether `vm` holds, has resumed, and nothing more is to be said about it. */
  isConfirmed(vm: VmId): boolean {
    const [view] = this.#host.views();
    return view?.holder === vm && view.confirmed && this.state(vm) === 'held';
  }

  /** Whether a request would go through now. */
  isReady(): boolean {
    const hears = (vm: VmId, other: VmId) => this.#links.get(vm)?.isUp(other) ?? false;
    const isMet = [VAULT, KIOSK].every((vm) => hears(ANDROID, vm) && hears(vm, ANDROID));
    const isIdle = [VAULT, KIOSK].every((vm) => this.state(vm) === 'idle');
    return isMet && this.state(ANDROID) === 'held' && isIdle;
  }

  /** What happened from one happening to another, both included, heartbeats left out. */
  between(first: string, last: string): readonly Happening[] {
    const from = this.happenings.findIndex(({ what }) => what === first);
    const to = this.happenings.findIndex(({ what }, index) => index > from && what === last);
    return this.happenings.slice(from, to + 1).filter(({ what }) => !what.startsWith('heartbeat'));
  }

  #startAgent(vm: VmId, transport: Transport): void {
    const agent = new Agent({
      self: vm,
      bundles: [PANEL],
      link: this.#link(vm, transport, ENTROPY.random(16)),
      hooks: this.#driver(vm, vm === ANDROID ? 'active' : 'suspended'),
      policy: allowList([VAULT, KIOSK].map((borrower) => ({ bundle: PANEL.id, borrower }))),
      clock: CLOCK,
      entropy: ENTROPY,
      journal: this.#journal(),
      log: () => {},
    });
    agent.start();
    closers.push(() => agent.stop());
    this.agents.set(vm, agent);
  }

  #driver(vm: VmId, status: DriverStatus): DriverHooks {
    return {
      run: (_bundle, hook, _epoch, done) => {
        const run = () => {
          this.happenings.push({ what: `${hook} in ${vm}` });
          done({ ok: true });
        };
        if (vm === ANDROID && hook === 'suspend') CLOCK.after(QUIESCE_MS, run);
        else run();
      },
      inspect: (_bundle, done) => done(status),
    };
  }

  #journal(): MemoryJournal {
    const journal = new MemoryJournal();
    const append = journal.append.bind(journal);
    journal.append = (record, sync) => {
      if (sync) this.happenings.push({ what: 'sync' });
      append(record, sync);
    };
    const rewrite = journal.rewrite.bind(journal);
    journal.rewrite = (records, isDurable) => {
      if (isDurable !== false) this.happenings.push({ what: 'sync' });
      rewrite(records, isDurable);
    };
    return journal;
  }

  #link(self: VmId, transport: Transport, bootId: Uint8Array): Link {
    let sending: string | undefined;
    const send = transport.send.bind(transport);
    transport.send = (to, frame) => {
      if (sending !== undefined) this.happenings.push({ what: sending, frame: frame.slice() });
      sending = undefined;
      return send(to, frame);
    };
    const parts: LinkParts = {
      self,
      pairKeys: new Map(PARTIES.filter((peer) => peer !== self).map((peer) => [peer, pairKey(self, peer)])),
      bootId,
      bundles: [{ bundle: PANEL.id, digest: bundleDigest(PANEL) }],
      transport,
      clock: CLOCK,
      entropy: ENTROPY,
      log: () => {},
    };
    const link = new ToldLink(parts, (message, to) => {
      sending = `${message.kind} to ${to}`;
    });
    this.#links.set(self, link);
    return link;
  }
}

const own = { clock: CLOCK, entropy: ENTROPY, log: () => {} };

function overStreams(wire: Wire): World {
  const address = (vm: VmId) => `unix:${folder.path}/${vm}.sock`;
  const listen = VMS.map((vm) => ({ vm, address: address(vm) }));
  return new World((self) =>
    self === HOST
      ? new StreamRouter({ listen, streams: STREAMS, clock: CLOCK, log: () => {} })
      : new StreamTransport({ ...own, self, address: address(self), streams: wire.streams() }),
  );
}

async function overBroker(wire: Wire): Promise<World> {
  const passwords = new Map<string, string>(PARTIES.map((party) => [party, `secret of ${party}`]));
  const broker = await startBroker(`unix:${folder.path}/broker.sock`, passwords);
  closers.push(() => broker.close());
  return new World((self) => {
    const settings = mqttBroker({ url: broker.url, username: self, password: passwords.get(self)! });
    const connect: typeof settings.connect = (client) =>
      wire.tap(settings.connect(client) as unknown as Duplex) as never;
    return new MqttTransport({ ...own, self, broker: { ...settings, connect } });
  });
}

/** The messages of a handover that nobody waits for, or that go before anything is dark. */
const PREPARING = ['prepare to host', 'prepared to android', 'handoverPending to vault'];

describe.each([
  {
    ...{ name: 'byte streams by way of the host', make: overStreams, handover: 4, dark: 2, giveBack: 2 },
    ...{ renewal: 4, turn: 9 },
  },
  {
    ...{ name: 'a broker', make: overBroker, handover: 6, dark: 4, giveBack: 4 },
    ...{ renewal: 6, turn: 14 },
  },
])('over $name', ({ make, handover, dark, giveBack, renewal, turn }) => {
  const counter = (wire: Wire) => (path: readonly Happening[], names: readonly string[]) =>
    names.reduce((sum, name) => {
      const sent = path.filter(({ what }) => what === name);
      expect(sent, name).toHaveLength(1);
      return sum + wire.crossings(sent[0]!.frame!);
    }, 0);

  /** A world whose bundle vault has borrowed. */
  const lentWorld = async () => {
    const wire = new Wire();
    const world = await make(wire);
    await until('all know who holds', () => world.isReady() && world.isConfirmed(ANDROID));
    world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    await until('vault holds', () => world.isConfirmed(VAULT) && world.state(ANDROID) === 'lent');
    return { wire, world };
  };

  it('a handover and its way back take the crossings of the design, and nobody waits for a disk', async () => {
    const { wire, world } = await lentWorld();
    const crossings = counter(wire);
    const lent = world.between('requestBorrow to android', 'resume in vault');
    const darkness = world.between('suspend in android', 'resume in vault').map(({ what }) => what);
    const way = ['requestBorrow to android', 'lend to host', 'remapped to vault'];
    const sent = lent.filter(({ frame }) => frame).map(({ what }) => what);
    // Nothing but the way, the preparation, and the owner's copy after that of the borrower.
    expect([...sent].sort()).toEqual([...way, ...PREPARING, 'remapped to android'].sort());
    expect(crossings(lent, way)).toBe(handover);
    expect(darkness).toEqual([
      'suspend in android',
      'lend to host',
      'remapped to vault',
      'remapped to android',
      'resume in vault',
    ]);
    expect(crossings(lent, ['lend to host', 'remapped to vault'])).toBe(dark);
    expect(lent.filter(({ what }) => what === 'sync')).toEqual([]);

    world.agents.get(VAULT)!.giveBack(PANEL.id);
    await until('android has it back', () => world.isReady());
    const back = world.between('suspend in vault', 'resume in android');
    expect(back.map(({ what }) => what)).toEqual([
      'suspend in vault',
      'release to host',
      'remapped to android',
      'remapped to vault',
      'resume in android',
    ]);
    expect(crossings(back, ['release to host', 'remapped to android'])).toBe(giveBack);
  });

  it('a renewal takes the crossings of the design', async () => {
    const { wire, world } = await lentWorld();
    world.agents.get(VAULT)!.renew(PANEL.id, 20_000);
    const way = ['renew to android', 'renewLease to host', 'renewed to vault'];
    await until('it is renewed', () => world.between(way[0]!, way[2]!).length > 0);
    await until('it has arrived', () => (world.agents.get(VAULT)!.views()[0]!.leaseLeftMs ?? 0) > 15_000);
    const path = world.between(way[0]!, way[2]!);
    expect(path.filter(({ what }) => !way.includes(what) && what !== 'renewed to android')).toEqual([]);
    expect(counter(wire)(path, way)).toBe(renewal);
  });

  it('who waits has it soon after it is back, and the owner’s driver is not woken', async () => {
    const { wire, world } = await lentWorld();
    const crossings = counter(wire);
    world.agents.get(KIOSK)!.borrow(PANEL.id, { ...TERMS, waitMs: 20_000 });
    await until('kiosk waits', () => world.state(KIOSK) === 'queued');
    expect(world.agents.get(ANDROID)!.views()[0]!.waiting).toEqual([KIOSK]);
    world.happenings.length = 0;
    world.agents.get(VAULT)!.giveBack(PANEL.id);
    await until('kiosk holds', () => world.isConfirmed(KIOSK) && world.state(ANDROID) === 'lent');

    const [granted, ...path] = world.between('remapped to android', 'resume in kiosk');
    const way = ['offerLease to kiosk', 'acceptLease to android', 'prepare to host'];
    const rest = ['prepared to android', 'lend to host', 'remapped to kiosk'];
    expect(path.filter(({ what }) => what.endsWith(' in android'))).toEqual([]);
    expect(path.filter(({ what }) => what === 'sync')).toEqual([]);
    expect(wire.crossings(granted!.frame!) + crossings(path, [...way, ...rest])).toBe(turn);
  });
});
