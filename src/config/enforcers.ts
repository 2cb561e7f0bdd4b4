/** What an enforcer's configuration says of VMs, and what it cannot keep of what the bundles ask. Pure. */

import { type BundleDefinition, resourcesOf } from '../core/protocol/bundle.ts';
import type { HostFile } from './daemon-config.ts';
import type { Path } from './faults.ts';

type EnforcerConfig = HostFile['enforcer'];

/** A VM that an enforcer names, and where below `enforcer`. */
export interface NamedVm {
  readonly vm: string;
  readonly path: Path;
  readonly at: 'key' | 'value';
}

/** Returns the VMs that an enforcer's configuration names. */
export function namedVms(enforcer: EnforcerConfig): readonly NamedVm[] {
  const listed = (vms: readonly string[], ...path: Path) =>
    vms.map((vm, index) => ({ vm, path: [...path, index], at: 'value' as const }));
  if (enforcer.kind === 'none') return listed(enforcer.vms, 'vms');
  if (enforcer.kind === 'qmp')
    return Object.keys(enforcer.vms).map((vm) => ({ vm, path: ['vms', vm], at: 'key' }));
  if (enforcer.kind !== 'trusted-touch' || enforcer.incarnations.kind !== 'fixed') return [];
  return listed(enforcer.incarnations.vms, 'incarnations', 'vms');
}

/** Returns what the bundles ask of an enforcer that it cannot keep. */
export function enforcerComplaints(
  enforcer: EnforcerConfig,
  bundles: readonly BundleDefinition[],
): readonly { readonly path: Path; readonly message: string }[] {
  if (enforcer.kind === 'trusted-touch') {
    return bundles.flatMap((bundle) => touchFaults(bundle).map((message) => ({ path: ['kind'], message })));
  }
  if (enforcer.kind !== 'qmp') return [];
  const ids: string[] = bundles.map(({ id }) => id);
  const unknown = Object.keys(enforcer.inputs).filter((id) => !ids.includes(id));
  const silent = ids.filter((id) => !(id in enforcer.inputs));
  return [
    ...unknown.map((id) => ({
      path: ['inputs', id],
      message: `no bundle of this name: expected ${ids.map((known) => `"${known}"`).join(' or ')}`,
    })),
    ...silent.map((id) => ({
      path: ['inputs'],
      message: `none for ${id}: qmp moves nothing but input events`,
    })),
    // What is down is released as the bundle leaves; of anything else it can clear nothing.
    ...bundles.flatMap((bundle) =>
      resetFaults('qmp', bundle).map((message) => ({ path: ['kind'], message })),
    ),
  ];
}

/** An enforcer that resets nothing would be believed to have cleared what it has not. */
function resetFaults(kind: EnforcerConfig['kind'], bundle: BundleDefinition): string[] {
  const device = bundle.devices.find(({ residualStates }) =>
    residualStates.some(({ clearedBy }) => clearedBy === 'reset'),
  );
  if (!device) return [];
  const what = `a residual state of ${bundle.id}.${device.id} is cleared by reset`;
  return [`${kind} resets nothing, and ${what}: expected "clearedBy": "driver"`];
}

/** The touch driver lends registers and one interrupt, keeps the supplies on, resets nothing, and lends no DMA. */
function touchFaults(bundle: BundleDefinition): string[] {
  const stream = resourcesOf(bundle).find(({ kind }) => kind === 'stream');
  return [
    ...(stream ? [`trusted-touch moves no DMA, and ${bundle.id} has ${stream.id}: expected no streams`] : []),
    ...resetFaults('trusted-touch', bundle),
    ...(bundle.keeper === 'owner'
      ? []
      : [`trusted-touch has the owner keep the supplies of ${bundle.id} on: expected "keeper": "owner"`]),
  ];
}
