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

/** Select Graphic Rendition, ECMA-48 8.3.117: a number switches on, 0 all off. */
const sgr =
  (code: string): Brush =>
  (text) =>
    `\u001b[${code}m${text}\u001b[0m`;
export const COLOURED: Paint = { strong: sgr('1'), bad: sgr('31'), warn: sgr('33'), good: sgr('32') };
