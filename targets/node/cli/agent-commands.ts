/** The commands that every target has: those of a program in a VM. */

import { BORROW_HELP, borrow, ownWordsOfBorrow } from '../../../src/cli/borrow.ts';
import { EVENTS_HELP, events } from '../../../src/cli/events.ts';
import { DESCRIBE_HELP, describe } from '../../../src/cli/inspect.ts';
import {
  giveBack,
  RECALL_HELP,
  RETURN_HELP,
  recall,
  SLEEP_HELP,
  sleep,
  sleepWithoutAgent,
  WAKE_HELP,
  wake,
  wakeWithoutAgent,
} from '../../../src/cli/orders.ts';
import { STATUS_HELP, status } from '../../../src/cli/status.ts';
import { CHECK_CONFIG_HELP, checkConfig } from './checks.ts';
import type { Commands } from './cli.ts';

export const AGENT_COMMANDS = {
  borrow: {
    says: 'hold a bundle while a command runs',
    help: BORROW_HELP,
    daemon: ['agent', borrow],
    isWrapped: true,
    ownWords: ownWordsOfBorrow,
  },
  return: { says: 'give a bundle back', help: RETURN_HELP, daemon: ['agent', giveBack] },
  recall: { says: 'ask for a lent bundle back', help: RECALL_HELP, daemon: ['agent', recall] },
  sleep: {
    says: 'call everything in before the system sleeps',
    help: SLEEP_HELP,
    daemon: ['agent', sleep],
    withoutDaemon: sleepWithoutAgent,
  },
  wake: {
    says: 'lend again after a sleep',
    help: WAKE_HELP,
    daemon: ['agent', wake],
    withoutDaemon: wakeWithoutAgent,
  },
  status: { says: 'who holds what', help: STATUS_HELP, daemon: ['agent', status], isWrapped: true },
  describe: {
    says: 'one bundle, with its last events',
    help: DESCRIBE_HELP,
    daemon: ['agent', describe],
    isWrapped: true,
  },
  events: { says: 'what happened, and with -f what happens', help: EVENTS_HELP, daemon: ['agent', events] },
} satisfies Commands;

export const CHECK_COMMANDS = {
  'check-config': { says: 'check configuration files', help: CHECK_CONFIG_HELP, alone: checkConfig },
} satisfies Commands;
