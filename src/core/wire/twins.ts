/**
 * Detects two processes with one name and its keys, such as after a guest was cloned. It uses sessions alone, so it
 * works over every transport: each process has a random boot id, proven fresh by its session. A replaced process
 * never returns, so a boot id that returns is one of two processes. Pure.
 *
 * The displaced process sees the opposite: the peer's boot id stays the same, but the peer starts new sessions again
 * and again, since it has one with the other process in between.
 */

/** Number of boots of one peer that are remembered: two alternate, and a supervisor's restarts may come in between. */
const BOOTS_MAX = 8;
/** How long, in ms, the hint stays after the last detection. Two processes alternate every second or two. */
const TWIN_MS = 60_000;
/**
 * Number of sessions with one boot of a peer in TWIN_MS that is too high. Crossed handshakes at a start make two, a
 * lost connection one.
 */
const SESSIONS_MAX = 5;

/** Hint about a peer with two processes. */
export const TWIN_HINT =
  'two processes with its name and keys take turns: does its agent run twice, as in a cloned guest?';
/** Hint at one of the two processes. */
export const OUSTED_HINT =
  'it keeps beginning new sessions with this party: does another agent run with the same name and ' +
  'keys, or does somebody disturb the way?';

/** Watches the sessions with one peer. */
export class TwinWatch {
  /** Boot ids of the peer; the present one is last. */
  #boots: readonly string[] = [];
  #sessionsMs: readonly number[] = [];
  #twinMs = Number.NEGATIVE_INFINITY;
  #oustedMs = Number.NEGATIVE_INFINITY;

  /**
   * A session with the boot `bootId` of the peer came up. Returns the hint to log now, if it was not logged recently.
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

  /** Returns the present hint. */
  hint(nowMs: number): string | undefined {
    if (nowMs - this.#twinMs < TWIN_MS) return TWIN_HINT;
    return nowMs - this.#oustedMs < TWIN_MS ? OUSTED_HINT : undefined;
  }
}
