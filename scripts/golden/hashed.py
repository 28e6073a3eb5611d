"""hashed.py -- numbers that any language can make again, from an integer hash.

u(n, key): 32-bit hashes of 0 .. n - 1 and of a key (murmur's finaliser), as fractions in [0, 1) with 24 bits, so
that every value is exact in f32 and f64.  Needs numpy alone, for scripts that do without PyTorch.
"""

import numpy as np

M = 0xFFFFFFFF


def fnv1a(name):
    h = 2166136261
    for b in name.encode():
        h = ((h ^ b) * 16777619) & M
    return h


def mix(i, key):
    x = (i.astype(np.uint64) * 2654435761 + key) & M
    x ^= x >> np.uint64(16)
    x = (x * 0x85EBCA6B) & M
    x ^= x >> np.uint64(13)
    x = (x * 0xC2B2AE35) & M
    return x ^ (x >> np.uint64(16))


def u(n, key):
    """n fractions in [0, 1), multiples of 2^-24"""
    return (mix(np.arange(n, dtype=np.uint64), np.uint64(key)) >> np.uint64(8)).astype(np.float64) / 2**24


def number(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    s = f"{v:.12g}"
    return {"nan": "0/0", "inf": "1/0", "-inf": "-1/0"}.get(s, s)
