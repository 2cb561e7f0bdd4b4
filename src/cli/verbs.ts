/** Verbs that ask a daemon, a line each, in the order in which `baton --help` lists them. */

import type { Verbs } from './verb.ts';
import { BORROW } from './verbs/borrow.ts';
import { DESCRIBE } from './verbs/describe.ts';
import { EVENTS } from './verbs/events.ts';
import { LIFT } from './verbs/lift.ts';
import { OFFER } from './verbs/offer.ts';
import { RECALL } from './verbs/recall.ts';
import { RETURN } from './verbs/return.ts';
import { SLEEP } from './verbs/sleep.ts';
import { STATUS } from './verbs/status.ts';
import { WAKE } from './verbs/wake.ts';
import type { CliWorld } from './world.ts';

/** Of a program in a VM: every target has them. */
export const AGENT_VERBS: Verbs<CliWorld> = {
  borrow: BORROW,
  return: RETURN,
  recall: RECALL,
  offer: OFFER,
  sleep: SLEEP,
  wake: WAKE,
  status: STATUS,
  describe: DESCRIBE,
  events: EVENTS,
};

/** Of an operator on the host. */
export const HOST_VERBS: Verbs<CliWorld> = {
  lift: LIFT,
};
