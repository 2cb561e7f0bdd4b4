import type { Mutant } from './sources.ts';
export const AGENT_MUTANTS: readonly Mutant[] = [];
