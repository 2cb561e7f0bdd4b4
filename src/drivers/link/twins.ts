/**
 * Tells when two processes have one name and its keys, as after a guest was cloned. By sessions alone, so that it is
 * told over every transport: each process has a random boot id, proven fresh by its session. A process that was
 * replaced never comes back; a boot id that does is that of one of two. Pure.
 *
 * Who is ousted sees another thing: the peer is always the same, and yet begins new sessions with it again and again,
 * since it has one with the other in between.
 */

/** Boots of one peer that are remembered: two take turns, a supervisor's restarts may come in between. */
const BOOTS_MAX = 8;
/** How long, in ms, a twin counts as there since it was last noticed: two take turns every second or two. */
const TWIN_MS = 60_000;
/**
 * Sessions with one boot of a peer in TWIN_MS that are too many: crossed handshakes at a start make two, a lost
 * connection one.
 */
const SESSIONS_MAX = 5;

/** What people are told of a peer that is two. */
export const TWIN_HINT =
  'two processes with its name and keys take turns: does its agent run twice, as in a cloned guest?';
/** What people are told by one of the two. */
export const OUSTED_HINT =
  'it keeps beginning new sessions with this party: does another agent run with the same name and ' +
  'keys, or does somebody disturb the way?';

/** Watches the sessions with one peer. */
export class TwinWatch {
  /** The present boot is the last one. */
  #boots: readonly string[] = [];
  #sessionsMs: readonly number[] = [];
  #twinMs = Number.NEGATIVE_INFINITY;
  #oustedMs = Number.NEGATIVE_INFINITY;

  /**
   * A session with the boot `bootId` of the peer came up. Returns what is to be told now, for the first time in a
   * while.
   */
  sessionUp(bootId: Uint8Array, nowMs: number): string | undefined {
    const before = this.hint(nowMs);
    const boot = bootId.join();
    if (boot === this.#boots.at(-1)) {
      this.#sessionsMs = [...this.#sessionsMs.filter((ms) => nowMs - ms < TWIN_MS), nowMs].slice(
        -SESSIONS_MAX,
      );
      if (this.#sessionsMs.length === SESSIONS_MAX) this.#oustedMs = nowMs;
    } else {
      if (this.#boots.includes(boot)) this.#twinMs = nowMs;
      this.#boots = [...this.#boots.filter((known) => known !== boot), boot].slice(-BOOTS_MAX);
      this.#sessionsMs = [nowMs];
    }
    const hint = this.hint(nowMs);
    return hint === before ? undefined : hint;
  }

  /** What may be wrong, while it is. */
  hint(nowMs: number): string | undefined {
    if (nowMs - this.#twinMs < TWIN_MS) return TWIN_HINT;
    return nowMs - this.#oustedMs < TWIN_MS ? OUSTED_HINT : undefined;
  }
}
