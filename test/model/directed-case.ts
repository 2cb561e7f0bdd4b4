/** One row of a table that no search reaches, fired alone (directed.ts). */

import type { Played } from '../core/protocol/requirements-support.ts';

/** What came of a row, in short: the state's name, and what else matters. */
export interface Directed {
  /** As the searches name rows: `o:`, `b:` or `h:`, and the row. */
  readonly row: string;
  readonly play: () => Played<{ readonly name: string }, { readonly do: string }>;
  /** What must be so afterwards; compared with what `seen` returns. */
  readonly wants: readonly unknown[];
  readonly seen: (played: ReturnType<Directed['play']>) => readonly unknown[];
}
