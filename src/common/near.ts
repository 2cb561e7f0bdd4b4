/** Finds the nearest known name for a misspelt one. Pure. */

/** Longest compared name, in characters: the work grows with its square. */
const NAME_CHARS_MAX = 64;

/** Returns `; did you mean NAME?` for the name that is nearest to `word`, or nothing when none is near. */
export function nearest(word: string, names: readonly string[]): string {
  if (word.length > NAME_CHARS_MAX) return '';
  // A third of the word may differ: "ab" does not match "cd", nor "sleep" "wake".
  const most = Math.max(1, Math.floor(word.length / 3));
  let best: string | undefined;
  let fewest = most + 1;
  for (const name of names) {
    if (name.length > NAME_CHARS_MAX) continue;
    const isBegin = word.length > 1 && name.startsWith(word);
    const slips = isBegin ? 0 : distance(word.toLowerCase(), name.toLowerCase());
    if (slips < fewest && slips < name.length) {
      fewest = slips;
      best = name;
    }
  }
  return best === undefined ? '' : `; did you mean ${best}?`;
}

/** Returns how many characters are wrong, missing, extra, or swapped with the next (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const changed = last[j - 1]! + (isSame ? 0 : 1);
      const least = Math.min(last[j]! + 1, row[j - 1]! + 1, changed);
      row.push(isSwapped ? Math.min(least, before[j - 2]! + 1) : least);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}

/** Returns the name that `word` probably means: a third of it may differ, two letters at least. */
export function nearestKey(word: string, names: readonly string[]): string | undefined {
  const scored = names
    .map((name) => ({ name, steps: stepsBetween(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, steps }) => steps <= Math.max(2, Math.floor(Math.max(name.length, word.length) / 3)))
    .filter(({ name, steps }) => steps < name.length);
  return scored.sort((a, b) => a.steps - b.steps)[0]?.name;
}

/** Returns how many letters must be added, removed, replaced or swapped with the next to turn `a` into `b`. */
function stepsBetween(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let least = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (isSame ? 0 : 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
