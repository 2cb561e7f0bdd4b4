/** Terminal colours of a plan. Pure; the target decides whether the terminal gets colours. */

type Brush = (text: string) => string;

export interface Paint {
  /** Members, and titles. */
  readonly strong: Brush;
  /** Blockers. */
  readonly bad: Brush;
  /** Accepted blockers, and unsure verdicts. */
  readonly warn: Brush;
  /** Ways out, and good results. */
  readonly good: Brush;
}

const asIs: Brush = (text) => text;
/** No colour at all. */
export const PLAIN: Paint = { strong: asIs, bad: asIs, warn: asIs, good: asIs };

/** Returns the colours of a plan. `paint`: gives a text a colour by its number, ECMA-48 8.3.117. */
export function painted(paint: (code: string, text: string) => string): Paint {
  const brush =
    (code: string): Brush =>
    (text) =>
      paint(code, text);
  return { strong: brush('1'), bad: brush('31'), warn: brush('33'), good: brush('32') };
}
