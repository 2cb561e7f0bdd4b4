/** Counts how many lendable devices can move, over the trees of many boards, by vendor and by kind of device. Pure. */

import { MISSIONS } from './mission.ts';
import { type Candidate, isAcceptable } from './survey.ts';

/** Verdicts on a device of a tree; `accept`: it can move if its blockers are accepted. */
export const SHARES = ['free', 'accept', 'unsure', 'blocked'] as const;
export type Share = (typeof SHARES)[number];
type Counts = Record<Share, number>;

const HEADS: Readonly<Record<Share, string>> = {
  free: 'free',
  accept: 'after --accept',
  unsure: 'unsure',
  blocked: 'blocked',
};

/** Returns the group of a candidate in the list. */
export function shareOf(candidate: Candidate): Share {
  const { verdict } = candidate;
  return verdict === 'blocked' && isAcceptable(candidate) ? 'accept' : verdict;
}

/** Counts the devices of a known kind, tree by tree. */
export class ShareTable {
  readonly #vendors = new Map<string, Counts>();
  readonly #missions = new Map<string, Counts>(MISSIONS.map((mission) => [mission, none()]));
  readonly #all = none();

  /** Counts the devices of one tree. */
  add(vendor: string, candidates: readonly Candidate[]): void {
    const own = this.#vendors.get(vendor) ?? none();
    this.#vendors.set(vendor, own);
    for (const candidate of candidates) {
      if (candidate.mission === undefined) continue;
      const share = shareOf(candidate);
      for (const counts of [own, this.#missions.get(candidate.mission)!, this.#all]) counts[share] += 1;
    }
  }

  /** Two tables and their sum, for a terminal. Vendors without such a device are left out. */
  lines(): readonly string[] {
    const vendors = [...this.#vendors]
      .filter(([, counts]) => sum(counts) > 0)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const rows = [...vendors, ...this.#missions, ['all', this.#all] as const];
    const width = Math.max(
      ...rows.map(([name]) => name.length),
      ...['vendor', 'device'].map((each) => each.length),
    );
    const head = (name: string) =>
      `${name.padEnd(width)} ${'devices'.padStart(8)}${SHARES.map((share) => HEADS[share].padStart(18)).join('')}`;
    const row = ([name, counts]: readonly [string, Counts]) =>
      `${name.padEnd(width)} ${String(sum(counts)).padStart(8)}${SHARES.map((share) => cell(counts, share)).join('')}`;
    return [
      head('vendor'),
      ...vendors.map(row),
      '',
      head('device'),
      ...[...this.#missions].map(row),
      '',
      row(['all', this.#all]),
    ];
  }
}

const none = (): Counts => ({ free: 0, accept: 0, unsure: 0, blocked: 0 });

function sum(counts: Counts): number {
  return SHARES.reduce((all, share) => all + counts[share], 0);
}

/** Returns a count, and its share of all. */
function cell(counts: Counts, share: Share): string {
  const all = sum(counts);
  const part = all === 0 ? '' : `${((100 * counts[share]) / all).toFixed(1)} %`;
  return `${counts[share]}${part.padStart(9)}`.padStart(18);
}
