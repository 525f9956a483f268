"""Random weights as test/support/random-tensors.ts has them, bit for bit.

A value is a pure function of seed, tensor name and index: a 32-bit hash, made uniform around a mean. Names and shapes are
not told here: they come from the models of transformers, so that the TypeScript side is checked against those.
"""
import hashlib
import math

import numpy as np

STEP = 0x9E3779B1
GEMMA_POST_NORM_MEAN = 7
VECTOR_SPREAD = 0.5
EMBEDDING_DEVIATION = 0.15
LOGIT_DEVIATION = 1.5
MATRIX_GAIN = 1.25
MASK = 0xFFFFFFFF


def fnv1a(name: str) -> int:
    value = 0x811C9DC5
    for byte in name.encode("ascii"):
        value = ((value ^ byte) * 0x01000193) & MASK
    return value


def mix(x: np.ndarray) -> np.ndarray:
    """Chris Wellons' lowbias32, on uint32 (which wraps)."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def range_of(name: str, shape: tuple, gemma: bool) -> tuple:
    """Mean and spread: values are uniform in [mean - spread, mean + spread)."""
    if name.endswith(".bias"):
        return 0, VECTOR_SPREAD
    if len(shape) == 1:
        if not gemma:
            return 1, VECTOR_SPREAD
        return (GEMMA_POST_NORM_MEAN if ".post_" in name else 0), VECTOR_SPREAD
    if name == "model.embed_tokens.weight":
        return 0, EMBEDDING_DEVIATION * math.sqrt(3)
    if name == "lm_head.weight":
        return 0, LOGIT_DEVIATION * math.sqrt(3 / shape[1])
    return 0, MATRIX_GAIN * math.sqrt(3 / shape[1])


def tensor(name: str, shape: tuple, seed: int, gemma: bool) -> np.ndarray:
    """One tensor in float32."""
    mean, spread = range_of(name, shape, gemma)
    count = math.prod(shape)
    key = mix(np.array([fnv1a(name) ^ (seed * STEP & MASK)], dtype=np.uint32))
    index = np.arange(count, dtype=np.uint32) * np.uint32(STEP)
    units = (mix(key + index) >> np.uint32(8)).astype(np.float64) - 0x800000
    return (mean + units * (spread / 0x800000)).astype(np.float32).reshape(shape)


def to_bf16(values: np.ndarray) -> np.ndarray:
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def hashes(tensors: dict) -> dict:
    """SHA-256 by type over all tensors in the order of their names: name, NUL, shape with commas, NUL, bytes."""
    found = {}
    for kind, convert in (("F32", lambda v: v), ("F16", lambda v: v.astype(np.float16)), ("BF16", to_bf16)):
        digest = hashlib.sha256()
        for name in sorted(tensors):
            shape = ",".join(str(size) for size in tensors[name].shape)
            digest.update(f"{name}\0{shape}\0".encode())
            digest.update(np.ascontiguousarray(convert(tensors[name])).tobytes())
        found[kind] = digest.hexdigest()
    return found
