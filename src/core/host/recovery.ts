/** What a host that starts makes of what it found: bounds, records and running VMs. Pure. */

import type { BundleId, Epoch } from '../protocol/ids.ts';
import type { Bounds } from './bounds.ts';
import type { HostFound } from './host-facts.ts';
import { initialHost, type Recovered } from './host-state.ts';
import { type RegistryRecord, registryAtStart } from './vm-registry.ts';

/** Whether the machine was rebooted since the last start of the service. A reboot ends all VMs. */
const isRebooted = ({ bounds, machineBoot }: HostFound): boolean =>
  bounds !== undefined && bounds.machineBoot !== machineBoot;

/** Returns the incarnations that the service goes on with. */
export function registryFound(found: HostFound): RegistryRecord {
  const { bounds, records, machineBoot, running } = found;
  const floor = records?.registry && !isRebooted(found) ? 0 : (bounds?.incarnations ?? 0);
  return registryAtStart(records?.registry, machineBoot, running, floor);
}

/** Returns what a bundle's table starts with, but for time and running VMs. `bounds`: those of this start. */
export function startOf(found: HostFound, bundle: BundleId, bounds: Bounds) {
  const epochs = { from: (found.bounds?.epochs ?? 0) as Epoch, to: bounds.epochs as Epoch };
  const recorded = found.recorded && (found.recorded.get(bundle) ?? []);
  return { on: 'start', recovered: recoveredOf(found, bundle), epochs, recorded } as const;
}

/** Returns what is known of a bundle. */
function recoveredOf(found: HostFound, bundle: BundleId): Recovered {
  const { bounds, records, isFirst } = found;
  const rebooted = isRebooted(found);
  // With the bounds intact, records that are missing after a reboot mean that no VM holds a bundle.
  const isLost = (bounds === undefined && !isFirst) || (!records && !isFirst && !rebooted);
  if (isLost) return { kind: 'lost' };
  const state = records?.bundles.get(bundle);
  if (state) return { kind: 'record', state, rebooted };
  if (records || isFirst) return { kind: 'new' };
  return { kind: 'record', state: { ...initialHost(), exposed: true }, rebooted };
}
