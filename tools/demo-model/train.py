"""Trains the demo model and writes src/models/demo/: config.json, model.safetensors, tokenizer.json, tokenizer_config.json.

A Llama of 1.2 million parameters that answers questions about exo-mesh (questions.txt) and nothing else. Run by hand when the
questions change; the files are committed, because nobody should need torch to see two machines share a model:

    python3 -m venv /tmp/demo && /tmp/demo/bin/pip install -r tools/demo-model/requirements.txt
    /tmp/demo/bin/python tools/demo-model/train.py

It takes about ten minutes on one core. Seeds are fixed and one thread computes, so the same versions on the same kind of
processor give the same bytes. Besides the model it writes test/models/demo-questions.json (questions that it answers rightly:
some as they were trained, some in words that it never saw) and made.json (versions, SHA-256 of the files, how many answers are
right). It fails, and leaves the files for a look, when too many are wrong. With --examine it only asks the model that is there.
Run `npm run format` afterwards.
"""
import hashlib
import json
import pathlib
import random
import sys
import time

import numpy as np
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from questions import expand, odd_question, plain, read, roughen

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "src" / "models" / "demo"
QUESTIONS = ROOT / "test" / "models" / "demo-questions.json"
MADE = pathlib.Path(__file__).with_name("made.json")

SEED = 52415
STEPS = 1800
TOKENS_PER_STEP = 1800
LEARNING_RATE = 3e-3
WARMUP_STEPS = 40
# The rate is level between these and falls to nothing in the last ones.
DECAY_STEPS = 500
# How many turns a conversation has, and how often.
TURNS = ((1, 0.6), (2, 0.2), (3, 0.1), (5, 0.06), (8, 0.04))
TOKENS_PER_TURN = 56
UNKNOWN_SHARE = 0.16
SYSTEM_SHARE = 0.12
SYSTEMS = [
    "You are a helpful assistant.",
    "You are a helpful AI assistant.",
    "Answer briefly.",
    "You are the demo model of exo-mesh.",
    "Be kind and short.",
    "You are an assistant. Answer the question of the user.",
]

# Of the answers that must be right, word for word, by kind of question (see `examine`).
RIGHT_MIN = {"trained": 0.99, "heldOut": 0.88, "roughened": 0.8, "inConversation": 0.8}

SPECIAL = ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
BEGIN, END = 0, 1
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 128,
    "initializer_range": 0.02,
    "intermediate_size": 320,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 6,
    "num_key_value_heads": 2,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float16",
    "use_cache": True,
    "vocab_size": 1024,
}


def train_tokenizer(intents: list) -> Tokenizer:
    """Byte-level BPE over the questions and answers, every answer many times: it is what must be short."""
    chosen = random.Random(SEED)
    texts = [roughen(expand(pattern, chosen), chosen) for i in intents for pattern in i.patterns for _ in range(20)]
    texts += [intent.answer for intent in intents for _ in range(20)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=CONFIG["vocab_size"],
            special_tokens=SPECIAL,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    assert tokenizer.get_vocab_size() == CONFIG["vocab_size"]
    return tokenizer


class Conversations:
    """Batches of conversations: ids, and the ids to learn (the answers; -100 elsewhere)."""

    def __init__(self, intents: list, tokenizer: Tokenizer):
        self.chosen = random.Random(SEED + 1)
        self.known = [intent for intent in intents if intent.name != "unknown"]
        self.unknown = next(intent for intent in intents if intent.name == "unknown")
        self.words = sorted({w for pattern in self.unknown.patterns for w in plain(pattern).rstrip(".?").split() if w.isalpha()})
        self.held_out = {text for intent in intents for text in intent.held_out}
        self.encode = lambda text: tokenizer.encode(text).ids

    def turn(self) -> tuple:
        chosen = self.chosen
        if chosen.random() < UNKNOWN_SHARE:
            odd = chosen.random() < 0.4
            text = odd_question(chosen, self.words) if odd else expand(chosen.choice(self.unknown.patterns), chosen)
            return roughen(text, chosen), self.unknown.answer
        intent = chosen.choice(self.known)
        text = roughen(expand(chosen.choice(intent.patterns), chosen), chosen)
        return self.turn() if text in self.held_out else (text, intent.answer)

    def conversation(self, turns: int) -> tuple:
        ids = [BEGIN]
        if self.chosen.random() < SYSTEM_SHARE:
            ids += self.encode(f"<|system|>{self.chosen.choice(SYSTEMS)}<|end|>")
        learnt = [-100] * len(ids)
        for _ in range(turns):
            question, answer = self.turn()
            asked = self.encode(f"<|user|>{question}<|end|><|assistant|>")
            said = self.encode(f"{answer}<|end|>")
            ids += asked + said
            learnt += [-100] * len(asked) + said
        return ids[: CONFIG["max_position_embeddings"]], learnt[: CONFIG["max_position_embeddings"]]

    def batch(self) -> tuple:
        turns = self.chosen.choices([n for n, _ in TURNS], [share for _, share in TURNS])[0]
        count = max(2, TOKENS_PER_STEP // (TOKENS_PER_TURN * turns))
        rows = [self.conversation(turns) for _ in range(count)]
        width = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([ids + [END] * (width - len(ids)) for ids, _ in rows])
        learnt = torch.tensor([line + [-100] * (width - len(line)) for _, line in rows])
        return ids, learnt


def train(data: Conversations, steps: int) -> LlamaForCausalLM:
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(LlamaConfig(**{**CONFIG, "torch_dtype": "float32"}))
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), fused=True)
    started, mean = time.time(), None
    for step in range(steps):
        rate = min(1, (step + 1) / WARMUP_STEPS, (steps - step) / DECAY_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate
        ids, learnt = data.batch()
        # Padding stands at the end and is never learnt: the causal mask is all that is needed.
        hidden = model.model(ids, use_cache=False).last_hidden_state[:, :-1]
        target = learnt[:, 1:]
        learn = target != -100
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[learn]), target[learn])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if step % 25 == 24:
            print(f"step {step + 1}: loss {mean:.4f}, {time.time() - started:.0f} s", flush=True)
    return model.eval()


