/** The only door into the protocol core. */

export type { DriverStatus, HookName, HookResult } from '../ports.ts';
export * from './agent-io.ts';
export { BORROWER_INPUTS, BORROWER_TABLE } from './borrower.ts';
export {
  BORROWER_STATES,
  type BorrowerEffect,
  type BorrowerInput,
  type BorrowerState,
  initialBorrower,
} from './borrower-state.ts';
export * from './bundle.ts';
export * from './codes.ts';
export * from './evidence.ts';
export { HOST_INPUTS, HOST_TABLE } from './hypervisor.ts';
export { leaseLeft } from './hypervisor-attempt.ts';
export * from './hypervisor-state.ts';
export * from './ids.ts';
export * from './messages.ts';
export { OWNER_INPUTS, OWNER_TABLE } from './owner.ts';
export {
  initialOwner,
  OWNER_STATES,
  type OwnerEffect,
  type OwnerInput,
  type OwnerState,
} from './owner-state.ts';
export * from './schema.ts';
export * from './table.ts';
export * from './timers.ts';
