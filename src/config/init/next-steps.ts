/** What a person does with the new folder: what goes where, and the commands that follow. Pure. */

import { HOST, type VmId } from '../../core/protocol/ids.ts';
import { FILE_NAMES, ownedBy } from './configs.ts';
import { BROKER_PASSWORDS } from './files.ts';
import type { Setup } from './setup.ts';
import { listed, shellWord } from './text.ts';

/** Where the units and this page expect the files of a machine. */
const PLACE = '/etc/baton';

/**
 * Returns the lines, without secrets. `folder`: as the reader names the new folder. `isHashed`: whether the broker's
 * passwords are hashes already.
 */
export function nextSteps(setup: Setup, folder: string, isHashed: boolean): readonly string[] {
  const { vms, way } = setup;
  const at = (path: string) => shellWord(folder === '.' ? path : `${folder}/${path}`);
  const head = `${folder === '.' ? 'This folder' : folder}: the files of ${listed([HOST, ...vms])}, with new keys.`;
  const all = folder === '.' ? '*/*.json' : `${shellWord(folder)}/*/*.json`;
  const users = way.kind !== 'mqtt' || isHashed ? [] : plainUsers(at);
  return way.isLocal
    ? [head, ...localSteps(setup, at, all), ...users]
    : [head, ...copySteps(setup, at), ...users, ...machineSteps(setup)];
}

type Place = (path: string) => string;

/** All parties on one machine, each in a shell of its own. */
function localSteps(setup: Setup, at: Place, all: string): string[] {
  const { vms, way } = setup;
  const agents = vms.map((vm) => `  baton-agent --config ${at(`${vm}/${FILE_NAMES.config(vm)}`)}`);
  return [
    'All parties are on this machine. Hooks are still to be written: see the configurations.',
    '',
    `  baton check-config ${all}`,
    ...(way.kind === 'mqtt' ? brokerSteps(`${at('host/mosquitto')}/*`) : []),
    `  baton-host --config ${at('host/host.json')} --create-table # --create-table: the first time`,
    ...agents,
    `  ${borrowWords(setup, (borrower) => ` --socket ${at(`${borrower}/agent.sock`)}`)}`,
  ];
}

/** What is copied to which machine. */
function copySteps({ vms }: Setup, at: Place): string[] {
  return [
    `Copy what is in each folder to ${PLACE} of its own machine, or into its image, and to no other: it has the keys`,
    `of that party. Make ${PLACE} there first, with mode 0700. The programs go to /usr/bin: baton-host and baton on`,
    'the host, baton-agent and baton in each VM.',
    '',
    ...[HOST, ...vms].map((party) => `  scp -r ${at(party)}/* root@${party.toUpperCase()}:${PLACE}/`),
    '',
  ];
}

/** `files`: as a shell names what is in the folder of the broker. */
function brokerSteps(files: string): string[] {
  return [
    `  cp -r ${files} /etc/mosquitto/ && chown mosquitto: /etc/mosquitto/baton-passwords`,
    '  systemctl restart mosquitto',
  ];
}

/** What is done on each machine after that. */
function machineSteps(setup: Setup): string[] {
  const { vms, way } = setup;
  const owners = vms.filter((vm) => ownedBy(setup, vm).length > 0);
  const units = `install -m 644 -t /etc/systemd/system ${PLACE}/systemd/*.service`;
  const isVsock = way.kind === 'stream' && way.routes.some(({ dial }) => dial.startsWith('vsock:'));
  return [
    `On the host${isVsock ? '; vsock needs baton-native.node beside baton-host (npm run build:native)' : ''}:`,
    '',
    ...(way.kind === 'mqtt' ? brokerSteps(`${PLACE}/mosquitto/*`) : []),
    `  baton check-config ${PLACE}/host.json && ${units}`,
    `  cp -r ${PLACE}/systemd/native/* /etc/systemd/system/ # only with baton-native.node`,
    `  baton-host --config ${PLACE}/host.json --create-table # the first start; end it, then:`,
    '  systemctl enable --now baton-host',
    '',
    `In ${listed(vms)}, after "hooks" of ${PLACE}/agent.json is written:`,
    '',
    `  baton check-config ${PLACE}/agent.json && ${units}`,
    `  cp -r ${PLACE}/systemd/node/* /etc/systemd/system/ # only with the agent on Node`,
    '  systemctl enable --now baton-agent',
    '',
    `In ${listed(owners)}, if the system sleeps: systemd/sleep, docs/PLATFORMS.md (When the owner sleeps).`,
    '',
    'Then, in a borrower:',
    '',
    `  ${borrowWords(setup, () => '')}`,
  ];
}

/** A first `baton borrow`, of the first bundle. */
function borrowWords({ bundles, vms, enforcer }: Setup, socketOf: (borrower: VmId) => string): string {
  const [{ id, owner }] = bundles as [Setup['bundles'][number]];
  const borrower = vms.find((vm) => vm !== owner)!;
  const evidence = enforcer.kind === 'none' ? ' --min-evidence none' : '';
  return `baton borrow ${id} --wait 10s${evidence}${socketOf(borrower)} -- echo held # in ${borrower}`;
}

function plainUsers(at: Place): string[] {
  return [
    'mosquitto_passwd is not on this machine, so the passwords of the broker are not hashed yet. Where it is:',
    '',
    `  mosquitto_passwd -U ${at(BROKER_PASSWORDS)}`,
    '',
  ];
}
