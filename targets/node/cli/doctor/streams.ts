/** Checks of streams: an agent's way to its host, and the sockets at which a host listens. */

import { statSync } from 'node:fs';
import { parseAddress } from '../../../../src/common/addresses.ts';
import type { Json } from '../../../../src/common/lines.ts';
import { placeOf, socketsOf } from '../../../../src/config/named-sockets.ts';
import { STREAMS } from '../../net/streams.ts';
import { attempt } from '../../system/processes.ts';
import { type Check, fault, ok, skipped } from './check.ts';
import { within } from './machine.ts';
import { answered, type Subject } from './subject.ts';

/** Longest wait for a connection, in ms: as the agent's own. */
const DIAL_MS = 5_000;

/**
 * An agent that runs is asked; its own connection is the proof. Only when it has none, and --dial allows it, the
 * address of the configuration is dialled: the host gives a newer connection the place of the agent's.
 */
const HOST_REACHED: Check = {
  name: 'host-reached',
  of: 'agent',
  run: async (subject) => {
    const { transport } = subject.daemon.agent!;
    if (transport.kind !== 'stream') return [];
    const { address } = transport;
    const status = await subject.status();
    const peers = answered(status) ? ((status['peers'] ?? []) as readonly Json[]) : [];
    const host = peers.find(({ peer }) => peer === 'host');
    if (host?.['up'] === true) return ok(address, 'the agent has a session with the host');
    if (!subject.may.dial)
      return host === undefined
        ? skipped(address, 'no agent says so; --dial connects')
        : unreached(address, String(host['hint'] ?? 'no session with the host'));
    const error = await dialled(subject, address);
    return error === undefined ? ok(address, 'it takes a connection') : unreached(address, error);
  },
};

function unreached(address: string, found: string) {
  return fault(
    address,
    found,
    'a host that takes the connection',
    'start baton-host; compare "transport.address" here with "transport.listen" of the host: baton check-config',
  );
}

function dialled({ machine }: Subject, address: string): Promise<string | undefined> {
  const wait = new Promise<string | undefined>((resolve) =>
    STREAMS.connect(address, (stream) => {
      if (stream instanceof Error) return resolve(stream.message);
      stream.close();
      resolve(undefined);
    }),
  );
  return within(machine, DIAL_MS, `no answer within ${DIAL_MS} ms`, wait).catch(
    (error) => (error as Error).message,
  );
}

/** Who may connect there counts as that VM until its handshake fails, and so keeps the VM out. */
const LISTEN_MODE: Check = {
  name: 'listen-mode',
  of: 'host',
  run: ({ daemon: { host } }) =>
    socketsOf(host!)
      .filter(({ address, listens }) => listens && isFile(address))
      .flatMap(({ address }) => {
        const path = placeOf(address).replace(/^unix:/, '');
        const stat = attempt(() => statSync(path));
        if (!stat) return skipped(address, 'there is no socket: the host does not run');
        const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
        if ((stat.mode & 0o002) === 0) return ok(address, `mode ${mode}`);
        return fault(
          address,
          `mode ${mode}: any user may take the place of this VM`,
          'mode 0600, or 0660 with the group of the VMM',
          `chmod o= ${path}`,
        );
      }),
};

function isFile(address: string): boolean {
  const parsed = parseAddress(address);
  return typeof parsed !== 'string' && (parsed.kind === 'unix' || parsed.kind === 'vsock-unix');
}

/** Every check of streams. */
export const STREAM_CHECKS: readonly Check[] = [HOST_REACHED, LISTEN_MODE];
