/** Checks of the running daemon, by its control socket: its version, its peers, its bundles, its clock. */

import { bundleFaults } from '../../../../src/cli/verbs/status.ts';
import { absenceText } from '../../../../src/cli/words.ts';
import type { Json } from '../../../../src/common/lines.ts';
import { VERSION } from '../../program/version.ts';
import { DELAYED_ACK_MS } from './broker.ts';
import { type Check, type Finding, fault, ok, skipped } from './check.ts';
import { pause } from './machine.ts';
import { answered, type Subject } from './subject.ts';

/** Round trips that are measured, and the pause between two, in ms: what was heard 100 ms ago is not asked again. */
const ROUND_TRIPS = 5;
const ROUND_PAUSE_MS = 150;
/** Two readings of one clock differ by less, in ms, on a busy machine. */
const CLOCK_SLACK_MS = 50;
/** A pause of the host is told for this time, in ms: as `baton status` does. */
const STOPPED_TOLD_MS = 60_000;

const ANSWERS: Check = {
  name: 'daemon-answers',
  of: 'both',
  run: async (subject) => {
    const { control, program, isHost, daemon } = subject;
    const status = await subject.status();
    const start = `systemctl start ${program}, or ${program} --config ${daemon.file}`;
    if (!answered(status)) {
      const mend = status.hangs ? `systemctl restart ${program}, and find what stopped it` : start;
      return fault(control, status.why, 'a daemon that answers within 5 s', mend);
    }
    if ('vms' in status === isHost) return ok(control, 'it answers');
    return fault(
      control,
      isHost ? 'an agent answers there' : 'the host answers there',
      isHost ? 'the host' : 'the agent of this VM',
      'a "control" of its own for each daemon, then restart both',
    );
  },
};

/** A check of the answer to `status`. */
function statusCheck(
  name: string,
  of: Check['of'],
  run: (status: Json, subject: Subject) => Promise<readonly Finding[]> | readonly Finding[],
): Check {
  return {
    name,
    of,
    run: async (subject) => {
      const status = await subject.status();
      return answered(status) ? run(status, subject) : skipped(subject.control, 'the daemon does not answer');
    },
  };
}

const DAEMON_VERSION = statusCheck('daemon-version', 'both', ({ version }, { control, program }) => {
  if (version === VERSION) return ok(control, VERSION);
  return fault(
    control,
    typeof version === 'string' ? version : 'one that does not say its version: 0.1.0 or older',
    `${VERSION}, as this program`,
    `install the same version, then systemctl restart ${program}`,
  );
});

function peersOf(status: Json): readonly Json[] {
  return (status['peers'] ?? []) as readonly Json[];
}

const PEERS_UP = statusCheck('peers-up', 'both', (status, { control }) => {
  const peers = peersOf(status);
  if (peers.length === 0) return ok(control, 'no peer is expected now');
  return peers.flatMap((peer) =>
    peer['up'] === true
      ? ok(String(peer['peer']), 'it has a session')
      : fault(
          String(peer['peer']),
          absenceText(peer),
          'a session',
          'mend the cause after the colon; without one start the peer, compare "transport" and keys',
        ),
  );
});

/** Both ends see it: a boot id that comes back is that of a second process. */
const ONE_PROCESS = statusCheck('one-process', 'both', (status, { control }) => {
  const twins = peersOf(status).filter(({ hint }) => /two processes|another agent/.test(String(hint)));
  if (twins.length === 0) return ok(control, 'no name has two processes');
  return twins.flatMap(({ peer, hint }) =>
    fault(
      String(peer),
      String(hint),
      'one process of each name',
      'end one of the two; give a cloned guest a name and keys of its own',
    ),
  );
});

function bundlesOf(status: Json): readonly Json[] {
  return (status['bundles'] ?? []) as readonly Json[];
}

const BUNDLE_STATE = statusCheck('bundle-state', 'both', (status) =>
  bundlesOf(status).flatMap((view) => {
    const name = String(view['bundle']);
    const { definitionDiffers: _, definitionDiffersFrom: __, ...rest } = view;
    const [found] = bundleFaults(rest);
    if (found === undefined)
      return ok(name, `${view['phase'] ?? view['state']}, holder ${view['holder'] ?? 'none'}`);
    return fault(
      name,
      `${found}: ${view['reason']}`,
      'parked, or with a holder whose driver works',
      `baton describe ${name}, mend the cause, then baton lift ${name} at the host`,
    );
  }),
);

