/** Limits on how long the command line waits for a connected daemon. */

import type { Json } from '../common/lines.ts';
import type { CliWorld, ControlClient } from './world.ts';

/** Time in which a daemon must report its state, in ms. It asks other parties for half a second at most. */
const ANSWER_MS = 5_000;
/** An order may take longer. If unanswered after this time, in ms, the daemon is probed. */
const PROBE_AFTER_MS = 1_000;
/** Requests that a daemon answers at once. */
const QUICK: ReadonlySet<unknown> = new Set(['status', 'describe', 'watch', 'events']);
/** Requests with their own limit: `Asking` sets the agent's wait. */
const LIMITED: ReadonlySet<unknown> = new Set(['borrow']);

/** A stopped or hung daemon: it accepts connections and reads nothing. */
export class HungError extends Error {
  override readonly name = 'HungError';

  /** `more`: an additional sentence. */
  constructor(more = '') {
    super(`the daemon does not answer: is it stopped?${more}`);
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

/**
 * Sends an order and waits while the daemon is alive, which is probed with a quick request. Rejects with a HungError
 * when the probe is not answered within ANSWER_MS of the order or of its last answer.
 */
function answerWhileAlive(clock: Clock, client: ControlClient, request: Json): Promise<Json> {
  let cancel: () => void = () => {};
  let isOver = false;
  const late = new Promise<never>((_, reject) => {
    const watch = () => {
      cancel = clock.after(PROBE_AFTER_MS, () => {
        cancel = clock.after(ANSWER_MS - PROBE_AFTER_MS, () =>
          reject(new HungError(' What was asked for may still be done')),
        );
        const alive = () => {
          cancel();
          if (!isOver) watch();
        };
        // The order itself reports the end of the connection.
        client.request({ do: 'events' }).then(alive, () => cancel());
      });
    };
    watch();
  });
  return Promise.race([client.request(request), late]).finally(() => {
    isOver = true;
    cancel();
  });
}

/** A client that does not wait for a hung daemon: its requests reject with a HungError. */
export function hurried(clock: Clock, client: ControlClient): ControlClient {
  return {
    ...client,
    request: (request) => {
      if (LIMITED.has(request['do'])) return client.request(request);
      return QUICK.has(request['do'])
        ? answerWithin(clock, client, request, ANSWER_MS)
        : answerWhileAlive(clock, client, request);
    },
  };
}
