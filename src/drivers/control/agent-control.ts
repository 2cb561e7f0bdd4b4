/**
 * The agent's control socket: the public API of an agent (docs/PROTOCOL.md, "Control socket").
 *
 * JSON lines. A bundle is tied to the connection that borrows it, and is released when the connection closes. One
 * connection at a time borrows a bundle.
 */

import { idOf, type Json, Lines } from '../../common/lines.ts';
import { nearest } from '../../common/near.ts';
import type { AgentNotice } from '../../core/agent/agent-io.ts';
import type { BundleView } from '../../core/agent/agent-view.ts';
import { type BundleId, HOST } from '../../core/protocol/ids.ts';
import type { ByteStream, Clock, Log } from '../../ports/world.ts';
import type { Agent } from '../agent/agent.ts';
import { BORROW_DEFAULTS, number, offerOf, RequestError, SLEEP_DEFAULTS, termsOf } from './agent-requests.ts';
import { Past } from './past.ts';

/** Most connections at a time: a few programs and a few users. */
export const CONNECTIONS_MAX = 32;

/** Most requests that wait for one return. */
const RETURNS_MAX = 8;

interface Client {
  readonly lines: Lines;
  watches: boolean;
  /** Bundles it borrows. */
  readonly borrows: Map<BundleId, Borrowing>;
}

interface Borrowing {
  /** Id of the borrow request. */
  readonly request: unknown;
  /** The last progress reported to a client that asked for progress. */
  told: string | undefined;
  granted: boolean;
  /** Id of the renewal request that is not answered yet. */
  renewing: { readonly id: unknown } | undefined;
  /** Clients that wait for the return, with their request ids. */
  readonly returning: { readonly client: Client; readonly id: unknown }[];
}

/** Serves the control connections of one agent. */
export class AgentControl {
  readonly #agent: Agent;
  readonly #log: Log;
  readonly #clients = new Set<Client>();
  readonly #past: Past;
  readonly #clock: Clock;
  readonly #version: string | undefined;

  /** `version`: of the program, for `status`; absent: it does not say. */
  constructor(agent: Agent, log: Log, clock: Clock, version?: string) {
    this.#clock = clock;
    this.#version = version;
    this.#past = new Past(clock);
    this.#agent = agent;
    this.#log = log;
    agent.on('notice', (bundle, notice) => this.#onNotice(bundle, notice));
    agent.on('changed', (bundle) => this.#onChanged(bundle));
    agent.on('hostUp', () => this.#tellWatchers({ event: 'hostUp' }));
    agent.on('hostDown', (reason) => this.#tellAll({ event: 'hostDown', reason }));
  }

  /** Serves a new connection. */
  accept(stream: ByteStream): void {
    const client: Client = {
      lines: new Lines(stream, {
        onLine: (request) => this.#serve(client, request),
        onBad: (message) => client.lines.send({ ok: false, error: { code: 'badRequest', message } }),
        onClose: () => this.#closed(client),
      }),
      watches: false,
      borrows: new Map(),
    };
    this.#clients.add(client);
    if (this.#clients.size <= CONNECTIONS_MAX) return;
    client.lines.send({
      ok: false,
      error: { code: 'tooManyConnections', message: `at most ${CONNECTIONS_MAX}` },
    });
    this.#clients.delete(client);
    client.lines.close();
  }

  #serve(client: Client, request: Json): void {
    const id = idOf(request);
    if (id === undefined) {
      const message = '"id": expected a text of at most 64 characters, or a number';
      return client.lines.send({ ok: false, error: { code: 'badRequest', message } });
    }
    try {
      const answer = this.#answer(client, request);
      if (answer) client.lines.send({ id, ok: true, ...answer });
    } catch (error) {
      const code = error instanceof RequestError ? error.code : 'notPossible';
      client.lines.send({ id, ok: false, error: { code, message: (error as Error).message } });
    }
  }

  /** Returns the answer, or undefined when it follows later. */
  #answer(client: Client, request: Json): Json | undefined {
    switch (request['do']) {
      case 'status':
        return this.#look(client, request, () => this.#status());
      case 'describe': {
        this.#view(request);
        return this.#look(client, request, () => ({
          ...this.#view(request),
          nowMs: Math.round(this.#clock.nowMs()),
        }));
      }
      case 'watch':
        client.watches = true;
        return { ...this.#status(), ...(request['past'] === true ? { past: this.#past.list() } : {}) };
      case 'events':
        return { events: this.#past.list() };
      case 'borrow':
        return this.#borrow(client, request);
      case 'renew':
        return this.#renew(client, request);
      case 'return':
        return this.#giveBack(client, request);
      case 'recall': {
        const view = this.#view(request);
        if (view.role !== 'owner')
          throw new RequestError('notOwner', `${view.bundle}: only its owner recalls a bundle`);
        if (view.state !== 'lent' && view.state !== 'offering')
          throw new RequestError('notLent', `${view.bundle}: it is ${view.state}, not lent`);
        this.#agent.recall(view.bundle, number(request, 'graceMs', 2_000), request['force'] === true);
        if (view.state === 'offering') return { isOffer: true };
        // Without the host no bundle can come back: answer at once.
        return this.#look(client, request, () => ({ forceRevoke: view.forceRevoke, ...this.#silentHost() }));
      }
      case 'offer':
        return this.#offer(request);
      case 'sleep':
        return this.#sleep(client, request);
      case 'wake':
        this.#agent.wake();
        return {};
      default:
        throw new RequestError(
          'badRequest',
          `"do" is ${JSON.stringify(request['do'])}: expected status, describe, watch, events, ` +
            'borrow, renew, return, recall, offer, sleep or wake',
        );
    }
  }

  /** Answers after the host and the agents have reported the present state. */
  #look(client: Client, request: Json, answer: () => Json): undefined {
    this.#agent.look(() => client.lines.send({ id: idOf(request), ok: true, ...answer() }));
    return undefined;
  }

  /** State of the connection to the host when it is down. */
  #silentHost(): Json {
    const host = this.#agent.peers().find(({ peer, up }) => peer === HOST && !up);
    return host ? { hostSilent: host } : {};
  }

  #status(): Json {
    const bundles = this.#agent.views().map(brief);
    const obstacle = this.#agent.obstacle()?.reason ?? null;
    const { incarnation } = this.#agent;
    const own = this.#version === undefined ? {} : { version: this.#version, incarnation };
    return { bundles, peers: this.#agent.peers(), obstacle, ...own };
  }

  #view(request: Json): BundleView {
    const views = this.#agent.views();
    const view = views.find(({ bundle }) => bundle === request['bundle']);
    if (view) return view;
    const names = views.map(({ bundle }) => bundle);
    const near = nearest(String(request['bundle']), names);
    throw new RequestError(
      'unknownBundle',
      `no bundle ${JSON.stringify(request['bundle'])}; configured: ${names.join(', ') || 'none'}${near}`,
    );
  }

