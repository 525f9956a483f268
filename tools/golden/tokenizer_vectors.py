"""Writes test/models/vectors/tokenizers/<name>.json: real tokenizers, cut down to what their published test vectors need.

Run by hand (see make.py for the environment). The vocabularies and vectors are the test files of llama.cpp, as they are
inside the npm package node-llama-cpp:

    npm pack node-llama-cpp@3.21.1 && tar xzf node-llama-cpp-3.21.1.tgz package/llama/gitRelease.bundle
    git clone --no-checkout package/llama/gitRelease.bundle /tmp/llama
    /tmp/golden/bin/python tools/golden/tokenizer_vectors.py /tmp/llama [folder for the whole tokenizers]

Each tokenizer.json is rebuilt from its GGUF as the model's publisher has it, and held against the vectors with the Rust
library of Hugging Face. Then it is cut down: a merge, or a token, whose text is nowhere in the texts can have no part in how
these are split, so the others give the same ids; that too is checked. `published` are llama.cpp's vectors, `more` are texts
of our own with the ids of the Rust library.
"""
import json
import pathlib
import struct
import subprocess
import sys

from tokenizers import Tokenizer

TARGET = pathlib.Path(__file__).resolve().parents[2] / "test" / "models" / "vectors" / "tokenizers"
MORE = [
    "The mesh has two nodes: mac1 holds layers 0-9, mac2 the rest.",
    "def layers(start, end):\n\treturn [i for i in range(start, end + 1)]\n\n\n# done",
    "Grüße aus Köln, ça va? Ñandú — “quoted” … 10.000,50 €",
    "日本語の文章と中文，한국어도 함께.",
    "👩‍👩‍👧‍👦 and 🏳️‍🌈, e\u0301 and \u00e9, \u200b zero width",
    "   leading, trailing   \r\n\r\n  x  ",
    "1234567890 3.14159 0x7fff 1e-5",
    "don't WE'LL I'M he'd they'Ve",
    "אבג العربية हिन्दी ไทย",
]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CONTROL, USER_DEFINED = 3, 4


def read_gguf(data):
    """The metadata of a GGUF file."""
    place = 0

    def take(form):
        nonlocal place
        (value,) = struct.unpack_from("<" + form, data, place)
        place += struct.calcsize("<" + form)
        return value

    def text():
        nonlocal place
        length = take("Q")
        place += length
        return data[place - length : place].decode("utf-8", "surrogateescape")

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            inner, count = take("I"), take("Q")
            return [value(inner) for _ in range(count)]
        return take({0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}[kind])

    assert take("I") == 0x46554747
    take("I")
    take("Q")
    return {text(): value(take("I")) for _ in range(take("Q"))}


def added(gguf, rstrip=False):
    kinds = gguf["tokenizer.ggml.token_type"]
    return [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": rstrip and kinds[index] == CONTROL and index > 2,
            "normalized": False,
            "special": kinds[index] == CONTROL,
        }
        for index, token in enumerate(gguf["tokenizer.ggml.tokens"])
        if kinds[index] in (CONTROL, USER_DEFINED)
    ]


def byte_level(gguf, pattern, normalizer, ignore_merges, bos):
    tokens = gguf["tokenizer.ggml.tokens"]
    specials = added(gguf)
    byte = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": specials,
        "normalizer": normalizer,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                byte,
            ],
        },
        "post_processor": byte if bos is None else template(bos, tokens.index(bos)),
        "decoder": byte,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": ignore_merges,
            "vocab": vocab(tokens, specials),
            "merges": [merge.split(" ") for merge in gguf["tokenizer.ggml.merges"]],
        },
    }


def sentencepiece(gguf, rstrip):
    """As transformers convert a SentencePiece model: merges of every pair of tokens, in the order of scores."""
    tokens, scores = gguf["tokenizer.ggml.tokens"], gguf["tokenizer.ggml.scores"]
    ids = {token: index for index, token in enumerate(tokens)}
    merges = []
    for merged, index in ids.items():
        local = [
            (merged[:at], merged[at:])
            for at in range(1, len(merged))
            if merged[:at] in ids and merged[at:] in ids
        ]
        local.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        merges += [(pair, scores[index]) for pair in local]
    merges.sort(key=lambda merge: -merge[1])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added(gguf, rstrip),
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": template("<s>", 1),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": ids,
            "merges": [list(pair) for pair, _ in merges],
        },
    }


