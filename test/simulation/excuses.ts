/** Who may take whom for dead: that a node was away, or cut off, or paused for long, is an excuse; that it is slow is none. */

/** After the end of an excuse, for as long as silence of that time may still be judged. */
const LINGER_MS = 12_000;

interface Excuse {
  open: number;
  endedMs: number;
}

/** What is wrong between nodes, by direction of the verdict. */
export class Excuses {
  readonly #ids: readonly string[];
  readonly #byPair = new Map<string, Excuse>();

  constructor(ids: readonly string[]) {
    this.#ids = ids;
  }

  /** Neither end can be blamed for not hearing the other. */
  cut(a: string, b: string): void {
    this.#of(a, b).open += 1;
    this.#of(b, a).open += 1;
  }

  join(a: string, b: string, nowMs: number): void {
    this.#end(a, b, nowMs);
    this.#end(b, a, nowMs);
  }

  /** Everybody may take `node` for dead. */
  away(node: string): void {
    for (const judge of this.#ids) if (judge !== node) this.#of(judge, node).open += 1;
  }

  back(node: string, nowMs: number): void {
    for (const judge of this.#ids) if (judge !== node) this.#end(judge, node, nowMs);
  }

  has(judge: string, node: string, nowMs: number): boolean {
    const excuse = this.#of(judge, node);
    return excuse.open > 0 || nowMs - excuse.endedMs <= LINGER_MS;
  }

  #end(judge: string, node: string, nowMs: number): void {
    const excuse = this.#of(judge, node);
    excuse.open -= 1;
    excuse.endedMs = nowMs;
  }

  #of(judge: string, node: string): Excuse {
    const key = `${judge} ${node}`;
    let excuse = this.#byPair.get(key);
    if (excuse === undefined) {
      excuse = { open: 0, endedMs: Number.NEGATIVE_INFINITY };
      this.#byPair.set(key, excuse);
    }
    return excuse;
  }
}
