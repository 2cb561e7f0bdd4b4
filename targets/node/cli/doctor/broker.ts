/** Checks of the broker: reached, login, access list, and Nagle's algorithm. All by one look at it. */

import type { BrokerSeen } from './broker-look.ts';
import { type Check, type Finding, fault, ok, skipped } from './check.ts';
import type { Subject } from './subject.ts';

/**
 * Time from which on answers count as held back by Nagle's algorithm, in ms: Linux acknowledges small packets after
 * 40 ms at the earliest (TCP_DELACK_MIN of include/net/tcp.h, HZ / 25). Without it an answer takes some 0.1 ms.
 */
export const DELAYED_ACK_MS = 40;

/** MQTT 3.1.1, section 3.2.2.3, and MQTT 5, section 3.2.2.2. */
const LOGIN_CODES: Readonly<Record<number, string>> = {
  1: 'it does not speak this version of MQTT',
  2: 'it takes no client id of this form',
  3: 'it serves nobody now',
  4: 'bad user name or password',
  5: 'this user is not allowed',
  132: 'it does not speak this version of MQTT',
  134: 'bad user name or password',
  135: 'this user is not allowed',
};
const RESTART = 'restart the broker';

/** A check of what was seen of the broker. `run` is asked only when the broker can be reached. */
function brokerCheck(name: string, run: (seen: BrokerSeen, subject: Subject) => readonly Finding[]): Check {
  return {
    name,
    of: 'both',
    run: async (subject) => {
      const { transport } = subject.config;
      if (transport.kind !== 'mqtt') return [];
      const seen = await subject.broker();
      if (seen.unreached !== undefined && name !== 'broker-reached')
        return skipped(transport.url, 'the broker is not reached');
      return run(seen, subject);
    },
  };
}

function urlOf({ config: { transport } }: Subject): string {
  return transport.kind === 'mqtt' ? transport.url : '';
}

/** Returns the lower quartile of some times: a few are short although all are held back, or long on a busy machine. */
function lowerQuartile(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 4)] ?? 0;
}

const REACHED = brokerCheck('broker-reached', ({ unreached }, subject) =>
  unreached === undefined
    ? ok(urlOf(subject), 'it answers')
    : fault(
        urlOf(subject),
        unreached,
        'a broker that answers',
        'start the broker; compare "transport.url" with its listener',
      ),
);

const LOGIN = brokerCheck('broker-login', ({ refused }, subject) => {
  const { transport } = subject.config;
  const user = (transport.kind === 'mqtt' && transport.username) || undefined;
  if (refused === undefined) return ok(urlOf(subject), user === undefined ? 'without a login' : `as ${user}`);
  return fault(
    urlOf(subject),
    `refused with code ${refused}: ${LOGIN_CODES[refused] ?? 'of the broker'}`,
    `a login as ${user ?? 'nobody'}`,
    `mosquitto_passwd /etc/mosquitto/baton-passwords ${subject.party}, the same password in "passwordFile", ` +
      `then ${RESTART}`,
  );
});

const ANONYMOUS = brokerCheck('broker-anonymous', ({ takesAnonymous }, subject) =>
  takesAnonymous
    ? fault(
        urlOf(subject),
        'it takes clients without a login',
        'a login of each party, since the access list goes by user names',
        `allow_anonymous false in mosquitto.conf, "username" and "passwordFile" here, then ${RESTART}`,
      )
    : ok(urlOf(subject), 'it refuses clients without a login'),
);

/** A check of the access list. */
function accessCheck(name: string, run: (seen: BrokerSeen, subject: Subject) => readonly Finding[]): Check {
  return brokerCheck(name, (seen, subject) => {
    if (seen.refused !== undefined) return skipped(urlOf(subject), 'the broker refused the login');
    if (seen.inbox !== 'works' && name !== 'acl-inbox' && name !== 'broker-nagle')
      return skipped(urlOf(subject), 'the inbox does not work');
    return run(seen, subject);
  });
}

const INBOX = accessCheck('acl-inbox', ({ inbox }, subject) => {
  const topic = `baton/${subject.machineName}/${subject.party}/in/`;
  if (inbox === 'works') return ok(topic, 'a message to itself came back');
  return fault(
    topic,
    inbox === 'not readable'
      ? 'the broker refused the subscription'
      : 'a message to itself, under its own name, did not come back',
    'it reads its own inbox and writes under its own name',
    `the lines of docs/mosquitto/acl, with "${subject.machineName}" as the machine, then ${RESTART}`,
  );
});

const SENDER = accessCheck('acl-sender', ({ carriesForged, forgedName }, subject) => {
  const topic = `baton/${subject.machineName}/${subject.party}/in/${forgedName}`;
  if (!carriesForged) return ok(topic, `a message under the name of ${forgedName} did not come`);
  return fault(
    topic,
    `a message under the name of ${forgedName} came: any user may write under any name`,
    'a user writes under its own name only',
    `pattern write baton/${subject.machineName}/+/in/%u in the access list, no wider line, then ${RESTART}`,
  );
});

const OTHERS = accessCheck('acl-others', ({ opensOthers }, subject) => {
  const topic = `baton/${subject.machineName}/nobody/in/+`;
  if (!opensOthers) return ok(topic, 'the inbox of another name is closed');
  return fault(
    topic,
    'a message to another inbox came here: any user may read any inbox',
    'a user reads its own inbox only',
    `pattern read baton/${subject.machineName}/%u/in/+ in the access list, no wider line, then ${RESTART}`,
  );
});

const NAGLE = accessCheck('broker-nagle', ({ roundTripsMs = [] }, subject) => {
  const ms = lowerQuartile(roundTripsMs);
  const words = `two answers in a row took ${ms.toFixed(2)} ms (lower quartile of ${roundTripsMs.length})`;
  if (ms < DELAYED_ACK_MS) return ok(urlOf(subject), words);
  return fault(
    urlOf(subject),
    `${words}: the second waits for a delayed acknowledgement`,
    `less than ${DELAYED_ACK_MS} ms, Linux's TCP_DELACK_MIN; some 0.14 without Nagle's algorithm`,
    `set_tcp_nodelay true in mosquitto.conf, then ${RESTART}`,
  );
});

/** Every check of the broker. */
export const BROKER_CHECKS: readonly Check[] = [REACHED, LOGIN, ANONYMOUS, INBOX, SENDER, OTHERS, NAGLE];
