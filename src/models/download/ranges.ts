/** Ranges of bytes of a file: what is there, what is wanted, what is missing. Pure. */

/** From the first byte to the one after the last. */
export type ByteRange = readonly [from: number, to: number];

/** Sorted, joined where they touch, without empty ones. */
export function normalized(ranges: readonly ByteRange[]): ByteRange[] {
  const sorted = ranges.filter(([from, to]) => to > from).sort((a, b) => a[0] - b[0]);
  const out: Array<[number, number]> = [];
  for (const [from, to] of sorted) {
    const last = out.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

/** What of `wanted` is not in `present`; both normalized. */
export function without(wanted: readonly ByteRange[], present: readonly ByteRange[]): ByteRange[] {
  const out: ByteRange[] = [];
  for (const [from, to] of wanted) {
    let at = from;
    for (const [begin, end] of present) {
      if (end <= at) continue;
      if (begin >= to) break;
      if (begin > at) out.push([at, begin]);
      at = end;
    }
    if (at < to) out.push([at, to]);
  }
  return out;
}

/** What both have; both normalized. */
export function common(a: readonly ByteRange[], b: readonly ByteRange[]): ByteRange[] {
  const out: ByteRange[] = [];
  for (const [from, to] of a) {
    for (const [begin, end] of b) {
      if (begin >= to) break;
      if (end > from) out.push([Math.max(from, begin), Math.min(to, end)]);
    }
  }
  return out;
}

/** Bytes in all of them; normalized. */
export function sum(ranges: readonly ByteRange[]): number {
  return ranges.reduce((total, [from, to]) => total + to - from, 0);
}

/** Whether `range` lies in one of them; normalized. */
export function covers(ranges: readonly ByteRange[], [from, to]: ByteRange): boolean {
  return to <= from || ranges.some(([begin, end]) => begin <= from && to <= end);
}

/** The same bytes in pieces of at most `bytesMax`, cut at its multiples so that two runs cut alike. */
export function split(ranges: readonly ByteRange[], bytesMax: number): ByteRange[] {
  const out: ByteRange[] = [];
  for (const [from, to] of ranges) {
    for (let at = from; at < to; ) {
      const end = Math.min(to, (Math.floor(at / bytesMax) + 1) * bytesMax);
      out.push([at, end]);
      at = end;
    }
  }
  return out;
}

/** Ranges with gaps of at most `bytesMax` between them joined: a request costs more than such a gap. */
export function bridged(ranges: readonly ByteRange[], bytesMax: number): ByteRange[] {
  const out: Array<[number, number]> = [];
  for (const [from, to] of ranges) {
    const last = out.at(-1);
    if (last !== undefined && from - last[1] <= bytesMax) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}
