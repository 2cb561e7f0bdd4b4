/** The configurations that `baton init` writes: JSON with comments, for people to go on with. Pure. */

import { type BundleDefinition, type Device, isResettable, viewOf } from '../../core/protocol/bundle.ts';
import { HOST, type VmId } from '../../core/protocol/ids.ts';
import type { Setup } from './setup.ts';
import { inline, listed } from './text.ts';

/** Longest lease that the policy of a new owner allows, in ms: one PIN or payment, with time to hesitate. */
const LEASE_MAX_MS = 60_000;

/** Names of the files of a party; the same in its folder and in /etc/baton. */
export const FILE_NAMES = {
  bundles: 'bundles.json',
  keys: (party: string) => `${party}.keys.json`,
  password: (party: string) => `${party}.password`,
  /** As the units of systemd name it. */
  config: (party: string) => (party === HOST ? 'host.json' : 'agent.json'),
} as const;

/** Returns the names of the bundles that a VM owns. */
export function ownedBy({ bundles }: Setup, vm: VmId): readonly string[] {
  return bundles.filter(({ owner }) => owner === vm).map(({ id }) => id);
}

/** Returns the peers that a party shares a key with: the host, and of owner and borrower each other. */
export function peersOf(setup: Setup, party: VmId): readonly VmId[] {
  const { vms } = setup;
  if (party === HOST) return vms;
  const isOwner = (vm: VmId) => ownedBy(setup, vm).length > 0;
  return [HOST, ...vms.filter((vm) => vm !== party && (isOwner(vm) || isOwner(party)))];
}

/** Returns the configuration of the host. */
export function hostText(setup: Setup): string {
  const { vms, bundles, enforcer, way } = setup;
  const { kind } = enforcer;
  const never = bundles.filter((bundle) => !isResettable(bundle)).map(({ id }) => id);
  const lines = [
    ...sharedLines(setup, HOST, `one key for each of ${listed(vms)}`),
    ...(kind === 'none'
      ? [
          '// Isolates nothing: this is to try messages and hooks, and borrowers have to ask with --min-evidence none.',
          '// docs/PLATFORMS.md has the enforcers that isolate.',
        ]
      : ['// docs/PLATFORMS.md says what it needs, and what it leaves undone.']),
    `"enforcer": ${inline(enforcer)},`,
    ...(never.length === 0
      ? []
      : [
          `// Without this ${listed(never)} is never lent: what a holder leaves there only its driver can clear`,
          '// ("residualStates" of the bundle file), and taken by force it is quarantined.',
          '// "acceptDriverResidualState": true,',
        ]),
    ...(way.kind === 'stream' ? listenComment(way.isLocal) : []),
    `"transport": ${transportText(setup, HOST)},`,
    `"state": "${way.isLocal ? 'state' : '/var/lib/baton-host'}", // who holds what, and the audit log`,
    `"control": "${way.isLocal ? 'host.sock' : '/run/baton/host.sock'}" // for baton ... --host`,
  ];
  return fileText(`The host: it decides who holds ${listed(bundles.map(({ id }) => id))}.`, lines);
}

function listenComment(isLocal: boolean): string[] {
  if (isLocal)
    return ['// One address per VM: a connection there counts as that VM until its handshake fails.'];
  return [
    '// One address per VM: a connection there counts as that VM until its handshake fails, so let each VM reach',
    '// only its own. Under Firecracker and Cloud Hypervisor: "vsock-unix:PATH:PORT" (docs/DEPLOY.md, Over vsock).',
  ];
}

/** Returns the configuration of the agent in `vm`. */
export function agentText(setup: Setup, vm: VmId): string {
  const { bundles, way } = setup;
  const owned = ownedBy(setup, vm);
  const lines = [
    `"vm": "${vm}",`,
    ...sharedLines(setup, vm, `a key for each of ${listed(peersOf(setup, vm))}`),
    `"transport": ${transportText(setup, vm)},`,
    `"state": "${way.isLocal ? 'state' : '/var/lib/baton'}", // journal, and what hooks have changed`,
    `"control": "${way.isLocal ? 'agent.sock' : '/run/baton/agent.sock'}", // for baton borrow, return, status`,
    ...(owned.length > 0 ? policyLines(setup, vm, owned) : []),
    '// By what this VM checks each grant: nodes of its own device tree, per device. Without it, by the bundle file.',
    `// "tree": ${inline({ nodes: mapDevices(bundles, () => ['/NODE']) })},`,
    ...hookLines(bundles, vm),
  ];
  const role = owned.length > 0 ? `owner of ${listed(owned)}` : 'a borrower';
  return fileText(`The agent of ${vm}, ${role}.`, lines);
}

