/** How long the command line waits for a daemon that has taken its connection. */

import type { Json } from '../common/lines.ts';
import type { CliWorld, ControlClient } from './world.ts';

/** Time that a daemon has to say how things stand, in ms: it asks others for half a second at most. */
const ANSWER_MS = 5_000;
/** An order may take its time. Not answered after this time, in ms, the daemon is asked whether it lives. */
const PROBE_AFTER_MS = 1_000;
/** Requests that a daemon answers from what it knows. */
const QUICK: ReadonlySet<unknown> = new Set(['status', 'describe', 'watch', 'events']);
/** Requests that have a limit of their own: `Asking` knows how long the agent was told to wait. */
const LIMITED: ReadonlySet<unknown> = new Set(['borrow']);

/** A daemon that is stopped or hangs: it can be connected to, and reads nothing. */
export class HungError extends Error {
  override readonly name = 'HungError';

  /** `more`: what else has to be known. */
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
 * Sends an order, and waits as long as the daemon lives: now and then it is asked for what it knows. Rejects with a
 * HungError when it does not answer that within ANSWER_MS of the order or of its last answer.
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
        // That the connection ended is told by the order itself.
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

/** A client that waits for no daemon that hangs: requests reject with a HungError then. */
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
