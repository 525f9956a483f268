/**
 * What waits to be sent on all connections of a node together. Each connection writes down the length of its queue; when the
 * sum is over its bound, whoever lets most pile up is closed, so that one slow peer costs itself and not the others.
 */
import { LIMITS } from '../shared/index.js';

/** A connection, as far as its queue is concerned. */
export interface Sender {
  /** Too much waits, and most of it here. */
  cutQueue(queuedBytes: number): void;
}

/** Shorter queues are not worth a line. */
const NOTED_BYTES_MIN = 256 * 1024;

/** One per node. */
export class SendLedger {
  readonly #maxBytes: number;
  readonly #queues = new Map<Sender, number>();
  #total = 0;

  constructor(maxBytes: number = LIMITS.sendBudgetBytes) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that wait on all connections together, short queues not counted. */
  get totalBytes(): number {
    return this.#total;
  }

  /** The queue of a connection is this long now. 0 when it has ended. */
  note(sender: Sender, queuedBytes: number): void {
    const before = this.#queues.get(sender) ?? 0;
    const now = queuedBytes >= NOTED_BYTES_MIN ? queuedBytes : 0;
    if (before === now) return;
    this.#total += now - before;
    if (now === 0) this.#queues.delete(sender);
    else this.#queues.set(sender, now);
    if (now > before && this.#total > this.#maxBytes) this.#cutLongest();
  }

  #cutLongest(): void {
    let longest: Sender | undefined;
    let bytes = 0;
    for (const [sender, queuedBytes] of this.#queues) {
      if (queuedBytes > bytes) {
        longest = sender;
        bytes = queuedBytes;
      }
    }
    if (longest === undefined) return;
    this.note(longest, 0);
    longest.cutQueue(bytes);
  }
}