  #borrow(client: Client, request: Json): undefined {
    const { bundle, role } = this.#view(request);
    if (role === 'owner') throw new RequestError('isOwner', `${bundle}: this VM owns it; nothing to borrow`);
    if ([...this.#clients].some((other) => other.borrows.has(bundle))) {
      throw new RequestError('inUse', `${bundle}: another program of this VM borrows it, or is about to`);
    }
    const terms = termsOf(request);
    const told = request['progress'] === true ? '' : undefined;
    client.borrows.set(bundle, {
      request: idOf(request),
      told,
      granted: false,
      renewing: undefined,
      returning: [],
    });
    this.#agent.borrow(bundle, terms);
    return undefined;
  }

  /** Extends the lease of the connection that holds. Answered when the host has extended it, or it was declined. */
  #renew(client: Client, request: Json): undefined {
    const { bundle } = this.#view(request);
    const borrow = client.borrows.get(bundle);
    if (!borrow?.granted)
      throw new RequestError(
        'notHeld',
        `${bundle}: this connection does not hold it; only its holder renews`,
      );
    if (borrow.renewing) throw new RequestError('busy', `${bundle}: a renewal is already under way`);
    const leaseMs = number(request, 'leaseMs', BORROW_DEFAULTS.leaseMs);
    if (leaseMs === 0) throw new RequestError('badRequest', '"leaseMs": a lease of 0 ms is none');
    borrow.renewing = { id: idOf(request) };
    this.#agent.renew(bundle, leaseMs);
    return undefined;
  }

  #offer(request: Json): Json {
    const peers = this.#agent.peers().map(({ peer }) => peer);
    const { bundle, to, leaseMs, reservedMs } = offerOf(request, this.#view(request), peers);
    this.#agent.offer(bundle, to, leaseMs, reservedMs);
    return { bundle, to, reservedMs };
  }

  #giveBack(client: Client, request: Json): undefined {
    const { bundle } = this.#view(request);
    const lessee = [...this.#clients].find((other) => other.borrows.has(bundle));
    if (!lessee) throw new RequestError('notHeld', `${bundle}: nothing to give back`);
    const id = idOf(request);
    const { borrows } = lessee;
    const borrow = borrows.get(bundle)!;
    if (borrow.returning.length >= RETURNS_MAX)
      throw new RequestError('busy', `${bundle}: a return is already under way`);
    borrow.returning.push({ client, id });
    const withdrawn = !borrow.granted;
    this.#agent.giveBack(bundle);
    if (!withdrawn) return undefined;
    refuse(lessee, borrow, 'withdrawn', `${bundle}: another program withdrew the request by a return`);
    this.#end(lessee, bundle, { event: 'withdrawn' });
    return undefined;
  }

  #sleep(client: Client, request: Json): undefined {
    const id = idOf(request);
    const waitMs = number(request, 'waitMs', SLEEP_DEFAULTS.waitMs);
    this.#agent.sleep(number(request, 'graceMs', SLEEP_DEFAULTS.graceMs), waitMs, (isAsleep, lent) => {
      if (isAsleep) return client.lines.send({ id, ok: true });
      const why = lent.length > 0 ? `not back: ${lent.join(', ')}` : 'woken meanwhile';
      const message = `${why}; the system should stay awake`;
      client.lines.send({ id, ok: false, error: { code: 'stillLent', message, bundles: lent } });
    });
    return undefined;
  }

  #onChanged(bundle: BundleId): void {
    this.#tellProgress(bundle);
    this.#tellWatchers({ event: 'changed', ...brief(this.#agent.view(bundle)) });
  }

  #tellProgress(bundle: BundleId): void {
    const client = [...this.#clients].find((other) => other.borrows.has(bundle));
    const borrow = client?.borrows.get(bundle);
    if (!client || !borrow || borrow.granted || borrow.told === undefined) return;
    const { state, owner, place } = this.#agent.view(bundle);
    const told = `${state} ${place?.position}`;
    if (told === borrow.told) return;
    borrow.told = told;
    client.lines.send({ event: 'waiting', bundle, state, owner, ...place });
  }

  #onNotice(bundle: BundleId, notice: AgentNotice): void {
    const { notice: event, ...detail } = notice;
    this.#tellWatchers({ event, bundle, ...detail });
    const client = [...this.#clients].find((other) => other.borrows.has(bundle));
    const borrow = client?.borrows.get(bundle);
    if (!client || !borrow) return;
    switch (notice.notice) {
      case 'granted':
        borrow.granted = true;
        client.lines.send({ id: borrow.request, ok: true, event, bundle, ...detail });
        return;
      case 'declined':
      case 'timedOut':
      case 'evidenceMismatch': {
        if (borrow.granted) return;
        refuse(client, borrow, event, messageOf(notice), detail);
        return this.#end(client, bundle, undefined);
      }
      case 'renewed':
      case 'renewalDeclined':
        return renewed(client, borrow, bundle, notice);
      case 'recalled':
        return client.lines.send({ event, bundle, ...detail });
      case 'lost':
        if (borrow.granted) client.lines.send({ event, bundle, ...detail });
        else refuse(client, borrow, event, `${bundle}: taken away before the driver had resumed`, detail);
        return this.#end(client, bundle, undefined);
      case 'returned':
        return this.#end(client, bundle, { event, ...detail });
      default:
        return;
    }
  }

  /**
   * The borrowing is over: answers the clients that wait for the return, and notifies the borrower if it did not ask
   * for it.
   */
  #end(client: Client, bundle: BundleId, event: Json | undefined): void {
    const { granted, returning } = client.borrows.get(bundle)!;
    client.borrows.delete(bundle);
    for (const { client: asker, id } of returning) asker.lines.send({ id, ok: true, bundle, ...event });
    const asked = returning.some(({ client: asker }) => asker === client);
    if (event && granted && !asked) client.lines.send({ bundle, ...event });
  }

  #closed(client: Client): void {
    this.#clients.delete(client);
    for (const bundle of client.borrows.keys()) {
      this.#log('info', 'the borrowing connection closed: giving the bundle back', { bundle });
      this.#agent.giveBack(bundle);
    }
    client.borrows.clear();
  }

  /** A holder is told too: without the host, its display is no longer verified. */
  #tellAll(event: Json): void {
    this.#past.add(event);
    for (const client of this.#clients)
      if (client.watches || client.borrows.size > 0) client.lines.send(event);
  }

  #tellWatchers(event: Json): void {
    this.#past.add(event);
    for (const client of this.#clients) if (client.watches) client.lines.send(event);
  }
}

