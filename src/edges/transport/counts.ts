/**
 * Counters of a transport. They only rise; they are for people, benchmarks and tests, and no decision depends on
 * them.
 */

/** Counters of one transport of one party. */
export interface TransportCounts {
  /** Our own frames that were sent. */
  sent: number;
  /** Frames that were passed to the listener. */
  received: number;
  /** Our own frames that were dropped: no connection, queue full, too long. */
  unsent: number;
  /** Invalid arrivals: no envelope, another sender, another receiver, broken framing. */
  malformed: number;
  /**
   * Transfers of a frame between two machines, each counted by one party: the sum over all parties is the total.
   * Streams transfer once per hop; through a broker a frame goes in and out.
   */
  crossings: number;
}

/** Returns counters at zero. */
export function zeroCounts(): TransportCounts {
  return { sent: 0, received: 0, unsent: 0, malformed: 0, crossings: 0 };
}
