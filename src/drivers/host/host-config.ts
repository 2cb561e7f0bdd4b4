/** What the host's table is told of a bundle and of the back end. Pure. */

import type { HostConfig } from '../../core/host/host-state.ts';
import { type BundleDefinition, isResettable } from '../../core/protocol/bundle.ts';
import { HOST_TIMES } from '../../core/protocol/timers.ts';
import { bundleDigest } from '../../core/wire/digest.ts';
import type { HostParts } from './host-parts.ts';

/** Makes the configuration of the table of one bundle. */
export function hostConfig(
  definition: BundleDefinition,
  { enforcer, times, acceptDriverResidue }: HostParts,
): HostConfig {
  const { evidence, capabilities } = enforcer.describe();
  return {
    bundle: definition.id,
    owner: definition.owner,
    keeper: definition.keeper,
    digest: bundleDigest(definition),
    resettable: isResettable(definition),
    acceptDriverResidue: acceptDriverResidue ?? false,
    evidence,
    forceRevoke: capabilities.forceRevoke,
    times: { ...HOST_TIMES, ...times },
  };
}
