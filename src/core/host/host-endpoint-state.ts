/** What the host's endpoint knows (host-endpoint.ts): immutable, so that a search can keep and compare it. Pure. */

import type { BundleId, Incarnation, VmId } from '../protocol/ids.ts';
import { type Bounds, boundsAt } from './bounds.ts';
import type { HostState } from './host-state.ts';
import type { Tally } from './remap.ts';
import type { RegistryRecord } from './vm-registry.ts';

/** An ended incarnation whose memory is not freed yet. */
export interface Exit {
  readonly vm: VmId;
  readonly incarnation: Incarnation;
  /** Bundles that may still reach it. */
  readonly bundles: readonly BundleId[];
}

/** All that an endpoint knows. Immutable. */
export interface HostEndpointState {
  readonly isServing: boolean;
  readonly bundles: Readonly<Record<BundleId, HostState>>;
  /** Syncs and resets of the attempt under way, by bundle. */
  readonly tallies: Readonly<Record<BundleId, Tally>>;
  readonly registry: RegistryRecord;
  /** VMs that wait for their first instruction. */
  readonly starting: readonly VmId[];
  readonly exits: readonly Exit[];
  readonly bounds: Bounds;
  readonly isBoundsPending: boolean;
  /** Bundles whose last state is not written, and whether the VMs are. */
  readonly unrecorded: readonly BundleId[];
  readonly areVmsRecorded: boolean;
  readonly writeFault: string | undefined;
  readonly isBeating: boolean;
}

/** The state of a service without bundles. */
export const NOTHING: HostEndpointState = {
  isServing: false,
  bundles: {},
  tallies: {},
  registry: { machineBoot: '', incarnations: {}, running: [], floor: 0 },
  starting: [],
  exits: [],
  bounds: boundsAt('', '', 0, 0),
  isBoundsPending: false,
  unrecorded: [],
  areVmsRecorded: true,
  writeFault: undefined,
  isBeating: false,
};

/**
 * Whether a party has to know all the time that the host runs: somebody may be typing a secret on a borrowed
 * screen, or wait for one.
 */
export function isAwake({ name, holder, reservation }: HostState): boolean {
  if (name === 'moving' || reservation !== undefined) return true;
  return holder !== undefined && (holder.lease !== undefined || !holder.confirmed);
}