/** Answers a borrow request that failed. */
function refuse(client: Client, { request }: Borrowing, code: string, message: string, detail?: Json): void {
  client.lines.send({ id: request, ok: false, error: { code, message, ...detail } });
}

/** Answers the renewal request that is open. */
function renewed(
  { lines }: Client,
  borrow: Borrowing,
  bundle: BundleId,
  notice: Extract<AgentNotice, { notice: 'renewed' | 'renewalDeclined' }>,
): void {
  if (!borrow.renewing) return;
  const { id } = borrow.renewing;
  borrow.renewing = undefined;
  const { notice: event, ...detail } = notice;
  if (notice.notice === 'renewed') return lines.send({ id, ok: true, event, bundle, ...detail });
  const message = `the lease stays as it is: ${notice.reason}${notice.detail ? `: ${notice.detail}` : ''}`;
  lines.send({ id, ok: false, error: { code: event, message, ...detail } });
}

/** A bundle without its events. */
function brief({ events: _, ...view }: BundleView): Json {
  return view;
}

function messageOf(notice: AgentNotice): string {
  if (notice.notice === 'declined')
    return `the request was declined: ${notice.reason}${notice.detail === undefined ? '' : `: ${notice.detail}`}`;
  if (notice.notice === 'timedOut')
    return notice.isQueued ? 'its turn did not come in time' : 'the owner did not answer in time';
  if (notice.notice === 'evidenceMismatch') return `the grant differs from what was expected: ${notice.what}`;
  return notice.notice;
}
