/** What a check of `baton doctor` is, and what it may find. Types, and short ways to write a result. */

import type { Subject } from './subject.ts';

/** What one check found about one thing. */
export type Finding =
  | { readonly result: 'ok'; readonly about: string; readonly found: string }
  | { readonly result: 'skipped'; readonly about: string; readonly why: string }
  | {
      readonly result: 'fault';
      readonly about: string;
      readonly found: string;
      readonly expected: string;
      /** The command or the edit that mends it. */
      readonly mend: string;
    };

/** A check of one configuration: what it observes, and how. A rejection counts as skipped, with the reason. */
export interface Check {
  /** Stable: scripts go by it. */
  readonly name: string;
  readonly of: 'agent' | 'host' | 'both';
  run(subject: Subject): Promise<readonly Finding[]> | readonly Finding[];
}

/** A check of all configurations that were given, with each other. */
export interface ComparingCheck {
  readonly name: string;
  run(subjects: readonly Subject[]): Promise<readonly Finding[]> | readonly Finding[];
}

/** Returns that all is well with `about`, and what was seen. */
export function ok(about: string, found: string): readonly [Finding] {
  return [{ result: 'ok', about, found }];
}

/** Returns why nothing can be said about `about`. */
export function skipped(about: string, why: string): readonly [Finding] {
  return [{ result: 'skipped', about, why }];
}

/** Returns a fault of `about`: what was found, what was expected, and what mends it. */
export function fault(about: string, found: string, expected: string, mend: string): readonly [Finding] {
  return [{ result: 'fault', about, found, expected, mend }];
}