def write(model: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
    MODEL.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().half().contiguous() for name, t in model.state_dict().items() if name != "lm_head.weight"}
    save_file(tensors, MODEL / "model.safetensors", {"format": "pt"})
    (MODEL / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    tokenizer.save(str(MODEL / "tokenizer.json"))
    settings = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": SPECIAL[BEGIN],
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": SPECIAL[END],
        "model_max_length": CONFIG["max_position_embeddings"],
        "pad_token": SPECIAL[END],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (MODEL / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


class Answerer:
    """The model as it was written, asked as anybody would ask it: greedy, in float32."""

    def __init__(self):
        self.tokenizer = AutoTokenizer.from_pretrained(MODEL)
        self.model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()

    def ask(self, conversations: list) -> list:
        """One answer for each. Those of one length go together, so that nothing is padded."""
        by_length = {}
        for at, messages in enumerate(conversations):
            text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            by_length.setdefault(len(ids), []).append((at, ids))
        answers = [""] * len(conversations)
        for length, group in by_length.items():
            ids = torch.tensor([line for _, line in group])
            with torch.no_grad():
                said = self.model.generate(
                    ids, attention_mask=torch.ones_like(ids), max_new_tokens=80, do_sample=False, pad_token_id=END
                )
            for (at, _), line in zip(group, said[:, length:]):
                answers[at] = self.tokenizer.decode(line, skip_special_tokens=True)
        return answers


def is_right(intent, answer: str) -> bool:
    """Word for word: it has nothing else to say."""
    return answer == intent.answer


def exam(answerer: Answerer, asked: list) -> tuple:
    """`asked`: intents with conversations. What was asked and right, and (intent, conversation, answer, right) for each."""
    answers = answerer.ask([messages for _, messages in asked])
    results = [(intent, messages, answer, is_right(intent, answer)) for (intent, messages), answer in zip(asked, answers)]
    return {"asked": len(results), "right": sum(right for *_, right in results)}, results


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def conversation_before(text: str, intents: list, chosen: random.Random) -> list:
    """The question as the last of a conversation, with a system message now and then."""
    messages = [{"role": "system", "content": "You are a helpful assistant."}] if chosen.random() < 0.3 else []
    for other in chosen.sample(intents, chosen.randint(1, 4)):
        messages += [user(plain(other.patterns[0])), {"role": "assistant", "content": other.answer}]
    return [*messages, user(text)]


def examine(intents: list) -> dict:
    """Asks everything once; returns what stands in made.json about it, and writes the questions for the tests."""
    answerer, chosen = Answerer(), random.Random(SEED + 2)
    held_out = [(intent, text) for intent in intents for text in intent.held_out]
    exams = {
        # Every pattern of questions.txt, with the first of its choices.
        "trained": [(i, [user(text)]) for i in intents for text in dict.fromkeys(plain(p) for p in i.patterns)],
        "heldOut": [(intent, [user(text)]) for intent, text in held_out],
        # With slips of the finger, prefixes and missing marks.
        "roughened": [(intent, [user(roughen(text, chosen))]) for intent, text in held_out],
        "inConversation": [(intent, conversation_before(text, intents, chosen)) for intent, text in held_out],
    }
    counts, records = {}, []
    for kind, asked in exams.items():
        counts[kind], results = exam(answerer, asked)
        print(f"{kind}: {counts[kind]}", flush=True)
        for intent, messages, answer, right in results:
            question = messages[-1]["content"]
            if not right:
                print(f"  [{intent.name}] {question}\n      {answer}")
            elif kind in ("trained", "heldOut"):
                trained = kind == "trained"
                records.append(
                    {"question": question, "trained": trained, "keywords": intent.keywords, "answer": answer}
                )
    QUESTIONS.write_text(json.dumps(records, indent=2, ensure_ascii=False) + "\n")
    return counts


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.utils.logging.disable_progress_bar()
    intents = read()
    started = time.time()
    tokenizer = train_tokenizer(intents)
    if "--examine" not in sys.argv:
        model = train(Conversations(intents, tokenizer), STEPS)
        write(model, tokenizer)
    counts = examine(intents)
    files = sorted(path for path in MODEL.iterdir() if path.suffix in (".json", ".safetensors"))
    made = {
        "by": {m.__name__: m.__version__.split("+")[0] for m in (np, tokenizers, torch, transformers)},
        "steps": STEPS,
        "bytes": sum(path.stat().st_size for path in files),
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "answers": counts,
    }
    MADE.write_text(json.dumps(made, indent=2) + "\n")
    print(json.dumps(made, indent=2))
    print(f"{time.time() - started:.0f} s")
    for kind, share in RIGHT_MIN.items():
        if counts[kind]["right"] < share * counts[kind]["asked"]:
            raise SystemExit(f"too few answers are right: {kind}")


if __name__ == "__main__":
    main()