function sharedLines({ machine }: Setup, party: string, keys: string): string[] {
  return [
    `"bundles": "${FILE_NAMES.bundles}", // the same file for all parties: their digests are compared`,
    `"keys": "${FILE_NAMES.keys(party)}", // ${keys}; mode 0600`,
    ...(machine === undefined ? [] : [`"machine": "${machine}", // the same for all parties`]),
  ];
}

function transportText({ way }: Setup, party: VmId): string {
  if (way.kind === 'mqtt') {
    const { kind, url } = way;
    return inline({ kind, url, username: party, passwordFile: FILE_NAMES.password(party) });
  }
  const { kind, routes } = way;
  if (party !== HOST) return inline({ kind, address: routes.find(({ vm }) => vm === party)!.dial });
  return inline({ kind, listen: Object.fromEntries(routes.map(({ vm, listen }) => [vm, listen])) });
}

function policyLines({ vms }: Setup, self: VmId, owned: readonly string[]): string[] {
  const allow = owned.flatMap((bundle) =>
    vms.filter((vm) => vm !== self).map((borrower) => inline({ bundle, borrower, leaseMaxMs: LEASE_MAX_MS })),
  );
  return [
    '// To whom this VM lends. What no entry allows is declined: delete those who shall not borrow, and choose the',
    '// longest lease. "purposes", "minHoldMaxMs" and "noticeMaxMs" bound more (docs/CONFIG.md, Agent).',
    '"policy": {',
    '  "kind": "list",',
    '  "allow": [',
    ...allow.map((entry, index) => `    ${entry}${index < allow.length - 1 ? ',' : ''}`),
    '  ]',
    '},',
  ];
}

/** A line per device, as a comment: until it is one, `check-config` warns that nothing suspends the driver. */
function hookLines(bundles: readonly BundleDefinition[], vm: VmId): string[] {
  return [
    '// How drivers are suspended before a device leaves this VM; undone when it comes. A device without hooks is',
    '// handed over as its driver left it, and check-config warns. The lines below are the last resort: they unbind',
    '// the driver. Better, if the driver can: input-inhibit, sysfs, fb-blank, runtime-pm, socket, command',
    '// (docs/CONFIG.md, Hooks).',
    '"hooks": {',
    ...bundles.flatMap(({ id, devices }, index) => [
      `  "${id}": {`,
      ...devices.map((device, at) => {
        const comma = at < devices.length - 1 ? ',' : '';
        return `    // "${device.id}": ${inline({ suspend: [unbindStep(device, vm)] })}${comma}`;
      }),
      `  }${index < bundles.length - 1 ? ',' : ''}`,
    ]),
    '}',
  ];
}

/** The device has the name that Linux gives a platform device: address of its registers, name of its node. */
function unbindStep(device: Device, vm: VmId): object {
  const registers = device.resources.find(({ kind }) => kind === 'mmio');
  const name = registers ? `${viewOf(registers, vm).toString(16)}.${device.id}` : 'DEVICE';
  return { kind: 'unbind', bus: 'platform', driver: 'DRIVER', device: name };
}

function mapDevices<T>(
  bundles: readonly BundleDefinition[],
  map: () => T,
): Readonly<Record<string, Readonly<Record<string, T>>>> {
  return Object.fromEntries(
    bundles.map(({ id, devices }) => [id, Object.fromEntries(devices.map((device) => [device.id, map()]))]),
  );
}

function fileText(about: string, lines: readonly string[]): string {
  const head = `// ${about} docs/CONFIG.md has every field, and baton check-config checks this file.`;
  return `${[head, '{', ...lines.map((line) => `  ${line}`), '}'].join('\n')}\n`;
}
