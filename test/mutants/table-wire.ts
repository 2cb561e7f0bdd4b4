import type { Mutant } from './sources.ts';
export const WIRE_MUTANTS: readonly Mutant[] = [];
