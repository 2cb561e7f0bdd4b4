/** The form of a planted fault, and what several tables of them use. */

import type { DoctorWorld } from './world.ts';

export type Json = Record<string, unknown>;

/** A fault that is planted, and the check that finds it. */
export interface Planted {
  /** What is planted. */
  readonly what: string;
  /** The check that finds it. */
  readonly check: string;
  readonly files: readonly ('agent' | 'host')[];
  readonly transport?: 'stream';
  readonly options?: readonly string[];
  /** What is found, in part. */
  readonly found: string | RegExp;
  plant(world: DoctorWorld): unknown;
}

export const BOTH = ['host', 'agent'] as const;
export const AGENT = ['agent'] as const;
export const HOST = ['host'] as const;

/** Changes what the agent says of its bundle. */
export function agentBundle({ agentControl: { status } }: DoctorWorld, more: Json): void {
  const [view] = status['bundles'] as Json[];
  status['bundles'] = [{ ...view, ...more }];
}

/** Changes what the host says of its bundle. */
export function hostBundle({ hostControl: { status } }: DoctorWorld, more: Json): void {
  const [view] = status['bundles'] as Json[];
  status['bundles'] = [{ ...view, ...more }];
}
