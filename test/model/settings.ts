/** The bundle, the parties and what a search may change about them: what does not move in the checker's world. */

import type { HostConfig } from '../../src/core/host/host-state.ts';
import { type BundleDefinition, nameResources, resourcesOf } from '../../src/core/protocol/bundle.ts';
import type { AgentConfig } from '../../src/core/protocol/evidence.ts';
import { bundleId, deviceId, type VmId, vmId } from '../../src/core/protocol/ids.ts';
import { HOST_TIMES } from '../../src/core/protocol/timers.ts';

export const O = vmId('android');
export const B = vmId('vault');
const touch = deviceId('touch');
export const DIGEST = new Uint8Array(32);

/** A bundle with one register range and one stream: the smallest with two paths of different kinds. */
const bundleAt = (stream: number): BundleDefinition => ({
  id: bundleId('panel'),
  owner: O,
  keeper: 'hypervisor',
  devices: [
    {
      id: touch,
      resources: nameResources(touch, [
        { kind: 'mmio', physical: 0x1000, bytes: 0x1000, views: {} },
        { kind: 'stream', physical: stream, views: {} },
      ] as never),
      residues: [],
    },
  ],
});
export const BUNDLE = bundleAt(7);
/** What a stranger takes it for. */
const OTHER_BUNDLE = bundleAt(8);
export const RESOURCES = resourcesOf(BUNDLE).map((resource) => resource.id);

export const AGENT_CONFIG = {
  o: { self: O, definition: BUNDLE, digest: DIGEST } satisfies AgentConfig,
  b: { self: B, definition: BUNDLE, digest: DIGEST } satisfies AgentConfig,
};
export const HOST_CONFIG: HostConfig = {
  bundle: BUNDLE.id,
  owner: O,
  keeper: 'hypervisor',
  digest: DIGEST,
  resettable: true,
  acceptDriverResidue: false,
  evidence: 'observed',
  forceRevoke: true,
  times: HOST_TIMES,
};

/** What a search may change about the world. */
export interface Settings {
  /** The back end can take a bundle from a live borrower. */
  readonly forceRevoke: boolean;
  readonly minTenureMs: number;
  /** An agent that means something else by the bundle, and so rejects what it is granted. */
  readonly stranger: AgentName | undefined;
  /** A host that dies may lose the records that it did not sync. */
  readonly losesUnsynced: boolean;
  /** A host that starts waits until what the last one ordered has come to its end, or was killed. */
  readonly waits: boolean;
  /** Each request asks for a lease of its own. Else two of the same epoch are one consent. */
  readonly ownTerms: boolean;
  /** Messages under way: beyond it new ones are lost, as in any queue. */
  readonly netMax: number;
}
export const USUAL: Settings = {
  forceRevoke: true,
  minTenureMs: 0,
  stranger: undefined,
  losesUnsynced: false,
  waits: true,
  ownTerms: false,
  netMax: 4,
};
/** Of the search that runs. */
export const SETTINGS: { present: Settings } = { present: USUAL };

/** As the search that runs has it. */
export const agentConfig = (name: AgentName): AgentConfig =>
  SETTINGS.present.stranger === name
    ? { ...AGENT_CONFIG[name], definition: OTHER_BUNDLE }
    : AGENT_CONFIG[name];
export const hostConfig = (): HostConfig =>
  SETTINGS.present.forceRevoke ? HOST_CONFIG : { ...HOST_CONFIG, forceRevoke: false };

export type AgentName = 'o' | 'b';
export const VM_OF: Record<AgentName, VmId> = { o: O, b: B };
