"""The small models whose logits are golden: one config.json each, spelt as the published checkpoints spell theirs.

`matters` names what a variant is there for: with any of these patches (None removes a key) its logits must become others,
or the vectors would not notice an engine that forgets it. `spellings` are patches after which the config means the same:
keys of other years, and what transformers 5 writes.
"""

BASE = {
    "vocab_size": 256,
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "float32",
    "use_cache": True,
}

LLAMA = {
    **BASE,
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "pretraining_tp": 1,
    "tie_word_embeddings": False,
}

GEMMA = {
    **BASE,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "hidden_activation": "gelu_pytorch_tanh",
    "sliding_window": 16,
}

PHI3 = {
    **BASE,
    "architectures": ["Phi3ForCausalLM"],
    "model_type": "phi3",
    "hidden_act": "silu",
    "attention_bias": False,
    "pad_token_id": 0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attention_dropout": 0.0,
}

VARIANTS = {
    "llama": {
        "about": "Llama 2: no scaling, own head, grouped queries",
        "config": {**LLAMA, "rope_scaling": None},
        "matters": [{"rope_theta": 500000.0}, {"rms_norm_eps": 0.1}],
        "spellings": [{"num_attention_heads": 4, "head_dim": 32, "rope_scaling": None, "attention_bias": None, "mlp_bias": None}],
    },
    "llama-tied": {
        "about": "Llama 3.2: embeddings are the head; a head dimension that is not hidden / heads",
        "config": {
            **LLAMA,
            "tie_word_embeddings": True,
            "num_attention_heads": 8,
            "head_dim": 32,
            "rope_theta": 500000.0,
        },
        "matters": [{"rope_theta": 10000.0}],
    },
    "llama-biases": {
        "about": "biases on q, k, v and o; as many key heads as heads",
        "config": {**LLAMA, "attention_bias": True, "num_key_value_heads": 4},
        "matters": [{"attention_bias": False}],
    },
    "llama3-scaling": {
        "about": "Llama 3.1: rope_type llama3, with pairs in all three bands",
        "config": {
            **LLAMA,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
        "matters": [{"rope_scaling": None}],
        "spellings": [
            {
                "rope_scaling": None,
                "rope_theta": None,
                "torch_dtype": None,
                "dtype": "float32",
                "rope_parameters": {
                    "rope_type": "llama3",
                    "rope_theta": 10000.0,
                    "factor": 8.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 64,
                },
            }
        ],
    },
    "llama-linear": {
        "about": "linear scaling, under the old key type",
        "config": {**LLAMA, "rope_scaling": {"type": "linear", "factor": 4.0}},
        "matters": [{"rope_scaling": None}],
        "spellings": [{"rope_scaling": {"rope_type": "linear", "factor": 4.0}}],
    },
    "llama-yarn": {
        "about": "YaRN, under the key rope_type, with the attention factor that follows from factor",
        "config": {
            **LLAMA,
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 64,
                "beta_fast": 8.0,
                "beta_slow": 1.0,
            },
        },
        "matters": [{"rope_scaling": None}, {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}],
    },
    "mistral": {
        "about": "Mistral 0.1: every layer slides, over fewer tokens than the prompt has",
        "config": {
            **BASE,
            "architectures": ["MistralForCausalLM"],
            "model_type": "mistral",
            "hidden_act": "silu",
            "sliding_window": 16,
            "tie_word_embeddings": False,
        },
        "matters": [{"sliding_window": None}, {"sliding_window": 15}, {"sliding_window": 17}],
        "spellings": [
            {
                "head_dim": 32,
                "rope_theta": None,
                "torch_dtype": None,
                "dtype": "float32",
                "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
            }
        ],
    },
    "qwen2": {
        "about": "Qwen 2.5: biases on q, k and v; a sliding window that is named and not used",
        "config": {
            **BASE,
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_act": "silu",
            "num_key_value_heads": 1,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1000000.0,
            "sliding_window": 16,
            "max_window_layers": 3,
            "use_sliding_window": False,
            "tie_word_embeddings": False,
        },
        "matters": [{"use_sliding_window": True, "max_window_layers": 0}, {"rope_theta": 10000.0}],
        "spellings": [
            {
                "sliding_window": None,
                "rope_theta": None,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
                "layer_types": ["full_attention"] * 5,
            }
        ],
    },
    "qwen2-sliding": {
        "about": "Qwen 2.5 with the window in use from layer 3 on, tied, YaRN under the key type",
        "config": {
            **BASE,
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_act": "silu",
            "rms_norm_eps": 1e-6,
            "sliding_window": 16,
            "max_window_layers": 3,
            "use_sliding_window": True,
            "tie_word_embeddings": True,
            "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
        },
        "matters": [{"use_sliding_window": False}, {"max_window_layers": 2}, {"rope_scaling": None}],
        "spellings": [{"layer_types": ["full_attention"] * 3 + ["sliding_attention"] * 2, "max_window_layers": None}],
    },
    "qwen3": {
        "about": "Qwen 3: norms on the heads of q and k, heads wider than hidden / heads",
        "config": {
            **BASE,
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "hidden_act": "silu",
            "num_attention_heads": 8,
            "head_dim": 32,
            "attention_bias": False,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1000000.0,
            "rope_scaling": None,
            "sliding_window": None,
            "max_window_layers": 5,
            "use_sliding_window": False,
            "tie_word_embeddings": False,
        },
        "matters": [{"rope_theta": 10000.0}],
        "spellings": [
            {
                "rope_theta": None,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
                "layer_types": ["full_attention"] * 5,
            }
        ],
    },
    "phi3": {
        "about": "Phi-3 and Phi-4-mini: fused projections, three quarters of a head rotated",
        "config": {**PHI3, "partial_rotary_factor": 0.75},
        "matters": [{"partial_rotary_factor": 1.0}, {"partial_rotary_factor": 0.5}],
        "spellings": [
            {
                "rope_theta": None,
                "partial_rotary_factor": None,
                "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.75},
            }
        ],
    },
    "phi3-longrope": {
        "about": "Phi-3 128k: longrope beyond the original length from the first prompt on (long factors), a sliding window",
        "config": {
            **PHI3,
            "num_key_value_heads": 4,
            "sliding_window": 24,
            "max_position_embeddings": 80,
            "original_max_position_embeddings": 11,
            "rope_scaling": {
                "type": "longrope",
                "short_factor": [1.0, 1.0, 1.0, 1.0, 1.0, 1.05, 1.1, 1.1, 1.2, 1.2, 1.3, 1.3, 1.4, 1.5, 1.6, 1.7],
                "long_factor": [1.0, 1.1, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0, 5.5, 7.0, 9.0, 12.0, 16.0, 22.0, 30.0],
            },
        },
        "matters": [{"rope_scaling": None}, {"sliding_window": None}],
    },
    "gemma2": {
        "about": "Gemma 2: caps on scores and logits, every other layer slides, norms after, scale of its own",
        "config": {
            **GEMMA,
            "architectures": ["Gemma2ForCausalLM"],
            "model_type": "gemma2",
            "hidden_act": "gelu_pytorch_tanh",
            "query_pre_attn_scalar": 24,
            "attn_logit_softcapping": 3.0,
            "final_logit_softcapping": 6.0,
        },
        "matters": [
            {"attn_logit_softcapping": None},
            {"final_logit_softcapping": None},
            {"query_pre_attn_scalar": 32},
            {"sliding_window": 256},
            {"sliding_window": 15},
        ],
        "spellings": [
            {"tie_word_embeddings": True, "layer_types": ["sliding_attention", "full_attention"] * 3},
            {"rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        ],
    },
    "gemma3": {
        "about": "Gemma 3 (text): norms on q and k, two rotary bases, the wide one linearly scaled, every third layer is full",
        "config": {
            **GEMMA,
            "architectures": ["Gemma3ForCausalLM"],
            "model_type": "gemma3_text",
            "query_pre_attn_scalar": 24,
            "rope_theta": 1000000.0,
            "rope_local_base_freq": 10000.0,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window_pattern": 3,
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
        },
        "matters": [
            {"rope_local_base_freq": 1000000.0},
            {"rope_theta": 10000.0},
            {"rope_scaling": None},
            {"query_pre_attn_scalar": 32},
            {"sliding_window": 256},
            {"sliding_window": 15},
            {"sliding_window_pattern": 2},
        ],
        "spellings": [
            {
                "sliding_window_pattern": None,
                "rope_theta": None,
                "rope_local_base_freq": None,
                "rope_scaling": None,
                "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
                "rope_parameters": {
                    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                },
            }
        ],
    },
}
