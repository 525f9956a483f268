/** Sets and maps of names that clients choose: a client may name many, so the oldest makes room. */

/** More than anybody uses at once. */
const NAMED_MAX = 256;

/** Adds to a set or a map of at most 256 names. */
export function remember<V>(kept: Set<string> | Map<string, V>, name: string, value?: V): void {
  if (kept.size >= NAMED_MAX && !kept.has(name)) {
    const [oldest] = kept.keys();
    kept.delete(oldest!);
  }
  if (kept instanceof Map) kept.set(name, value!);
  else kept.add(name);
}