const DIGEST_AGREED = statusCheck('digest-agreed', 'both', (status) =>
  bundlesOf(status).flatMap((view) => {
    const name = String(view['bundle']);
    const from = (view['definitionDiffersFrom'] ?? []) as readonly string[];
    if (view['definitionDiffers'] !== true && from.length === 0)
      return ok(name, 'no peer has another definition');
    return fault(
      name,
      `defined otherwise by ${from.join(' and ') || 'another party'}`,
      'one digest for all parties',
      'copy one bundle file to all parties, and restart their daemons',
    );
  }),
);

const RECORD_WRITTEN = statusCheck('record-written', 'host', ({ writeFault }, { state }) =>
  writeFault
    ? fault(state, String(writeFault), 'table and audit log that are written', `free space: df ${state}`)
    : ok(state, 'table and audit log are written'),
);

const HOST_RAN = statusCheck('host-ran', 'host', ({ stopped }, { control }) => {
  const { forMs, agoMs } = (stopped ?? { agoMs: STOPPED_TOLD_MS }) as { forMs?: number; agoMs: number };
  if (agoMs >= STOPPED_TOLD_MS) return ok(control, 'it ran without a pause');
  return fault(
    control,
    `it did not run for ${forMs} ms, until ${Math.round(agoMs / 1_000)} s ago`,
    'a host that always runs: leases go on meanwhile',
    'find what stopped it: a signal, a debugger, or no CPU time (CPUWeight= of its unit)',
  );
});

/** Of an agent whose VM has ended the host misses nothing; the owners of bundles have to run. */
const OWNER_RUNS = statusCheck('owner-runs', 'host', (status) => {
  const vms = Object.keys((status['vms'] ?? {}) as Json);
  const owners = [...new Set(bundlesOf(status).map(({ owner }) => String(owner)))];
  return owners.flatMap((owner) =>
    vms.includes(owner)
      ? ok(owner, 'the enforcer has it run')
      : fault(
          owner,
          `the enforcer says that it does not run; there run ${vms.join(', ') || 'none'}`,
          'the owner of a bundle runs',
          'start the VM; compare its name in the enforcer’s configuration',
        ),
  );
});

/** The clock of the daemon is read between two readings of ours: both are CLOCK_MONOTONIC of this machine. */
const CLOCK_DAEMON = statusCheck('clock-daemon', 'both', async (status, subject) => {
  const { control, machine } = subject;
  const bundle = bundlesOf(status)[0]?.['bundle'];
  if (bundle === undefined) return skipped(control, 'it has no bundle to describe');
  const fromMs = machine.nowMs();
  const answer = await subject.ask({ do: 'describe', bundle });
  const toMs = machine.nowMs();
  const theirs = answered(answer) ? answer['nowMs'] : undefined;
  if (typeof theirs !== 'number') return skipped(control, 'it does not tell its clock');
  const offMs = Math.round(theirs < fromMs ? theirs - fromMs : Math.max(0, theirs - toMs));
  if (Math.abs(offMs) <= CLOCK_SLACK_MS) return ok(control, 'it has the monotonic clock of this machine');
  return fault(
    control,
    `its clock is ${offMs} ms from that of this machine`,
    'the same monotonic clock: its leases count on it',
    'restart it; no snapshot of a running process, no time name space of its own',
  );
});

/** A `status` is answered when all peers have: what lies on the way to them is in its time. */
const ROUND_TRIP = statusCheck('round-trip', 'both', async (status, subject) => {
  const { control, machine } = subject;
  const peers = peersOf(status);
  if (peers.length === 0 || peers.some(({ up }) => up !== true))
    return skipped(control, 'not every peer has a session');
  const times: number[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) {
    await pause(machine, ROUND_PAUSE_MS);
    const fromMs = machine.nowMs();
    if (!answered(await subject.ask({ do: 'status' }))) return skipped(control, 'it answers no more');
    times.push(machine.nowMs() - fromMs);
  }
  // What holds back an answer does so each time; a busy machine does not.
  const ms = Math.min(...times);
  const words = `${ms.toFixed(1)} ms until all peers have answered (shortest of ${ROUND_TRIPS})`;
  if (ms < DELAYED_ACK_MS) return ok(control, words);
  return fault(
    control,
    words,
    `less than ${DELAYED_ACK_MS} ms, Linux's TCP_DELACK_MIN: more is Nagle's algorithm, or a slow way`,
    'set_tcp_nodelay true at the broker; no proxy between the parties',
  );
});

/** Every check of a running daemon. */
export const DAEMON_CHECKS: readonly Check[] = [
  ANSWERS,
  DAEMON_VERSION,
  PEERS_UP,
  ONE_PROCESS,
  BUNDLE_STATE,
  DIGEST_AGREED,
  RECORD_WRITTEN,
  HOST_RAN,
  OWNER_RUNS,
  CLOCK_DAEMON,
  ROUND_TRIP,
];
