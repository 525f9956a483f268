"""Writes test/golden/<variant>.json: logits and greedy ids of Hugging Face transformers for small random checkpoints.

Run by hand when a family is added or the weights change; the vectors are committed, no weights are:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install -r tools/golden/requirements.txt
    /tmp/golden/bin/python tools/golden/make.py              # all variants of variants.py
    /tmp/golden/bin/python tools/golden/make.py gemma3       # some of them
    npm run format                                           # lists in the house's form

Each variant is written as config.json and model.safetensors to a temporary folder and loaded from there as any checkpoint
is, in float32, with eager attention, on the CPU. Seeds are tried in order until the greedy answers have no near ties and do
not repeat themselves; what the variant is there for must show in the logits.

A file holds `config` (the whole config.json), `spellings` (other whole configs that mean the same model), `seed` and `weights`
(SHA-256 by type, see weights.py) of the checkpoint, and for each prompt its `tokens`, the 24 greedy `ids` and `logits`: base64
of little-endian float32 [positions, vocab], what follows the first `positions[i] + 1` tokens of `tokens + ids`.
`float32Error` is how far these logits are from those in float64, and `margin` the smallest distance between the two best
logits at a greedy step.
"""
import base64
import json
import logging
import pathlib
import random
import sys
import tempfile
import warnings

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from variants import VARIANTS
from weights import hashes, tensor

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "test" / "golden"
GREEDY_STEPS = 24
# Tokens of the two prompts, and the places in the long one whose logits are kept (its last ones and a few before).
PROMPT_TOKENS = (12, 41)
LONG_POSITIONS = (0, 15, 16, 24, 37, 38, 39, 40)
# Between the two best logits of a greedy step: float32 in another order moves them by 1e-5, F16 keys and values by 1e-3.
MARGIN_MIN = 0.02
DISTINCT_IDS_MIN = 10
# What a forgotten feature moves a logit by, at least.
EFFECT_MIN = 0.01
SEEDS = range(1, 400)


def load(config: dict, seed: int, dtype=torch.float32):
    """The model, and its tensors by name as they stand in the checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "config.json").write_text(json.dumps(config))
        parsed = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            state = AutoModelForCausalLM.from_config(parsed).state_dict()
        names = [name for name in state if not (parsed.tie_word_embeddings and name == "lm_head.weight")]
        gemma = config["model_type"].startswith("gemma")
        tensors = {name: tensor(name, tuple(state[name].shape), seed, gemma) for name in names}
        save_file(tensors, path / "model.safetensors", {"format": "pt"})
        model, info = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return model.to(dtype).eval(), tensors


def logits_of(model, tokens: list) -> np.ndarray:
    """[len(tokens), vocab], without a cache."""
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0].double().numpy()


def greedy(model, prompt: list) -> tuple:
    """Ids, and the smallest distance between the two best logits."""
    tokens, margin = list(prompt), float("inf")
    for _ in range(GREEDY_STEPS):
        last = logits_of(model, tokens)[-1]
        best, second = np.argsort(last)[::-1][:2]
        margin = min(margin, last[best] - last[second])
        tokens.append(int(best))
    return tokens[len(prompt) :], float(margin)


def prompts_of(vocab: int) -> list:
    """The same two prompts for all variants of one vocabulary."""
    chosen = random.Random(5)
    return [[chosen.randrange(3, vocab) for _ in range(length)] for length in PROMPT_TOKENS]


def patched(config: dict, patch: dict) -> dict:
    return {key: value for key, value in {**config, **patch}.items() if key not in patch or value is not None}


def check_features(config: dict, seed: int, prompt: list, logits: np.ndarray, patches: list) -> None:
    for patch in patches:
        changed, _ = load(patched(config, patch), seed)
        effect = float(np.abs(logits_of(changed, prompt) - logits[: len(prompt)]).max())
        print(f"    with {json.dumps(patch)} logits move by {effect:.3f}")
        assert effect >= EFFECT_MIN, f"{patch} changes nothing"


def spellings_of(config: dict, seed: int, prompt: list, logits: np.ndarray, patches: list) -> list:
    configs = [patched(config, patch) for patch in patches]
    for other in configs:
        assert np.array_equal(logits_of(load(other, seed)[0], prompt), logits[: len(prompt)]), other
    return configs


def generate(model, prompt: list) -> tuple:
    """Ids of transformers' own generation, with its cache, and the smallest distance between the two best logits."""
    with torch.no_grad():
        answer = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=GREEDY_STEPS,
            do_sample=False,
            eos_token_id=-1,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )
    best = [torch.topk(step[0], 2).values for step in answer.logits]
    return answer.sequences[0, len(prompt) :].tolist(), min(float(first - second) for first, second in best)


def is_lively(model, prompt: list) -> bool:
    ids, margin = generate(model, prompt)
    return margin >= MARGIN_MIN and len(set(ids)) >= DISTINCT_IDS_MIN


def choose_seed(config: dict, prompts: list) -> tuple:
    for seed in SEEDS:
        model, tensors = load(config, seed)
        if all(is_lively(model, prompt) for prompt in prompts):
            return seed, model, tensors
    raise SystemExit("no seed gives answers without near ties")


def make(name: str) -> None:
    variant = VARIANTS[name]
    config = variant["config"]
    prompts = prompts_of(config["vocab_size"])
    seed, model, tensors = choose_seed(config, prompts)
    exact = load(config, seed, torch.float64)[0]
    records, error = [], 0.0
    for prompt in prompts:
        ids, margin = greedy(model, prompt)
        assert generate(model, prompt)[0] == ids, "with a cache the answer is another"
        sequence = prompt + ids
        logits = logits_of(model, sequence)
        error = max(error, float(np.abs(logits - logits_of(exact, sequence)).max()))
        inside = range(len(prompt)) if prompt is prompts[0] else LONG_POSITIONS
        positions = [*inside, len(sequence) - 1]
        data = logits[positions].astype("<f4").tobytes()
        records.append(
            {
                "tokens": prompt,
                "ids": ids,
                "margin": round(margin, 4),
                "positions": positions,
                "logits": base64.b64encode(data).decode(),
            }
        )
    spread = float(logits.std())
    print(f"{name}: seed {seed}, logits deviate by {spread:.2f}, float32 is {error:.1e} off, margins {[r['margin'] for r in records]}")
    check_features(config, seed, prompts[1], logits, variant["matters"])
    spellings = spellings_of(config, seed, prompts[1], logits_of(model, prompts[1]), variant.get("spellings", []))
    document = {
        "about": variant["about"],
        "by": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        "config": config,
        "spellings": spellings,
        "seed": seed,
        "weights": hashes(tensors),
        "float32Error": float(f"{error:.1e}"),
        "prompts": records,
    }
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    unknown = [name for name in sys.argv[1:] if name not in VARIANTS]
    if unknown:
        raise SystemExit(f"no variant is called {unknown[0]}; there are: {', '.join(VARIANTS)}")
    for chosen_name in sys.argv[1:] or VARIANTS:
        make(chosen_name)
