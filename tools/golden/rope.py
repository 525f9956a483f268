"""Writes test/models/vectors/rope.json: rotary frequencies, windows and scales as transformers read them from configs.

Run by hand when a rotary scheme or a family is added (see make.py for the environment):

    /tmp/golden/bin/python tools/golden/rope.py

The configs are spelt as published checkpoints spell theirs, with few layers and small sizes where these do not matter.
"""
import importlib
import json
import pathlib

from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

TARGET = pathlib.Path(__file__).resolve().parents[2] / "test" / "models" / "vectors" / "rope.json"

SIZES = {
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}
LLAMA = {**SIZES, "architectures": ["LlamaForCausalLM"], "model_type": "llama"}
QWEN2 = {**SIZES, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
LLAMA3 = {
    "factor": 32.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
SHORT = [round(1 + 0.05 * i, 2) for i in range(24)]
LONG = [round(1.1 + 1.7 * i, 2) for i in range(24)]
PHI4 = {
    **SIZES,
    "architectures": ["Phi3ForCausalLM"],
    "model_type": "phi3",
    "partial_rotary_factor": 0.75,
    "max_position_embeddings": 131072,
    "original_max_position_embeddings": 4096,
    "rope_theta": 10000.0,
    "sliding_window": 262144,
    "tie_word_embeddings": True,
}
GEMMA3 = {
    **SIZES,
    "architectures": ["Gemma3ForCausalLM"],
    "model_type": "gemma3_text",
    "num_hidden_layers": 7,
    "head_dim": 64,
    "query_pre_attn_scalar": 256,
    "sliding_window": 512,
    "max_position_embeddings": 32768,
}
YARN = {"factor": 4.0, "original_max_position_embeddings": 32768}

CONFIGS = {
    "llama 2": {**LLAMA, "max_position_embeddings": 4096, "rope_scaling": None},
    "llama 3.2": {**LLAMA, "max_position_embeddings": 131072, "rope_theta": 500000.0, "rope_scaling": LLAMA3},
    "llama 3.2 in the new spelling": {
        **LLAMA,
        "max_position_embeddings": 131072,
        "rope_parameters": {**LLAMA3, "rope_theta": 500000.0},
    },
    "llama linear": {**LLAMA, "max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama with heads of their own size": {**LLAMA, "head_dim": 96, "rope_theta": 1000000.0},
    "llama longrope": {
        **LLAMA,
        "head_dim": 48,
        "max_position_embeddings": 8192,
        "rope_scaling": {
            "rope_type": "longrope",
            "short_factor": SHORT,
            "long_factor": LONG,
            "factor": 2.0,
            "original_max_position_embeddings": 4096,
        },
    },
    "mistral 0.1": {
        **SIZES,
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "max_position_embeddings": 32768,
        "sliding_window": 4096,
        "rope_theta": 10000.0,
    },
    "mistral that says nothing of windows": {
        **SIZES,
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "rope_theta": 1000000.0,
    },
    "mistral 0.3": {
        **SIZES,
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "sliding_window": None,
        "rope_theta": 1000000.0,
        "head_dim": 128,
    },
    "qwen2 yarn": {**QWEN2, "rope_theta": 1000000.0, "rope_scaling": {**YARN, "type": "yarn"}},
    "qwen2 yarn without truncation": {
        **QWEN2,
        "rope_theta": 1000000.0,
        "rope_scaling": {**YARN, "rope_type": "yarn", "truncate": False, "beta_fast": 16.0, "beta_slow": 2.0},
    },
    "qwen2 yarn with mscale": {
        **QWEN2,
        "rope_theta": 10000.0,
        "rope_parameters": {
            **YARN,
            "rope_theta": 150000.0,
            "rope_type": "yarn",
            "factor": 40.0,
            "mscale": 0.707,
            "mscale_all_dim": 1.0,
        },
    },
    "qwen2 yarn with an attention factor": {
        **QWEN2,
        "rope_scaling": {**YARN, "rope_type": "yarn", "attention_factor": 0.9},
    },
    "qwen2 windows": {
        **QWEN2,
        "use_sliding_window": True,
        "sliding_window": 1024,
        "max_window_layers": 2,
        "max_position_embeddings": 32768,
    },
    "qwen2 windows switched off": {
        **QWEN2,
        "use_sliding_window": False,
        "sliding_window": 1024,
        "max_window_layers": 2,
    },
    "qwen3": {
        **SIZES,
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "rope_theta": 1000000,
        "max_position_embeddings": 40960,
        "sliding_window": None,
    },
    "qwen3 with listed layers": {
        **SIZES,
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "head_dim": 64,
        "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"},
        "use_sliding_window": True,
        "sliding_window": 256,
        "layer_types": ["full_attention", "sliding_attention", "full_attention", "sliding_attention"],
    },
    "phi3 4k": {
        **SIZES,
        "architectures": ["Phi3ForCausalLM"],
        "model_type": "phi3",
        "max_position_embeddings": 4096,
        "sliding_window": 2047,
        "rope_scaling": None,
    },
    "phi4 mini": {
        **PHI4,
        "rope_scaling": {"type": "longrope", "short_factor": SHORT, "long_factor": LONG},
    },
    "phi3 su with a whole head": {
        **{**PHI4, "partial_rotary_factor": 1.0, "hidden_size": 384},
        "rope_scaling": {"type": "su", "short_factor": SHORT, "long_factor": LONG},
    },
    "gemma2": {
        **SIZES,
        "architectures": ["Gemma2ForCausalLM"],
        "model_type": "gemma2",
        "head_dim": 256,
        "query_pre_attn_scalar": 224,
        "sliding_window": 4096,
        "max_position_embeddings": 8192,
    },
    "gemma3": {**GEMMA3, "rope_theta": 1000000, "rope_local_base_freq": 10000, "sliding_window_pattern": 6},
    "gemma3 linear": {
        **GEMMA3,
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        "sliding_window_pattern": 3,
    },
    "gemma3 in the new spelling": {
        **GEMMA3,
        "num_hidden_layers": 3,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 20000.0},
        },
    },
    "gemma3 that says little": GEMMA3,
}


