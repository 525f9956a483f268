/** Which node works on a prompt now, by the statuses that all nodes broadcast: the `active_node_id` of the topology. */
import type { NodeStatus } from './node-status.js';

/** Pure state; `onChange` is called after every change. */
export class ActiveNode {
  #id: string | null = null;
  readonly #onChange: () => void;

  constructor(onChange: () => void = () => undefined) {
    this.#onChange = onChange;
  }

  /** Null when none does. */
  get id(): string | null {
    return this.#id;
  }

  /** `start_…` sets the node, `end_…` clears it if it is the same, as in the original. Own statuses count too. */
  apply(status: NodeStatus): void {
    if (status.status.startsWith('start_')) this.#set(status.nodeId);
    else if (status.status.startsWith('end_')) this.clear(status.nodeId);
  }

  /** That node is done, or gone. */
  clear(nodeId: string): void {
    if (this.#id === nodeId) this.#set(null);
  }

  #set(id: string | null): void {
    if (this.#id === id) return;
    this.#id = id;
    this.#onChange();
  }
}
