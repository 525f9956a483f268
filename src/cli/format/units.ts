/** Times, sizes and speeds in the words of the status lines. Pure. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `850 ms`, `12 s`, `3 min 5 s`, `2 h 4 min`, `3 d 1 h`: at most two units. */
export function duration(durationMs: number): string {
  const ms = Math.max(0, durationMs);
  if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
  const units: ReadonlyArray<readonly [string, number]> = [
    ['d', DAY_MS],
    ['h', HOUR_MS],
    ['min', MINUTE_MS],
    ['s', SECOND_MS],
  ];
  const at = units.findIndex(([, size]) => ms >= size);
  const [unit, size] = units[at]!;
  const rest = units[at + 1];
  const head = `${Math.floor(ms / size)} ${unit}`;
  const tail = rest === undefined ? 0 : Math.floor((ms % size) / rest[1]);
  return rest === undefined || tail === 0 ? head : `${head} ${tail} ${rest[0]}`;
}

/** A round trip: `0.42 ms`, `12.3 ms`, `150 ms`; `-` before the first. */
export function roundTrip(rttMs: number | null): string {
  if (rttMs === null) return '-';
  if (rttMs < 10) return `${rttMs.toFixed(2)} ms`;
  return `${rttMs < 100 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`;
}

/** `now`, `12 s ago`; `never` before anything was heard. */
export function ago(silentMs: number | null): string {
  if (silentMs === null) return 'never';
  return silentMs < SECOND_MS ? 'now' : `${duration(silentMs)} ago`;
}

/** `512 B`, `1.5 KiB`, `20 MiB`. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Of a path: `118 MB/s`, `1.2 MB/s`, `350 kB/s`; `-` where it was not measured. */
export function rate(bytesPerS: number | null): string {
  if (bytesPerS === null) return '-';
  if (bytesPerS < 1e6) return `${Math.round(bytesPerS / 1e3)} kB/s`;
  return `${(bytesPerS / 1e6).toFixed(bytesPerS < 10e6 ? 1 : 0)} MB/s`;
}

/** Memory of a machine, from MB: `16 GB`; `-` where unknown. */
export function memory(megabytes: number): string {
  if (megabytes <= 0) return '-';
  if (megabytes < 1024) return `${megabytes} MB`;
  const gigabytes = megabytes / 1024;
  return `${gigabytes < 10 ? gigabytes.toFixed(1) : Math.round(gigabytes)} GB`;
}

/** Half-precision speed: `21.2 TFLOPS`; `-` where unknown. */
export function teraflops(fp16: number): string {
  return fp16 > 0 ? `${fp16} TFLOPS` : '-';
}

/** A share of the ring: `0-33 %`. */
export function share(start: number, end: number): string {
  return `${Math.round(start * 100)}-${Math.round(end * 100)} %`;
}

/** `1 peer`, `2 peers`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
