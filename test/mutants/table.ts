/** Deliberate bugs, each with the property that it breaks and the test that catches it. */

import type { Mutant } from './sources.ts';
import { AGENT_MUTANTS } from './table-agents.ts';
import { EMITTER_MUTANTS } from './table-emitters.ts';
import { ENDPOINT_MUTANTS } from './table-endpoints.ts';
import { ENFORCER_MUTANTS } from './table-enforcers.ts';
import { HOST_MUTANTS } from './table-host.ts';
import { PROTOCOL_MUTANTS } from './table-protocol.ts';
import { QUEUE_MUTANTS } from './table-queue.ts';
import { WIRE_MUTANTS } from './table-wire.ts';

export const MUTANTS: readonly Mutant[] = [
  ...EMITTER_MUTANTS,
  ...ENDPOINT_MUTANTS,
  ...ENFORCER_MUTANTS,
  ...HOST_MUTANTS,
  ...PROTOCOL_MUTANTS,
  ...QUEUE_MUTANTS,
  ...WIRE_MUTANTS,
  ...AGENT_MUTANTS,
];
