/** Configuration of the host's table: one bundle and the enforcer. Pure. */

import { type BundleDefinition, isResettable } from '../protocol/bundle.ts';
import { HOST_TIMES } from '../protocol/timers.ts';
import { bundleDigest } from '../wire/digest.ts';
import type { HostSetup } from './host-facts.ts';
import type { HostConfig } from './host-state.ts';

/** Returns the configuration of one bundle's table. */
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
