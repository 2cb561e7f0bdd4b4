import type { Planted } from './run.ts';
import type { Source } from './sources.ts';
export async function mechanicalMutants(
  _s: readonly Source[],
  _n: number,
  _r: (bound: number) => number,
): Promise<Planted[]> {
  return [];
}
