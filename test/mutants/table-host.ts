import type { Mutant } from './sources.ts';
export const HOST_MUTANTS: readonly Mutant[] = [];
