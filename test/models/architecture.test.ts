/** config.json of every family: frequencies, scales and windows as transformers have them, and what is refused by name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type Architecture, readArchitecture } from '../../src/models/index.js';
import { ExoError } from '../../src/shared/index.js';

interface Vector {
  readonly config: Record<string, unknown>;
  readonly ropes: ReadonlyArray<{
    readonly frequencies: readonly number[];
    readonly long?: readonly number[];
    readonly scale: number;
  }>;
  readonly windows: ReadonlyArray<number | null>;
}

const VECTORS = JSON.parse(readFileSync(new URL('./vectors/rope.json', import.meta.url), 'utf8')) as Record<
  string,
  Vector
>;

/** Transformers compute in float32, with some ten operations a frequency. */
const RELATIVE_ERROR_MAX = 1e-6;

function assertFrequencies(
  architecture: Architecture,
  rope: number,
  expected: readonly number[],
  scale: number,
) {
  const { dims, base, factors, attentionFactor } = architecture.ropes[rope]!;
  assert.equal(dims, 2 * expected.length);
  for (const [pair, frequency] of expected.entries()) {
    const computed = base ** ((-2 * pair) / dims) / (factors?.[pair] ?? 1);
    const error = Math.abs(computed / frequency - 1);
    assert.ok(error <= RELATIVE_ERROR_MAX, `pair ${pair}: ${computed} instead of ${frequency}`);
  }
  assert.ok(Math.abs(attentionFactor / scale - 1) <= 1e-12, `${attentionFactor} instead of ${scale}`);
}

describe('an architecture has the rotary frequencies and windows of transformers', () => {
  for (const [name, { config, ropes, windows }] of Object.entries(VECTORS)) {
    it(name, () => {
      const architecture = readArchitecture(config);
      assert.equal(architecture.ropes.length, ropes.length);
      for (const [index, { frequencies, long, scale }] of ropes.entries()) {
        assertFrequencies(architecture, index, frequencies, scale);
        if (long === undefined) continue;
        const asked = readArchitecture(config, { contextLength: architecture.contextLength + 1 });
        assertFrequencies(asked, index, long, scale);
        assert.equal(asked.contextLength, config['max_position_embeddings']);
      }
      assert.deepEqual(
        architecture.layers.map(({ window }) => window),
        // A window that is as wide as the context hides nothing and is left out.
        windows.map((window) =>
          window === null || window >= architecture.contextLength ? undefined : window,
        ),
      );
    });
  }
});

