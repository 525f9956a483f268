/**
 * The blocks of a decoder in native operations: norm, projection, rotation, attention, feed-forward. Each takes and gives
 * tensors of a graph that is being built; nothing is computed here. Called by `step-graph.ts`.
 */
import type { Architecture, RopeScheme } from '../../../../models/index.js';
import { type Ggml, type Pointer, PRECISION_F32, ROPE_NEOX } from '../library/index.js';

/** sqrt(2/pi) and the cubic term of the tanh form of GELU. */
const GELU_SCALE = 0.7978845608028654;
const GELU_CUBIC = 0.044715;

/** Operations in one context. */
export class Operations {
  readonly ggml: Ggml;
  readonly context: Pointer;
  readonly #architecture: Architecture;
  readonly #isExact: boolean;

  /** `isExact`: no table look-ups with float16 entries. */
  constructor(ggml: Ggml, context: Pointer, architecture: Architecture, isExact: boolean) {
    this.ggml = ggml;
    this.context = context;
    this.#architecture = architecture;
    this.#isExact = isExact;
  }

  /** RMS norm over the first dimension, times `weight`. */
  norm(x: Pointer, weight: Pointer): Pointer {
    const normed = this.ggml.ggml_rms_norm(this.context, x, this.#architecture.normEpsilon);
    return this.ggml.ggml_mul(this.context, normed, weight);
  }

  /** x Wᵀ + bias: [in, tokens] to [out, tokens]. */
  project(x: Pointer, weight: Pointer, bias?: Pointer): Pointer {
    const product = this.ggml.ggml_mul_mat(this.context, weight, x);
    return bias === undefined ? product : this.ggml.ggml_add(this.context, product, bias);
  }

  add(x: Pointer, y: Pointer): Pointer {
    return this.ggml.ggml_add(this.context, x, y);
  }

  /** Heads of [headDim, heads, tokens], normed where there is a weight, rotated to their positions. */
  rotate(
    heads: Pointer,
    weight: Pointer | undefined,
    rope: RopeScheme,
    factors: Pointer | null,
    positions: Pointer,
  ): Pointer {
    const x = weight === undefined ? heads : this.norm(heads, weight);
    const { dims, base, attentionFactor } = rope;
    // YaRN is told in the factors already: no extrapolation (0), and its betas are not looked at.
    return this.ggml.ggml_rope_ext(
      ...([this.context, x, positions, factors] as const),
      ...([dims, ROPE_NEOX, 0] as const),
      ...([base, 1, 0, attentionFactor, 0, 0] as const),
    );
  }

  /** Scores of q against keys, soft-capped and masked, their softmax times values: [headDim × heads, tokens]. */
  attend(q: Pointer, keys: Pointer, values: Pointer, mask: Pointer, sequence: number): Pointer {
    const { ggml, context } = this;
    const { attentionScale, attentionSoftcap = 0, heads, headDim } = this.#architecture;
    const out = ggml.ggml_flash_attn_ext(context, q, keys, values, mask, attentionScale, 0, attentionSoftcap);
    ggml.ggml_flash_attn_ext_set_prec(out, PRECISION_F32);
    return ggml.ggml_reshape_2d(context, out, headDim * heads, sequence);
  }

  /** activation(gate) × up. */
  gated(gate: Pointer, up: Pointer): Pointer {
    const { ggml, context } = this;
    if (this.#architecture.activation === 'silu') return ggml.ggml_swiglu_split(context, gate, up);
    if (!this.#isExact) return ggml.ggml_geglu_split(context, gate, up);
    // The kernel looks GELU up in a float16 table, an error of 1e-3; x·sigmoid(2u) is the same without it.
    const factor = ggml.ggml_scale_bias(
      context,
      ggml.ggml_sqr(context, gate),
      2 * GELU_SCALE * GELU_CUBIC,
      2 * GELU_SCALE,
    );
    const inner = ggml.ggml_mul(context, gate, factor);
    const activated = ggml.ggml_mul(context, gate, ggml.ggml_sigmoid(context, inner));
    return ggml.ggml_mul(context, activated, up);
  }

  /** cap × tanh(x / cap). */
  softcap(x: Pointer, cap: number | undefined): Pointer {
    if (cap === undefined) return x;
    const { ggml, context } = this;
    return ggml.ggml_scale(context, ggml.ggml_tanh(context, ggml.ggml_scale(context, x, 1 / cap)), cap);
  }
}
