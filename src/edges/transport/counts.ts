/**
 * What a transport counts. The numbers only rise; they are for people, benches and tests, and nobody decides by them.
 */

/** Counters of one transport of one party. */
export interface TransportCounts {
  /** Frames of our own that were handed over. */
  sent: number;
  /** Frames that were handed to the listener. */
  received: number;
  /** Frames of our own that were dropped: no way, queue full, too long. */
  unsent: number;
  /** Arrivals that no party of ours would send: no envelope, another sender, another receiver, broken framing. */
  malformed: number;
  /**
   * Times that a frame went between two machines, each counted by one party: the sum over all parties is the
   * number of crossings. Streams cross once per hop; by way of a broker a frame goes in and out again.
   */
  crossings: number;
}

/** Returns counters at zero. */
export function zeroCounts(): TransportCounts {
  return { sent: 0, received: 0, unsent: 0, malformed: 0, crossings: 0 };
}
