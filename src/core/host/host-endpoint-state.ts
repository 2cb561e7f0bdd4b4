/** State of the host's endpoint (host-endpoint.ts). Immutable, so that a search can store and compare it. Pure. */

import type { BundleId, Incarnation, VmId } from '../protocol/ids.ts';
import { type Bounds, boundsAt } from './bounds.ts';
import type { OpenHandover } from './handover-watch.ts';
import type { HostFound } from './host-facts.ts';
import type { HostState } from './host-state.ts';
import type { Tally } from './remap.ts';
import type { RegistryRecord } from './vm-registry.ts';

/** An ended incarnation whose memory is not freed yet. */
export interface Exit {
  readonly vm: VmId;
  readonly incarnation: Incarnation;
  /** Bundles whose devices may still reach it. */
  readonly bundles: readonly BundleId[];
}

/** All state of an endpoint. Immutable. */
export interface HostEndpointState {
  /** What was found at the start, until the bounds for this start are durable. */
  readonly found: HostFound | undefined;
  readonly isServing: boolean;
  readonly bundles: Readonly<Record<BundleId, HostState>>;
  /** Syncs and resets of the current attempt, by bundle. */
  readonly tallies: Readonly<Record<BundleId, Tally>>;
  /** Attempts whose record is not made yet, by bundle. For people; no decision depends on it. */
  readonly handovers: Readonly<Record<BundleId, readonly OpenHandover[]>>;
  readonly registry: RegistryRecord;
  /** VMs that wait before their first instruction. */
  readonly starting: readonly VmId[];
  readonly exits: readonly Exit[];
  readonly bounds: Bounds;
  readonly isBoundsPending: boolean;
  /** Bundles whose last state is not recorded, and whether the VMs are. */
  readonly unrecorded: readonly BundleId[];
  readonly areVmsRecorded: boolean;
  readonly writeFault: string | undefined;
  readonly isBeating: boolean;
}

/** State of a service without bundles. */
export const NOTHING: HostEndpointState = {
  found: undefined,
  isServing: false,
  bundles: {},
  tallies: {},
  handovers: {},
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
 * Returns whether the parties of a bundle need heartbeats: a user may type a secret on a borrowed screen, or wait for
 * one.
 */
export function isAwake({ name, holder, reservation }: HostState): boolean {
  if (name === 'moving' || reservation !== undefined) return true;
  return holder !== undefined && (holder.lease !== undefined || !holder.confirmed);
}
