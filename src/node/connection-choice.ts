/**
 * Which of several connections between the same two nodes stays. Pure, and the same verdict on both ends
 * without a word exchanged, so that a simultaneous open settles on one connection.
 */

/** What both ends know of a connection between them. */
export interface ChoiceFacts {
  /** Id of the node that dialled. */
  readonly diallerId: string;
  /** How good the dialling side holds the path to be; travels in its hello. */
  readonly priority: number;
  /** Local order of establishment; only compared between connections of one dialler. */
  readonly serial: number;
  /** Does not answer, while another connection works: the other end may have lost it. As this end sees it. */
  readonly silent?: boolean;
  /** Measured better than another connection of the same dialler; only the dialler knows. */
  readonly faster?: boolean;
}

/**
 * Negative when `a` should stay, positive when `b` should. One that is silent goes, whatever else is said for it.
 * Different diallers: the higher priority, then the smaller dialler id: both ends see the same values.
 * One dialler: the higher priority, then the faster, then the older connection. There only the dialler acts (it knows the measured
 * round trips, and which of its addresses is still configured), so the local serial may decide.
 */
export function compareConnections(a: ChoiceFacts, b: ChoiceFacts): number {
  const isSilent = a.silent === true;
  if (isSilent !== (b.silent === true)) return isSilent ? 1 : -1;
  if (a.priority !== b.priority) return b.priority - a.priority;
  if (a.diallerId !== b.diallerId) return a.diallerId < b.diallerId ? -1 : 1;
  if (a.faster !== b.faster) return a.faster ? -1 : 1;
  return a.serial - b.serial;
}

/** The connection to use, or undefined of none. */
export function preferred<T extends ChoiceFacts>(connections: Iterable<T>): T | undefined {
  let best: T | undefined;
  for (const connection of connections) {
    if (best === undefined || compareConnections(connection, best) < 0) best = connection;
  }
  return best;
}