const LLAMA = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 100,
};
const variant = (changes: Record<string, unknown>) => readArchitecture({ ...LLAMA, ...changes });
const QWEN2 = { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' };
const QWEN3 = { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3' };
const PHI3 = { architectures: ['Phi3ForCausalLM'], model_type: 'phi3' };
const GEMMA2 = { architectures: ['Gemma2ForCausalLM'], model_type: 'gemma2' };
const GEMMA3 = { architectures: ['Gemma3ForCausalLM'], model_type: 'gemma3_text' };

describe('an architecture says what each family needs', () => {
  it('Llama: sizes, defaults of transformers, a head of its own', () => {
    const { layers, ...rest } = variant({});
    assert.deepEqual(rest, {
      family: 'llama',
      hidden: 64,
      heads: 4,
      kvHeads: 2,
      headDim: 16,
      intermediate: 96,
      vocab: 100,
      contextLength: 2_048,
      normEpsilon: 1e-6,
      normPlusOne: false,
      activation: 'silu',
      embeddingScale: 1,
      attentionScale: 0.25,
      ropes: [{ dims: 16, base: 10_000, attentionFactor: 1 }],
      embedding: { tensor: 'model.embed_tokens.weight' },
      finalNorm: { tensor: 'model.norm.weight' },
      head: { tensor: 'lm_head.weight' },
    });
    assert.deepEqual(layers[1], {
      weights: {
        attentionNorm: { tensor: 'model.layers.1.input_layernorm.weight' },
        q: { tensor: 'model.layers.1.self_attn.q_proj.weight' },
        k: { tensor: 'model.layers.1.self_attn.k_proj.weight' },
        v: { tensor: 'model.layers.1.self_attn.v_proj.weight' },
        o: { tensor: 'model.layers.1.self_attn.o_proj.weight' },
        ffnNorm: { tensor: 'model.layers.1.post_attention_layernorm.weight' },
        gate: { tensor: 'model.layers.1.mlp.gate_proj.weight' },
        up: { tensor: 'model.layers.1.mlp.up_proj.weight' },
        down: { tensor: 'model.layers.1.mlp.down_proj.weight' },
      },
      rope: 0,
    });
  });

  it('tied embeddings: the head is the embedding; Gemma ties without a word', () => {
    assert.equal(variant({ tie_word_embeddings: true }).head.tensor, 'model.embed_tokens.weight');
    assert.equal(variant(GEMMA2).head.tensor, 'model.embed_tokens.weight');
    assert.equal(variant({ ...GEMMA2, tie_word_embeddings: false }).head.tensor, 'lm_head.weight');
  });

  it('heads: one key head each where the config says null or nothing', () => {
    assert.equal(variant({ num_key_value_heads: null }).kvHeads, 4);
    assert.equal(variant({ num_key_value_heads: undefined }).kvHeads, 4);
    assert.equal(variant({ num_key_value_heads: 1 }).kvHeads, 1);
  });

  it('biases: all four for Llama with attention_bias, three for Qwen 2, none for Qwen 3', () => {
    const names = (architecture: Architecture) =>
      Object.keys(architecture.layers[0]!.weights).filter((name) => name.endsWith('Bias'));
    assert.deepEqual(names(variant({})), []);
    assert.deepEqual(names(variant({ attention_bias: true })), ['qBias', 'kBias', 'vBias', 'oBias']);
    assert.deepEqual(names(variant(QWEN2)), ['qBias', 'kBias', 'vBias']);
    assert.deepEqual(names(variant(QWEN3)), []);
    assert.equal(variant(QWEN2).layers[1]!.weights.vBias?.tensor, 'model.layers.1.self_attn.v_proj.bias');
  });

  it('Qwen 3: norms over each head, of 128 elements unless it says otherwise', () => {
    const { headDim, layers } = variant(QWEN3);
    assert.equal(headDim, 128);
    assert.equal(layers[0]!.weights.qNorm?.tensor, 'model.layers.0.self_attn.q_norm.weight');
    assert.equal(layers[0]!.weights.kNorm?.tensor, 'model.layers.0.self_attn.k_norm.weight');
  });

  it('Phi-3: rows of fused projections', () => {
    const { q, k, v, gate, up } = variant(PHI3).layers[0]!.weights;
    const qkv = 'model.layers.0.self_attn.qkv_proj.weight';
    const gateUp = 'model.layers.0.mlp.gate_up_proj.weight';
    assert.deepEqual(
      [q, k, v],
      [
        { tensor: qkv, rows: [0, 64] },
        { tensor: qkv, rows: [64, 96] },
        { tensor: qkv, rows: [96, 128] },
      ],
    );
    assert.deepEqual(
      [gate, up],
      [
        { tensor: gateUp, rows: [0, 96] },
        { tensor: gateUp, rows: [96, 192] },
      ],
    );
  });

  it('Phi-4-mini: the short context unless more is asked for', () => {
    const { config } = VECTORS['phi4 mini']!;
    assert.equal(readArchitecture(config).contextLength, 4_096);
    assert.equal(readArchitecture(config, { contextLength: 4_096 }).contextLength, 4_096);
    assert.equal(readArchitecture(config, { contextLength: 4_097 }).contextLength, 131_072);
    assert.equal(readArchitecture(config).ropes[0]!.dims, 48);
  });

  it('YaRN: the stretched context, whether or not max_position_embeddings was raised', () => {
    assert.equal(readArchitecture(VECTORS['qwen2 yarn']!.config).contextLength, 131_072);
  });

  it('Gemma 2: caps, four norms, 1 + weight, scaled embeddings, its own scale of scores', () => {
    const architecture = variant({ ...GEMMA2, query_pre_attn_scalar: 144, head_dim: 32 });
    assert.deepEqual(
      [architecture.attentionSoftcap, architecture.logitSoftcap, architecture.normPlusOne],
      [50, 30, true],
    );
    assert.deepEqual(
      [architecture.embeddingScale, architecture.attentionScale, architecture.activation],
      [8, 1 / 12, 'gelu-tanh'],
    );
    const { attentionNorm, attentionPostNorm, ffnNorm, ffnPostNorm } = architecture.layers[0]!.weights;
    assert.deepEqual(
      [attentionNorm, attentionPostNorm, ffnNorm, ffnPostNorm].map((ref) => ref?.tensor.split('.')[3]),
      ['input', 'post_attention', 'pre_feedforward', 'post_feedforward'].map((name) => `${name}_layernorm`),
    );
    const without = variant({ ...GEMMA2, attn_logit_softcapping: null, final_logit_softcapping: null });
    assert.ok(!('attentionSoftcap' in without) && !('logitSoftcap' in without));
  });

  it('Gemma 3: the layers with a window have rotary frequencies of their own', () => {
    const architecture = variant({ ...GEMMA3, num_hidden_layers: 6, head_dim: 32, sliding_window: 16 });
    assert.deepEqual(
      architecture.layers.map(({ rope, window }) => [rope, window]),
      [...Array.from({ length: 5 }, () => [1, 16]), [0, undefined]],
    );
    assert.deepEqual(
      architecture.ropes.map(({ base }) => base),
      [1_000_000, 10_000],
    );
    assert.ok(!('attentionSoftcap' in architecture) && !('logitSoftcap' in architecture));
    assert.ok(architecture.layers[0]!.weights.qNorm !== undefined);
  });
});

describe('a model that is not computed is refused by name', () => {
  const cases: ReadonlyArray<readonly [why: string, config: Record<string, unknown>, says: RegExp]> = [
    ['mixtures', { architectures: ['MixtralForCausalLM'] }, /"MixtralForCausalLM".*mixtures of experts/],
    ['Qwen MoE', { architectures: ['Qwen3MoeForCausalLM'] }, /"Qwen3MoeForCausalLM".*mixtures of experts/],
    ['experts in a known class', { num_local_experts: 8 }, /"LlamaForCausalLM".*num_local_experts/],
    [
      'images',
      { architectures: ['Gemma3ForConditionalGeneration'] },
      /"Gemma3ForConditionalGeneration".*images/,
    ],
    ['images in a known class', { vision_config: {} }, /"LlamaForCausalLM".*vision_config/],
    ['another family', { architectures: ['FalconForCausalLM'] }, /"FalconForCausalLM".*llama, mistral/],
    ['another type without a class', { architectures: null, model_type: 'gpt2' }, /"gpt2"/],
    ['no writer', { architectures: ['LlamaForSequenceClassification'] }, /no model that writes text/],
    [
      'two classes',
      { architectures: ['LlamaForCausalLM', 'MysteryForCausalLM'] },
      /"MysteryForCausalLM" is not supported/,
    ],
    ['names of Object', { architectures: ['constructor'] }, /"constructor"/],
    ['another rotary type', { rope_scaling: { type: 'dynamic', factor: 2 } }, /"dynamic".*longrope/],
    [
      'rotation in three parts',
      { rope_scaling: { rope_type: 'default', mrope_section: [1, 2, 3] } },
      /"mrope"/,
    ],
    ['part of a head', { partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0.5/],
    ['an odd part of a head', { ...PHI3, partial_rotary_factor: 0.9, head_dim: 10 }, /rotates 9 of 10/],
    ['two schemes', { rope_parameters: { full_attention: {} } }, /full_attention/],
    ['another activation', { hidden_act: 'gelu' }, /hidden_act is "gelu"/],
    ['biases of the feed-forward', { mlp_bias: true }, /mlp_bias/],
    ['GPTQ', { quantization_config: { quant_method: 'gptq', bits: 4 } }, /quantised by gptq/],
    ['mlx with 3 bits', { quantization: { bits: 3, group_size: 64 } }, /3 bits.*4 and 8/],
    [
      'mlx with mixed bits',
      { quantization: { bits: 4, group_size: 64, 'model.layers.0.mlp.up_proj': { bits: 8 } } },
      /model\.layers\.0\.mlp\.up_proj/,
    ],
    ['mlx in another mode', { quantization: { bits: 4, group_size: 32, mode: 'mxfp4' } }, /mxfp4/],
    ['another attention', { ...QWEN2, layer_types: ['full_attention', 'linear_attention'] }, /linear_att/],
    ['attention both ways', { ...GEMMA3, use_bidirectional_attention: true }, /use_bidirectional_attention/],
    ['a cap of Gemma 3', { ...GEMMA3, attn_logit_softcapping: 50 }, /attn_logit_softcapping/],
  ];
  for (const [why, changes, says] of cases) {
    it(why, () => {
      assert.throws(
        () => variant(changes),
        (error) =>
          error instanceof ExoError && error.code === 'model-unsupported' && says.test(error.message),
      );
    });
  }

  it('but not what only looks so: one expert, an mlx quantisation written twice', () => {
    const quantization = { bits: 4, group_size: 64 };
    assert.equal(variant({ num_local_experts: 1 }).family, 'llama');
    assert.equal(variant({ quantization, quantization_config: quantization }).family, 'llama');
    assert.equal(variant({ architectures: [], model_type: 'llama' }).family, 'llama');
  });
});

describe('a config with values that cannot be is refused with the field', () => {
  const cases: ReadonlyArray<readonly [why: string, config: Record<string, unknown>, says: RegExp]> = [
    ['nothing to go by', { architectures: null, model_type: null }, /architectures is missing/],
    ['a missing size', { hidden_size: undefined }, /config\.json: hidden_size is missing/],
    ['a size of text', { hidden_size: '64' }, /hidden_size is "64" and must be a whole number/],
    ['a size of 0', { vocab_size: 0 }, /vocab_size is 0/],
    ['too many layers', { num_hidden_layers: 100_000 }, /num_hidden_layers is 100000/],
    ['heads that do not divide', { num_key_value_heads: 3 }, /num_key_value_heads is 3/],
    ['heads that cannot share', { hidden_size: 66 }, /hidden_size is 66/],
    ['an epsilon below 0', { rms_norm_eps: -1 }, /rms_norm_eps is -1/],
    ['a list too short', { ...QWEN2, layer_types: ['full_attention'] }, /layer_types has 1 entries for 2/],
    [
      'windows that are off',
      { ...QWEN2, layer_types: ['full_attention', 'sliding_attention'] },
      /use_sliding_window is off/,
    ],
    ['a scheme that is none', { rope_scaling: 'linear' }, /rope_scaling is not a JSON object/],
    ['a factor of 0', { rope_scaling: { type: 'linear', factor: 0 } }, /rope_scaling: factor is 0/],
    [
      'a short list of factors',
      { ...PHI3, rope_scaling: { type: 'longrope', short_factor: [1], long_factor: [1] } },
      /long_factor is a list of 1 and must be a list of 8 numbers/,
    ],
    [
      'frequencies out of nothing',
      { rope_theta: 1, rope_scaling: { type: 'yarn', factor: 4 } },
      /make no rotary frequencies/,
    ],
    ['a group of 5', { quantization: { bits: 4, group_size: 5 } }, /group_size is 5/],
  ];
  for (const [why, changes, says] of cases) {
    it(why, () => {
      assert.throws(
        () => variant(changes),
        (error) =>
          error instanceof ExoError && error.code === 'checkpoint-invalid' && says.test(error.message),
      );
    });
  }
  it('no object at all', () => {
    for (const config of [null, [], 'x', 1]) {
      assert.throws(() => readArchitecture(config), /config\.json is not a JSON object/);
    }
  });
});
