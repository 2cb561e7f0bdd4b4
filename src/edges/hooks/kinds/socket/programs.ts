/**
 * Connections to the local programs of `socket` steps: one JSON line out, one in.
 *
 *   → {"id":7,"hook":"suspend","bundle":"panel","device":"touch","step":"socket","epoch":12}
 *   ← {"id":7,"ok":true}   or   {"id":7,"ok":false,"error":"…"}   inspect also: "status":"active"
 *
 * A connection is kept between runs; a broken one is replaced. If a kept connection breaks before the answer, the
 * request is repeated once, since hooks are idempotent. A request that takes too long is dropped together with its
 * connection, so that a late answer cannot be matched to another request.
 */

import { type Json, Lines } from '../../../../common/lines.ts';
import type { BundleId, DeviceId } from '../../../../core/protocol/ids.ts';
import type { ByteStream } from '../../../../ports/world.ts';
import { LATE, type Limit, StepError, within } from '../../limit.ts';
import type { StepCall } from '../../step.ts';
import type { HookWorld } from '../../world.ts';

/** The subject of a request, besides the call. */
export interface SocketOrder {
  readonly path: string;
  readonly bundle: BundleId;
  readonly device: DeviceId;
  readonly step: string;
}

/** The connections of an agent to its local programs, by path of their sockets. */
export class SocketPrograms {
  readonly #world: HookWorld;
  readonly #kept = new Map<string, Connection>();
  #lastId = 0;

  constructor(world: HookWorld) {
    this.#world = world;
  }

  /** Sends a request to a program. Returns its answer, which is `ok`. Rejects with a StepError. */
  async ask(order: SocketOrder, { hook, epoch, limit }: StepCall): Promise<Json> {
    const { path, bundle, device, step } = order;
    this.#lastId += 1;
    const request = {
      id: this.#lastId,
      hook,
      bundle,
      device,
      step,
      ...(epoch === undefined ? {} : { epoch }),
    };
    const kept = this.#kept.get(path);
    let answer = kept ? await this.#exchange(path, kept, request, limit) : BROKEN;
    if (answer === BROKEN)
      answer = await this.#exchange(path, await this.#connect(path, limit), request, limit);
    if (answer === BROKEN)
      throw new StepError(`${path}: connection closed before the answer`, { mayHaveActed: true });
    if (answer['ok'] === true) return answer;
    throw new StepError(`${path}: ${String(answer['error'] ?? 'refused without a reason')}`, {
      mayHaveActed: false,
    });
  }

  async #exchange(
    path: string,
    connection: Connection,
    request: Json,
    limit: Limit,
  ): Promise<Json | typeof BROKEN> {
    const answer = await within(this.#world.clock, limit.leftMs, connection.ask(request));
    if (answer !== LATE) return answer;
    connection.close();
    throw new StepError(`${path}: no answer within ${limit.ms} ms`, { timedOut: true, mayHaveActed: true });
  }

  async #connect(path: string, limit: Limit): Promise<Connection> {
    const connecting = new Promise<ByteStream | Error>((done) =>
      this.#world.streams.connect(`unix:${path}`, done),
    );
    const stream = await within(this.#world.clock, limit.leftMs, connecting);
    if (stream === LATE) {
      // It may still connect later; then it is not needed any more.
      void connecting.then((late) => late instanceof Error || new Connection(late, () => {}).close());
      throw new StepError(`${path}: no connection within ${limit.ms} ms`, { mayHaveActed: false });
    }
    if (stream instanceof Error) throw new StepError(stream.message, { mayHaveActed: false });
    const connection: Connection = new Connection(stream, () => {
      if (this.#kept.get(path) === connection) this.#kept.delete(path);
    });
    this.#kept.set(path, connection);
    return connection;
  }
}

/** Result when a connection ended before the answer came. */
const BROKEN: unique symbol = Symbol('broken');

/** One connection. Several bundles may ask over it at the same time. */
class Connection {
  readonly #lines: Lines;
  readonly #onEnd: () => void;
  readonly #waiting = new Map<unknown, (answer: Json | typeof BROKEN) => void>();
  #ended = false;

  constructor(stream: ByteStream, onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#lines = new Lines(stream, {
      onLine: (answer) => {
        const done = this.#waiting.get(answer['id']);
        this.#waiting.delete(answer['id']);
        done?.(answer);
      },
      onBad: () => this.close(),
      onClose: () => this.#end(),
    });
  }

  ask(request: Json): Promise<Json | typeof BROKEN> {
    if (this.#ended) return Promise.resolve(BROKEN);
    return new Promise((done) => {
      this.#waiting.set(request['id'], done);
      this.#lines.send(request);
    });
  }

  /** Drops the connection, with all its open requests. */
  close(): void {
    this.#lines.close();
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    for (const done of this.#waiting.values()) done(BROKEN);
    this.#waiting.clear();
  }
}
