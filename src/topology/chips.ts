/**
 * How fast a chip is, by its name: TFLOPS as its maker states them. A table, not a measurement; the probe looks
 * the machine's chip up here, and what is not here counts as 0 ("unknown"), as in the original.
 *
 * Apple and consumer cards follow the original's convention (fp16 twice fp32, int8 four times). Data centre cards
 * have the maker's dense tensor figures (without sparsity).
 */
import type { Flops } from '../protocol/index.js';

const UNKNOWN: Flops = { fp32: 0, fp16: 0, int8: 0 };

/** fp32 TFLOPS of chips with the 1 : 2 : 4 convention. */
const CONSUMER: Readonly<Record<string, number>> = {
  'Apple M1': 2.29,
  'Apple M1 Pro': 5.3,
  'Apple M1 Max': 10.6,
  'Apple M1 Ultra': 21.2,
  'Apple M2': 3.55,
  'Apple M2 Pro': 5.68,
  'Apple M2 Max': 13.49,
  'Apple M2 Ultra': 26.98,
  'Apple M3': 3.55,
  'Apple M3 Pro': 4.97,
  'Apple M3 Max': 14.2,
  'Apple M3 Ultra': 54.26,
  'Apple M4': 4.26,
  'Apple M4 Pro': 5.72,
  'RTX 2060': 6.45,
  'RTX 2060 SUPER': 7.18,
  'RTX 2070': 7.46,
  'RTX 2070 SUPER': 9.06,
  'RTX 2080': 10.07,
  'RTX 2080 SUPER': 11.15,
  'RTX 2080 Ti': 13.45,
  'RTX 3050': 9.1,
  'RTX 3060': 12.74,
  'RTX 3060 Ti': 16.2,
  'RTX 3070': 20.31,
  'RTX 3070 Ti': 21.75,
  'RTX 3080': 29.77,
  'RTX 3080 Ti': 34.1,
  'RTX 3090': 35.6,
  'RTX 3090 Ti': 40,
  'RTX 4060': 15.11,
  'RTX 4060 Ti': 22.06,
  'RTX 4070': 29.15,
  'RTX 4070 SUPER': 35.48,
  'RTX 4070 Ti': 40.09,
  'RTX 4070 Ti SUPER': 44.1,
  'RTX 4080': 48.74,
  'RTX 4080 SUPER': 52.22,
  'RTX 4090': 82.58,
  'RTX 5060': 19.18,
  'RTX 5060 Ti': 23.7,
  'RTX 5070': 30.87,
  'RTX 5070 Ti': 43.94,
  'RTX 5080': 56.28,
  'RTX 5090': 104.8,
  'RX 6700 XT': 13.21,
  'RX 6800': 16.17,
  'RX 6800 XT': 20.74,
  'RX 6900 XT': 23.04,
  'RX 6950 XT': 23.65,
  'RX 7600': 21.75,
  'RX 7700 XT': 35.17,
  'RX 7800 XT': 37.32,
  'RX 7900 GRE': 45.98,
  'RX 7900 XT': 51.48,
  'RX 7900 XTX': 61.39,
};

/** [fp32, fp16, int8] as stated, where the convention does not give them. */
const STATED: Readonly<Record<string, readonly [number, number, number]>> = {
  'Apple M4 Max': [18.03, 36.07, 72.14],
  T4: [8.1, 65, 130],
  V100: [15.7, 125, 62.8],
  A10: [31.2, 125, 250],
  A40: [37.4, 149.7, 299.3],
  A100: [19.5, 312, 624],
  L4: [30.3, 121, 242],
  L40: [90.5, 181, 362],
  L40S: [91.6, 362, 733],
  'H100 PCIe': [51.2, 756, 1513],
  H100: [66.9, 989.4, 1978.9],
  H200: [66.9, 989.4, 1978.9],
  B200: [75, 2250, 4500],
  MI210: [22.6, 181, 181],
  MI250X: [47.9, 383, 383],
  MI300X: [163.4, 1307.4, 2614.9],
};

interface Chip {
  readonly words: readonly string[];
  readonly flops: Flops;
}

/** More words first, so that "RTX 4070 Ti SUPER" is not taken for "RTX 4070". */
const CHIPS: readonly Chip[] = [
  ...Object.entries(CONSUMER).map(
    ([name, fp32]): Chip => ({
      words: wordsOf(name),
      flops: { fp32, fp16: hundredths(fp32 * 2), int8: hundredths(fp32 * 4) },
    }),
  ),
  ...Object.entries(STATED).map(
    ([name, [fp32, fp16, int8]]): Chip => ({ words: wordsOf(name), flops: { fp32, fp16, int8 } }),
  ),
].sort((a, b) => b.words.length - a.words.length);

/**
 * TFLOPS of a chip by the name its driver, its vendor or lspci gives it (`Apple M2 Max`, `NVIDIA GeForce RTX 4090`,
 * `AD102 [GeForce RTX 4090]`); zeros when unknown. Laptop cards share names with desktop ones but not their speed:
 * they are unknown rather than wrong.
 */
export function chipFlops(name: string): Flops {
  const words = wordsOf(name);
  if (words.includes('laptop') || words.includes('mobile') || words.includes('max-q')) return UNKNOWN;
  return CHIPS.find((chip) => containsRun(words, chip.words))?.flops ?? UNKNOWN;
}

/** Lower-case words; brackets, commas and the memory form (`A100-SXM4-80GB`) separate, `max-q` stays whole. */
function wordsOf(name: string): string[] {
  return name
    .toLowerCase()
    .replace(/-(?!q\b)/g, ' ')
    .split(/[^a-z0-9-]+/)
    .filter((word) => word !== '');
}

function containsRun(words: readonly string[], run: readonly string[]): boolean {
  return words.some((_, at) => run.every((word, offset) => words[at + offset] === word));
}

/** 5.3 × 4 is 21.2, not 21.200000000000003. */
function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
