/**
 * The host's control socket, for an operator at the hypervisor: views and commands. JSON lines.
 *
 * No VM can reach it. Only `lift` changes anything.
 */

import { idOf, type Json, Lines } from '../../common/lines.ts';
import { nearest } from '../../common/near.ts';
import type { HostView } from '../../core/host/host-view.ts';
import type { BundleId } from '../../core/protocol/ids.ts';
import type { ByteStream, Clock } from '../../ports/world.ts';
import type { Host } from '../host/host.ts';
import { Past } from './past.ts';

/** Most connections at a time. */
const CONNECTIONS_MAX = 32;

/** Serves the control connections of the host. */
export class HostControl {
  readonly #host: Host;
  readonly #watchers = new Set<Lines>();
  #connections = 0;
  readonly #past: Past;
  readonly #clock: Clock;
  readonly #version: string | undefined;

  /** `version`: of the program, for `status`; absent: it does not say. */
  constructor(host: Host, clock: Clock, version?: string) {
    this.#clock = clock;
    this.#version = version;
    this.#host = host;
    this.#past = new Past(clock);
    host.on('changed', (bundle) => this.#onChanged(bundle));
    host.on('phase', (bundle, phase, epoch, ms, ok) =>
      this.#tell({ event: 'phase', bundle, phase, epoch, ms, ok }),
    );
    host.on('vm', (vm, running, incarnation) => this.#tell({ event: 'vm', vm, running, incarnation }));
    host.on('fault', (bundle, { fault, offender, epoch }, count) =>
      this.#tell({
        event: 'fault',
        bundle,
        vm: offender?.vm ?? null,
        incarnation: offender?.incarnation ?? null,
        resource: fault.resource ?? null,
        stream: fault.stream ?? null,
        by: fault.by,
        write: fault.write,
        name: fault.event,
        address: fault.address,
        epoch,
        count,
      }),
    );
  }

  accept(stream: ByteStream): void {
    this.#connections += 1;
    const lines = new Lines(stream, {
      // What a client sends before it is answered waits for the few milliseconds of a start; its size is limited.
      onLine: (request) => this.#host.whenServing(() => this.#serve(lines, request)),
      onBad: (message) => lines.send({ ok: false, error: { code: 'badRequest', message } }),
      onClose: () => {
        this.#connections -= 1;
        this.#watchers.delete(lines);
      },
    });
    if (this.#connections <= CONNECTIONS_MAX) return;
    lines.send({ ok: false, error: { code: 'tooManyConnections', message: `at most ${CONNECTIONS_MAX}` } });
    lines.close();
  }

  #serve(lines: Lines, request: Json): void {
    const id = idOf(request);
    if (id === undefined) {
      const message = '"id": expected a text of at most 64 characters, or a number';
      return lines.send({ ok: false, error: { code: 'badRequest', message } });
    }
    try {
      if (request['do'] === 'status')
        return this.#host.look(() => lines.send({ id, ok: true, ...this.#status() }));
      lines.send({ id, ok: true, ...this.#answer(lines, request) });
    } catch (error) {
      lines.send({ id, ok: false, error: { code: 'notPossible', message: (error as Error).message } });
    }
  }

  #answer(lines: Lines, request: Json): Json {
    const bundle = request['bundle'] as BundleId;
    switch (request['do']) {
      case 'watch':
        this.#watchers.add(lines);
        return { ...this.#status(), ...(request['past'] === true ? { past: this.#past.list() } : {}) };
      case 'events':
        return { events: this.#past.list() };
      case 'describe': {
        return { ...this.#view(bundle), nowMs: Math.round(this.#clock.nowMs()) };
      }
      case 'lift': {
        const before = this.#view(bundle);
        const { events: _, ...view } = this.#host.lift(bundle);
        return { ...view, lifted: liftedOf(before) };
      }
      default:
        throw new Error(
          `"do" is ${JSON.stringify(request['do'])}: expected status, describe, watch, events or lift`,
        );
    }
  }

  #view(bundle: BundleId): HostView {
    const view = this.#host.view(bundle);
    if (view) return view;
    const names = this.#host.views().map((each) => each.bundle);
    const near = nearest(String(bundle), names);
    throw new Error(
      `no bundle ${JSON.stringify(bundle)} is configured; there are ${names.join(', ') || 'none'}${near}`,
    );
  }

  #status(): Json {
    const bundles = this.#host.views().map(({ events: _, ...view }) => view);
    const obstacle = this.#host.obstacle()?.reason ?? null;
    const own = this.#version === undefined ? {} : { version: this.#version };
    return { bundles, peers: this.#host.peers(), obstacle, ...this.#host.facts(), ...own };
  }

  #onChanged(bundle: BundleId): void {
    const view = this.#host.view(bundle);
    if (!view) return;
    const { events: _, ...brief } = view;
    this.#tell({ event: 'changed', ...brief });
  }

  #tell(event: Json): void {
    this.#past.add(event);
    for (const lines of this.#watchers) lines.send(event);
  }
}

/** Returns what a lift of a bundle would end. */
function liftedOf({ state, rejections }: HostView): 'quarantine' | 'rejections' | 'nothing' {
  if (state === 'quarantined') return 'quarantine';
  return rejections.length > 0 && (state === 'held' || state === 'parked') ? 'rejections' : 'nothing';
}
