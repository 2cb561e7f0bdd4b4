/**
 * What a party's broker does, observed with the party's own login under another client id: the running daemon keeps
 * its connection. What is published ends in the party's own inbox, or in that of `nobody`, which no VM is called; it
 * is no frame, so an agent drops it and logs that.
 */

import { randomBytes } from 'node:crypto';
import { HOST } from '../../../../src/core/protocol/ids.ts';
import { MqttProbe, type ProbeOrder } from './mqtt-probe.ts';
import type { Subject } from './subject.ts';

/** What was seen; parts that could not be observed are absent. */
export interface BrokerSeen {
  /** Why it could not be reached. */
  readonly unreached?: string;
  /** Return code of a refused login. */
  readonly refused?: number;
  /** Whether it takes a client without a login. */
  readonly takesAnonymous?: boolean;
  /** Times of two answers that follow each other, in ms. */
  readonly roundTripsMs?: readonly number[];
  /** Whether the party may read its inbox, and gets what it publishes there itself. */
  readonly inbox?: 'works' | 'not readable' | 'nothing came';
  /** Whether it carries a message under the name of another sender. */
  readonly carriesForged?: boolean;
  /** Whether it lets the party read the inbox of another. */
  readonly opensOthers?: boolean;
  /** Name that was forged. */
  readonly forgedName?: string;
}

/** Longest wait for a message through the broker, in ms: a hundred times what one on a loaded machine takes. */
const CAME_MS = 1_000;
/** Round trips that are measured: their lower quartile is not moved by a busy machine. */
const ROUND_TRIPS = 9;
/** No party has this name (docs/CONFIG.md). */
const NOBODY = 'nobody';

/** Observes the broker of a party over MQTT. */
export async function probeBroker(subject: Subject): Promise<BrokerSeen> {
  const order = orderOf(subject);
  const opened = await MqttProbe.open(subject.machine, order);
  if (opened.at === 'connect') return { unreached: opened.error };
  const takesAnonymous = await isOpen(subject, order);
  if (opened.at === 'login') return { refused: opened.code, takesAnonymous };
  const { probe } = opened;
  try {
    const roundTripsMs: number[] = [];
    for (let i = 0; i < ROUND_TRIPS; i++) roundTripsMs.push(await probe.roundTrip());
    return { takesAnonymous, roundTripsMs, ...(await accessOf(subject, probe)) };
  } catch (error) {
    return { takesAnonymous, unreached: (error as Error).message };
  } finally {
    probe.close();
  }
}

async function accessOf(
  { party, peers, machineName }: Subject,
  probe: MqttProbe,
): Promise<Pick<BrokerSeen, 'inbox' | 'carriesForged' | 'opensOthers' | 'forgedName'>> {
  const topic = (to: string, from: string) => `baton/${machineName}/${to}/in/${from}`;
  let count = 0;
  const token = `baton doctor ${randomBytes(8).toString('hex')}`;
  const send = async (to: string, from: string) => {
    count += 1;
    await probe.publish(topic(to, from), `${token} ${count}`);
    return `${token} ${count}`;
  };
  if (!(await probe.subscribe(topic(party, '+')))) return { inbox: 'not readable' };
  if (!(await probe.came(await send(party, party), CAME_MS))) return { inbox: 'nothing came' };
  // A broker may grant the subscription and filter what it delivers.
  let opensOthers = false;
  if (await probe.subscribe(topic(NOBODY, '+'))) {
    const foreign = await send(NOBODY, party);
    await probe.came(await send(party, party), CAME_MS);
    opensOthers = probe.received.some(({ text }) => text === foreign);
  }
  // Last: some brokers end the connection over it.
  const forgedName = party === HOST ? (peers[0] ?? NOBODY) : HOST;
  const forged = await send(party, forgedName);
  if (probe.ended === undefined) await probe.came(await send(party, party), CAME_MS);
  const carriesForged = probe.received.some(({ text }) => text === forged);
  return { inbox: 'works', opensOthers, carriesForged, forgedName };
}

async function isOpen({ machine }: Subject, { login: _, ...order }: ProbeOrder): Promise<boolean> {
  const opened = await MqttProbe.open(machine, { ...order, clientId: clientId() });
  if (opened.at === 'open') opened.probe.close();
  return opened.at === 'open';
}

function orderOf({ config: { transport }, daemon, machine }: Subject): ProbeOrder {
  if (transport.kind !== 'mqtt') throw new Error('no broker is configured');
  const { url, version = '3.1.1', username, passwordFile } = transport;
  const password =
    passwordFile === undefined ? undefined : machine.files.readText(daemon.beside(passwordFile)).trimEnd();
  const login = username === undefined ? undefined : { username, password };
  return { url, protocol: version, clientId: clientId(), login };
}

function clientId(): string {
  return `doctor-${randomBytes(8).toString('hex')}`;
}
