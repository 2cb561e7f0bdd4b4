/** Warnings about a valid configuration that may not do what was meant. Pure: the machine is read through a port. */

import { type BundleDefinition, isResettable } from '../core/protocol/bundle.ts';
import type { VmId } from '../core/protocol/ids.ts';
import { enforcerKindOf } from '../edges/enforcer/kinds.ts';
import type { AgentFile } from './agent-config.ts';
import { readBundleFile } from './bundle-file.ts';
import { type Path, shown } from './faults.ts';
import { type ConfigFiles, isInPath, treeOf } from './follow.ts';
import type { HostFile } from './host-config.ts';
import { ownTree } from './own-tree.ts';
import { programsOfAgent } from './programs.ts';
import { complaintAt, readConfig } from './read.ts';
import { KEYS_SCHEMA } from './shared-parts.ts';
import { hookWarnings } from './warn-hooks.ts';

/** Returns warnings, one line each, about an agent's configuration without faults of `followAgent`. */
export function warnAgent(file: string, text: string, config: AgentFile, files: ConfigFiles): string[] {
  const { vm, policy, hooks = {} } = config;
  const bundles = bundlesOf(file, config.bundles, files);
  const warn = warner(file, text);
  const owned = bundles.filter(({ owner }) => owner === vm).map(({ id }) => id);
  const forgotten = bundles.flatMap(({ id, devices }) => {
    const without = devices.map((device) => device.id).filter((device) => !hooks[id]?.[device]);
    if (without.length === 0) return [];
    const path = hooks[id] ? ['hooks', id] : config.hooks ? ['hooks'] : ['vm'];
    const names = without.map((device) => `${id}.${device}`).join(', ');
    return [warn(path, `no hooks for ${names}: handed over as the driver left it`)];
  });
  const { tree } = config;
  const differences = tree ? ownTree(tree, bundles, vm as VmId, treeOf(file, tree, files)).differences : [];
  return [
    ...differences.map(({ path, message }) => warn(['tree', ...path], message)),
    ...(owned.length > 0 && !policy
      ? [warn(['vm'], `no policy: ${owned.join(', ')} is lent to nobody`)]
      : []),
    ...programsOfAgent(config)
      .map(({ path, command: [name = ''] }) => ({ path, name }))
      .filter(({ name }) => !name.includes('/') && !isInPath(name, files))
      .map(({ path, name }) => warn([...path, 0], `${shown(name)}: no such program in PATH now`)),
    ...forgotten,
    ...hookWarnings(hooks, files).map(({ path, message }) => warn(path, message)),
  ];
}

/** Returns warnings, one line each, about a host's configuration without faults of `followHost`. */
export function warnHost(file: string, text: string, config: HostFile, files: ConfigFiles): string[] {
  const { enforcer } = config;
  const bundles = bundlesOf(file, config.bundles, files);
  const warn = warner(file, text);
  const keyFile = files.besideConfig(file, config.keys);
  const keys = Object.keys(readConfig(KEYS_SCHEMA, keyFile, files.readText(keyFile)));
  const named = enforcerKindOf(enforcer).vms?.(enforcer) ?? [];
  const running = named.length > 0 ? named.map(({ vm }) => vm) : undefined;
  const where = ['enforcer', ...(named[0]?.path.slice(0, -1) ?? [])];
  const viewers = [...new Set(bundles.flatMap(viewersOf))].filter((vm) => !keys.includes(vm));
  return [
    ...viewers.map((vm) =>
      warn(['keys'], `no key for "${vm}", which the bundle file names: it cannot take part`),
    ),
    ...(config.acceptDriverResidualState
      ? []
      : bundles
          .filter((bundle) => !isResettable(bundle))
          .map(({ id }) =>
            warn(
              [],
              `${id} is never lent: only a driver clears what stays in it, and "acceptDriverResidualState" is not set`,
            ),
          )),
    ...bundles
      .filter(({ owner }) => running && !running.includes(owner))
      .map(({ id, owner }) =>
        warn(where, `"${owner}", the owner of ${id}, is missing: it counts as not running`),
      ),
  ];
}

function warner(file: string, text: string): (path: Path, message: string) => string {
  return (path, message) => complaintAt(file, text, { path, at: 'value', message: `warning: ${message}` });
}

function bundlesOf(file: string, name: string, files: ConfigFiles): BundleDefinition[] {
  const full = files.besideConfig(file, name);
  return readBundleFile(full, files.readText(full));
}

/** VMs for which a bundle has views. */
function viewersOf({ devices }: BundleDefinition): string[] {
  return devices.flatMap(({ resources }) => resources.flatMap(({ views }) => Object.keys(views)));
}
