/** The bundle, the parties and what a search may change about them: what does not move in the checker's world. */

import { AgentEndpoint } from '../../src/core/agent/agent-endpoint.ts';
import type { BORROWER_TABLE } from '../../src/core/agent/borrower.ts';
import { HostEndpoint } from '../../src/core/host/host-endpoint.ts';
import type { HOST_TABLE } from '../../src/core/host/host-table.ts';
import { type BundleDefinition, nameResources, resourcesOf } from '../../src/core/protocol/bundle.ts';
import { grantedForm } from '../../src/core/protocol/evidence.ts';
import { bundleId, deviceId, type VmId, vmId } from '../../src/core/protocol/ids.ts';
import type { EnforcerDescription } from '../../src/ports/enforcer.ts';
import { Memo } from './memo.ts';

export const O = vmId('android');
export const B = vmId('vault');
/** The third VM (third.ts), in worlds that have it. */
export const C = vmId('kiosk');
const touch = deviceId('touch');

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
      residualStates: [],
    },
  ],
});
export const BUNDLE = bundleAt(7);
/** What a stranger takes it for. */
const OTHER_BUNDLE = bundleAt(8);
export const RESOURCES = resourcesOf(BUNDLE).map((resource) => resource.id);

const ENFORCER: EnforcerDescription = {
  name: 'model',
  kind: 'central',
  evidence: 'observed',
  capabilities: {
    forceRevoke: true,
    reset: true,
    faultReport: false,
  },
};

/** What a search may change about the world. */
export interface Settings {
  /** The enforcer can take a bundle from a live borrower. */
  readonly forceRevoke: boolean;
  readonly minHoldMs: number;
  /** An agent that means something else by the bundle, and so rejects what it is granted. */
  readonly stranger: AgentName | undefined;
  /** Whoever keeps the supplies of the bundle. */
  readonly keeper: 'owner' | 'hypervisor';
  /** A host that dies may lose its last record, as one that could not write it does. */
  readonly losesRecords: boolean;
  /** A host that starts waits until what the last one ordered has come to its end, or was killed. */
  readonly waits: boolean;
  /** Each request asks for a lease of its own. Else two of the same epoch are one consent. */
  readonly ownTerms: boolean;
  /** There is a third VM, which borrows too. */
  readonly third: boolean;
  /** Messages under way: beyond it new ones are lost, as in any queue. */
  readonly netMax: number;
}
export const USUAL: Settings = {
  forceRevoke: true,
  minHoldMs: 0,
  stranger: undefined,
  keeper: 'hypervisor',
  losesRecords: false,
  waits: true,
  ownTerms: false,
  third: false,
  netMax: 4,
};
/** Of the search that runs. */
export const SETTINGS: { present: Settings } = { present: USUAL };

export type AgentName = 'o' | 'b';
export const VM_OF: Record<AgentName, VmId> = { o: O, b: B };

/** What a negative control breaks. */
export interface Broken {
  readonly host?: typeof HOST_TABLE;
  readonly borrower?: typeof BORROWER_TABLE;
  /** Timers of this name are never started, of these parties. */
  readonly timeless?: { readonly timer: string; readonly parties: readonly ('host' | AgentName)[] };
  /** Records and bounds are said to be written, and are not. */
  readonly isForgetful?: boolean;
}
export const BROKEN: { present: Broken } = { present: {} };
export const isTimeless = (party: 'host' | AgentName, timer: string): boolean => {
  const { timeless } = BROKEN.present;
  return timeless?.timer === timer && timeless.parties.includes(party);
};

/** The product's own endpoints, as the search that runs has them, and what their steps came to. */
export interface Endpoints {
  readonly settings: Settings;
  readonly host: HostEndpoint;
  readonly agents: Readonly<Record<AgentName, AgentEndpoint>>;
  readonly memo: Memo;
}
let made: Endpoints | undefined;

/** Returns the endpoints. Their state is set before each step: what they are made of is the same in all worlds. */
export function endpoints(): Endpoints {
  const settings = SETTINGS.present;
  if (made?.settings === settings) return made;
  const { forceRevoke, keeper } = settings;
  const bundle: BundleDefinition = { ...BUNDLE, keeper };
  const capabilities = { ...ENFORCER.capabilities, forceRevoke };
  const agent = (name: AgentName) => {
    const self = VM_OF[name];
    const wanted = resourcesOf(OTHER_BUNDLE).map((resource) => grantedForm(resource, self));
    const expected = settings.stranger === name ? new Map([[BUNDLE.id, wanted]]) : undefined;
    const challenges = new Uint8Array(8);
    return new AgentEndpoint({
      self,
      bundles: [bundle],
      expected,
      challenges,
      firstRequest: 1,
      borrowerTable: BROKEN.present.borrower,
    });
  };
  made = {
    settings,
    host: new HostEndpoint({
      bundles: [bundle],
      enforcer: { ...ENFORCER, capabilities },
      bootId: new Uint8Array(16),
      table: BROKEN.present.host,
    }),
    agents: { o: agent('o'), b: agent('b') },
    memo: new Memo(),
  };
  return made;
}

/** Endpoints are made anew, as after a change of BROKEN. */
export function forgetEndpoints(): void {
  made = undefined;
}
