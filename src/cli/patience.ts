/** How long the command line waits for a daemon that has taken its connection. */

import type { Json } from '../control/lines.ts';
import type { CliWorld, ControlClient } from './world.ts';

/** Time that a daemon has to say how things stand, in ms: it asks others for half a second at most. */
const ANSWER_MS = 5_000;
/** Requests that a daemon answers from what it knows. */
const QUICK: ReadonlySet<unknown> = new Set(['status', 'describe', 'watch', 'events']);

/** A daemon that is stopped or hangs: it can be connected to, and reads nothing. */
export class HungError extends Error {
  override readonly name = 'HungError';

  constructor() {
    super('the daemon does not answer: is it stopped?');
  }
}

type Clock = Pick<CliWorld, 'after'>;

/** Sends a request. Rejects with a HungError when it is not answered within `ms`. */
export function answerWithin(clock: Clock, client: ControlClient, request: Json, ms: number): Promise<Json> {
  let cancel: () => void = () => {};
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(ms, () => reject(new HungError()));
  });
  return Promise.race([client.request(request), late]).finally(() => cancel());
}

/** A client that waits for no question about how things stand as if it were a handover: see `answerWithin`. */
export function hurried(clock: Clock, client: ControlClient): ControlClient {
  return {
    ...client,
    request: (request) =>
      QUICK.has(request['do']) ? answerWithin(clock, client, request, ANSWER_MS) : client.request(request),
  };
}
