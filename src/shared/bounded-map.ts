/** A map for what others name: they may name ever more, so whatever was set longest ago makes room. */

/** A map of at most `max` entries, the one that was set last at its end. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #max: number;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  /** Sets an entry anew, also one that is there. */
  override set(key: K, value: V): this {
    this.delete(key);
    if (this.size >= this.#max) {
      const oldest = this.keys().next();
      if (!oldest.done) this.delete(oldest.value);
    }
    return super.set(key, value);
  }
}
