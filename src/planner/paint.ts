/** Colours of a terminal, for what matters in a plan. Pure; whether a terminal wants them is for its target to know. */

type Brush = (text: string) => string;

export interface Paint {
  /** What moves, and titles. */
  readonly strong: Brush;
  /** What stands in the way. */
  readonly bad: Brush;
  /** What was accepted, or is unsure. */
  readonly warn: Brush;
  /** Ways out, and what is as it should be. */
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