def gemma(gguf):
    """No space in front of a text, and the merges are written down."""
    tokens = gguf["tokenizer.ggml.tokens"]
    whole = sentencepiece({**gguf, "tokenizer.ggml.tokens": []}, False)
    whole["added_tokens"] = added(gguf)
    whole["normalizer"] = whole["normalizer"]["normalizers"][1]
    whole["post_processor"] = template("<bos>", tokens.index("<bos>"))
    whole["decoder"]["decoders"].pop()
    whole["model"]["vocab"] = {token: index for index, token in enumerate(tokens)}
    whole["model"]["merges"] = [merge.split(" ") for merge in gguf["tokenizer.ggml.merges"]]
    return whole


def template(token, index):
    special, text = {"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [special, text],
        "pair": [special, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [index], "tokens": [token]}},
    }


def vocab(tokens, specials):
    ids = {entry["id"] for entry in specials}
    return {token: index for index, token in enumerate(tokens) if index not in ids}


KINDS = {
    "llama-bpe": lambda gguf: byte_level(gguf, LLAMA3, None, True, "<|begin_of_text|>"),
    "qwen2": lambda gguf: byte_level(gguf, QWEN2, {"type": "NFC"}, False, None),
    "llama-spm": lambda gguf: sentencepiece(gguf, False),
    "gemma-4": gemma,
    "phi-3": lambda gguf: sentencepiece(gguf, True),
}


def vectors(source, name):
    texts = show(source, f"models/ggml-vocab-{name}.gguf.inp").decode().split("\n__ggml_vocab_test__\n")
    lines = show(source, f"models/ggml-vocab-{name}.gguf.out").decode().split("\n")
    # A line for every text; behind the last of each there may be a newline more.
    return [(text, [int(word) for word in line.split()]) for text, line in zip(texts, lines)]


def show(source, path):
    return subprocess.run(["git", "-C", source, "show", f"HEAD:{path}"], check=True, capture_output=True).stdout


def reduced(whole, texts):
    """Without the merges and tokens whose text is nowhere in the texts."""
    model = whole["model"]
    tokenizer = Tokenizer.from_str(json.dumps(whole))
    pieces = set()
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        split = tokenizer.pre_tokenizer.pre_tokenize_str(normal) if tokenizer.pre_tokenizer else [(normal, None)]
        pieces.update(piece for piece, _ in split)
    longest = max(map(len, model["vocab"]))
    inside = {
        piece[at : at + length]
        for piece in pieces
        for at in range(len(piece))
        for length in range(1, min(longest, len(piece) - at) + 1)
    }
    keeps = lambda token: token in inside or len(token) == 1 and not whole["pre_tokenizer"] is None
    is_base = lambda token, index: token.startswith("<0x") or index < 3
    return {
        **whole,
        "model": {
            **model,
            "vocab": {
                token: index
                for token, index in model["vocab"].items()
                if keeps(token) or (whole["pre_tokenizer"] is None and is_base(token, index))
            },
            "merges": [pair for pair in model["merges"] if pair[0] + pair[1] in inside],
        },
    }


def ids_of(definition, text):
    return Tokenizer.from_str(json.dumps(definition)).encode(text, add_special_tokens=False).ids


if __name__ == "__main__":
    source = sys.argv[1]
    whole_folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, make in KINDS.items():
        gguf = read_gguf(show(source, f"models/ggml-vocab-{name}.gguf"))
        whole = make(gguf)
        published = vectors(source, name)
        texts = [text for text, _ in published] + MORE
        rust = Tokenizer.from_str(json.dumps(whole))
        for text, ids in published:
            found = rust.encode(text, add_special_tokens=False).ids
            assert found == ids, f"{name}: {text!r} is {found} and not {ids}"
        small = reduced(whole, texts)
        small_rust = Tokenizer.from_str(json.dumps(small))
        for text in texts:
            assert small_rust.encode(text).ids == rust.encode(text).ids, f"{name}: {text!r} without the rest"
        # Names of special tokens that no text has are not kept: Llama 3 has 250 that are reserved.
        small["added_tokens"] = [entry for entry in small["added_tokens"] if "reserved" not in entry["content"]]
        more = []
        for text in MORE:
            ids = rust.encode(text, add_special_tokens=False).ids
            more.append({"text": text, "ids": ids, "decoded": rust.decode(ids)})
        file = TARGET / f"{name}.json"
        parts = {
            "tokenizer": small,
            "published": [{"text": text, "ids": ids, "decoded": rust.decode(ids)} for text, ids in published],
            "more": more,
        }
        body = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}" for key, value in parts.items())
        file.write_text("{\n" + body + "\n}\n")
        if whole_folder is not None:
            (whole_folder / name).mkdir(parents=True, exist_ok=True)
            (whole_folder / name / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False))
        print(f"{name}: {len(published)} published vectors, {len(MORE)} more, {file.stat().st_size} bytes")
