"""formula.py -- numbers that any language can make again, and Lua text for them.

u(i, key): a 32-bit hash of the index and of a key (murmur's finaliser), as a fraction in [0, 1) with 24 bits, so
that every value is exact in f32 and f64.  The key of a named tensor is FNV-1a of its name.  Sums of four such
fractions are near enough to a normal distribution for weights.  tests/formula.lua is the same in Lua.
"""

import numpy as np
import torch

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


def grid(shape, key, lo=-2, hi=2):
    """coarse numbers (multiples of 1/64): short in text, exact in bf16's big brothers"""
    n = int(np.prod(shape))
    return torch.from_numpy(np.floor((lo + (hi - lo) * u(n, key)) * 64) / 64).reshape(shape)


def distinct(shape, key, step=1 / 16):
    """different numbers, so that no maximum is ambiguous"""
    n = int(np.prod(shape))
    order = np.argsort(u(n, key), kind="stable")
    return torch.from_numpy((order - n // 2).astype(np.float64) * step).reshape(shape)


def number(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    s = f"{v:.12g}"
    return {"nan": "0/0", "inf": "1/0", "-inf": "-1/0"}.get(s, s)


def lua(v):
    """Python value -> Lua source; a tensor becomes {shape = {...}, dtype = ..., ...numbers}"""
    if isinstance(v, torch.Tensor):
        t = v.detach()
        kind = {torch.float64: "f64", torch.int64: "i64", torch.uint8: "u8", torch.bool: "u8"}[t.dtype]
        flat = t.reshape(-1).tolist()
        body = ",".join(number(int(x) if kind != "f64" else float(x)) for x in flat)
        shape = ",".join(map(str, t.shape))
        return "{shape={%s},dtype='%s'%s}" % (shape, kind, "," + body if body else "")
    if isinstance(v, dict):
        return "{" + ",".join(f"{k}={lua(x)}" for k, x in v.items()) + "}"
    if isinstance(v, (list, tuple)):
        return "{" + ",".join(lua(x) for x in v) + "}"
    if isinstance(v, str):
        return f"'{v}'"
    return number(v)


def header(title, extra=""):
    import platform
    import torchvision

    return (
        f"-- {title}\n-- Made by scripts/golden.py with torch {torch.__version__}, torchvision "
        f"{torchvision.__version__}, numpy {np.__version__}, Python {platform.python_version()}.\n{extra}"
    )


# == the whole net: one table of numbers, read at an offset that depends on the tensor's name ===============
# Entries are integers of 12 bits over 512 (sums of four 10-bit fractions: near enough to normal, deviation
# 1.155) and scales have 12 bits too, so every product is exact in f32 and both sides hold the same weights.
PERIOD = 65521


def table():
    i = np.arange(PERIOD, dtype=np.uint64)
    s = sum((mix(i, np.uint64(k)) >> np.uint64(22)).astype(np.int64) for k in (1, 2, 3, 4))
    return (s - 2046).astype(np.float64) / 512


TABLE = table()


def normal(name, shape):
    n = int(np.prod(shape))
    return torch.from_numpy(TABLE[(fnv1a(name) + np.arange(n)) % PERIOD]).reshape(shape)


def signs(n, key):
    return 1.0 - 2.0 * (mix(np.arange(n, dtype=np.uint64), np.uint64(key)) >> np.uint64(31)).astype(
        np.float64
    )


def projections(name, t):
    """eight numbers a' T b with hashed signs a, b: mean of squares is |T|^2, so differences estimate distances"""
    m = t.detach().double().reshape(t.shape[0], -1) if t.dim() else t.detach().double().reshape(1, 1)
    out = []
    for j in range(8):
        a = torch.from_numpy(signs(m.shape[0], fnv1a(f"{name}/a{j}")))
        b = torch.from_numpy(signs(m.shape[1], fnv1a(f"{name}/b{j}")))
        out.append(float(a @ m @ b))
    return out
