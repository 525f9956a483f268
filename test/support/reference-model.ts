/**
 * A decoder in plain float64 loops, by the definition and without a cache: the second opinion beside the vectors of
 * transformers. Slow, for models of a few thousand weights. Shares nothing with the engine but the architecture.
 */
import type { Architecture, LayerSpec, RopeScheme, WeightRef } from '../../src/models/index.js';

/** Elements of a tensor, rows cut already. */
export type WeightReader = (ref: WeightRef) => Float64Array;

/** Logits of every position, [sequence][vocab]. */
export function referenceLogits(
  architecture: Architecture,
  read: WeightReader,
  tokens: readonly number[],
): Float64Array[] {
  const { hidden, embeddingScale, logitSoftcap } = architecture;
  const table = read(architecture.embedding);
  let xs: Float64Array[] = tokens.map((token) =>
    table.slice(token * hidden, (token + 1) * hidden).map((value) => value * embeddingScale),
  );
  for (const layer of architecture.layers) xs = layerOutput(architecture, read, layer, xs);
  const head = read(architecture.head);
  return xs.map((x) =>
    multiply(head, norm(architecture, x, read(architecture.finalNorm))).map((logit) =>
      capped(logit, logitSoftcap),
    ),
  );
}

function layerOutput(
  architecture: Architecture,
  read: WeightReader,
  layer: LayerSpec,
  xs: readonly Float64Array[],
): Float64Array[] {
  const { weights } = layer;
  const normed = (x: Float64Array, ref: WeightRef | undefined) =>
    ref === undefined ? x : norm(architecture, x, read(ref));
  const attended = attention(
    architecture,
    read,
    layer,
    xs.map((x) => normed(x, weights.attentionNorm)),
  );
  return xs.map((x, index) => {
    const mixed = add(x, normed(attended[index]!, weights.attentionPostNorm));
    const inner = normed(mixed, weights.ffnNorm);
    const gate = multiply(read(weights.gate), inner);
    const up = multiply(read(weights.up), inner);
    const product = gate.map((value, at) => activate(architecture, value) * up[at]!);
    return add(mixed, normed(multiply(read(weights.down), product), weights.ffnPostNorm));
  });
}

function attention(
  architecture: Architecture,
  read: WeightReader,
  layer: LayerSpec,
  xs: readonly Float64Array[],
): Float64Array[] {
  const { heads, kvHeads, headDim, attentionScale, attentionSoftcap } = architecture;
  const { weights, window } = layer;
  const rope = architecture.ropes[layer.rope]!;
  const projected = (matrix: WeightRef, bias: WeightRef | undefined) =>
    xs.map((x) => {
      const product = multiply(read(matrix), x);
      return bias === undefined ? product : add(product, read(bias));
    });
  const prepared = (all: readonly Float64Array[], count: number, ref: WeightRef | undefined) =>
    all.map((row, position) =>
      Array.from({ length: count }, (_, head) => {
        const part = row.slice(head * headDim, (head + 1) * headDim);
        return rotate(rope, ref === undefined ? part : norm(architecture, part, read(ref)), position);
      }),
    );
  const qs = prepared(projected(weights.q, weights.qBias), heads, weights.qNorm);
  const ks = prepared(projected(weights.k, weights.kBias), kvHeads, weights.kNorm);
  const vs = projected(weights.v, weights.vBias);
  return xs.map((_, position) => {
    const out = new Float64Array(heads * headDim);
    const first = window === undefined ? 0 : Math.max(0, position - window + 1);
    for (let head = 0; head < heads; head += 1) {
      const kvHead = Math.floor((head * kvHeads) / heads);
      const scores = [];
      for (let at = first; at <= position; at += 1) {
        const score = dot(qs[position]![head]!, ks[at]![kvHead]!) * attentionScale;
        scores.push(capped(score, attentionSoftcap));
      }
      const highest = Math.max(...scores);
      const weightsOfHead = scores.map((score) => Math.exp(score - highest));
      const sum = weightsOfHead.reduce((total, value) => total + value, 0);
      for (const [index, weight] of weightsOfHead.entries()) {
        for (let element = 0; element < headDim; element += 1) {
          out[head * headDim + element]! += (weight / sum) * vs[first + index]![kvHead * headDim + element]!;
        }
      }
    }
    const product = multiply(read(weights.o), out);
    return weights.oBias === undefined ? product : add(product, read(weights.oBias));
  });
}

function rotate(
  { dims, base, factors, attentionFactor }: RopeScheme,
  x: Float64Array,
  position: number,
): Float64Array {
  const out = Float64Array.from(x);
  for (let pair = 0; pair < dims / 2; pair += 1) {
    const angle = (position * base ** ((-2 * pair) / dims)) / (factors?.[pair] ?? 1);
    const [cos, sin] = [Math.cos(angle) * attentionFactor, Math.sin(angle) * attentionFactor];
    const [a, b] = [x[pair]!, x[pair + dims / 2]!];
    out[pair] = a * cos - b * sin;
    out[pair + dims / 2] = a * sin + b * cos;
  }
  return out;
}

function norm(
  { normEpsilon, normPlusOne }: Architecture,
  x: Float64Array,
  weight: Float64Array,
): Float64Array {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + normEpsilon);
  return x.map((value, index) => value * scale * (weight[index]! + (normPlusOne ? 1 : 0)));
}

function activate({ activation }: Architecture, x: number): number {
  if (activation === 'silu') return x / (1 + Math.exp(-x));
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function capped(value: number, cap: number | undefined): number {
  return cap === undefined ? value : cap * Math.tanh(value / cap);
}

function multiply(matrix: Float64Array, x: Float64Array): Float64Array {
  const rows = matrix.length / x.length;
  return Float64Array.from({ length: rows }, (_, row) =>
    dot(matrix.subarray(row * x.length, (row + 1) * x.length), x),
  );
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index += 1) sum += a[index]! * b[index]!;
  return sum;
}

function add(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, index) => value + b[index]!);
}
