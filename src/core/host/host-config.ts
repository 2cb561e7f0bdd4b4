/** What the host's table is told of a bundle and of the enforcer. Pure. */

import { type BundleDefinition, isResettable } from '../protocol/bundle.ts';
import { HOST_TIMES } from '../protocol/timers.ts';
import { bundleDigest } from '../wire/digest.ts';
import type { HostSetup } from './host-facts.ts';
import type { HostConfig } from './host-state.ts';

/** Makes the configuration of the table of one bundle. */
export function hostConfig(
  definition: BundleDefinition,
  { enforcer, times, acceptDriverResidualState }: HostSetup,
): HostConfig {
  const { evidence, capabilities } = enforcer;
  return {
    bundle: definition.id,
    owner: definition.owner,
    keeper: definition.keeper,
    digest: bundleDigest(definition),
    resettable: isResettable(definition),
    acceptDriverResidualState: acceptDriverResidualState ?? false,
    evidence,
    forceRevoke: capabilities.forceRevoke,
    times: { ...HOST_TIMES, ...times },
  };
}
