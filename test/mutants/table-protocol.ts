import type { Mutant } from './sources.ts';
export const PROTOCOL_MUTANTS: readonly Mutant[] = [];