def rotary(config):
    """The rotary module of the config's family."""
    family = config.model_type.removesuffix("_text")
    module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    return getattr(module, f"{family.capitalize()}RotaryEmbedding")(config)


def numbers(frequencies):
    return [float(f"{value:.9g}") for value in frequencies.tolist()]


def read(raw):
    # The first Phi-3 configs say `su`, which transformers 5 no longer take without help.
    config = AutoConfig.for_model(**json.loads(json.dumps(raw).replace('"su"', '"longrope"')))
    module = rotary(config)
    if config.model_type == "gemma3_text":
        kinds = ["full_attention", "sliding_attention"]
        ropes = [
            {
                "frequencies": numbers(getattr(module, f"{kind}_inv_freq")),
                "scale": getattr(module, f"{kind}_attention_scaling"),
            }
            for kind in kinds
        ]
    else:
        ropes = [{"frequencies": numbers(module.inv_freq), "scale": module.attention_scaling}]
        if config.rope_parameters["rope_type"] == "longrope":
            long = ROPE_INIT_FUNCTIONS["longrope"](config, seq_len=config.max_position_embeddings)
            ropes[0]["long"] = numbers(long[0])
    window = getattr(config, "sliding_window", None)
    # Families without a list of layer types have the window everywhere.
    types = getattr(config, "layer_types", None) or ["sliding_attention"] * config.num_hidden_layers
    windows = [window if kind == "sliding_attention" else None for kind in types]
    return {"config": raw, "ropes": ropes, "windows": windows}


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(name)}: {json.dumps(read(raw))}" for name, raw in CONFIGS.items()]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{TARGET}: {len(CONFIGS)} configs, {TARGET.stat().st_size} bytes")
