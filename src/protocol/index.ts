/** The only door into the protocol core. */

export type { DriverStatus, HookName, HookResult } from '../ports.ts';
export * from './agent-io.ts';
export * from './borrower.ts';
export * from './bundle.ts';
export * from './codes.ts';
export * from './evidence.ts';
export * from './hypervisor.ts';
export { leaseLeft } from './hypervisor-remap.ts';
export * from './hypervisor-state.ts';
export * from './ids.ts';
export * from './messages.ts';
export * from './owner.ts';
export * from './schema.ts';
export * from './table.ts';
export * from './timers.ts';
