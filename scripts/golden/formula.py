"""formula.py -- tensors of numbers that any language can make again (hashed.py), and Lua text for them.

The key of a named tensor is FNV-1a of its name.  Sums of four hashed fractions are near enough to a normal
distribution for weights.  tests/formula.lua is the same in Lua.
"""

import numpy as np
import torch

from hashed import fnv1a, mix, number, u


def grid(shape, key, lo=-2, hi=2):
    """coarse numbers (multiples of 1/64): short in text, exact in bf16's big brothers"""
    n = int(np.prod(shape))
    return torch.from_numpy(np.floor((lo + (hi - lo) * u(n, key)) * 64) / 64).reshape(shape)


def distinct(shape, key, step=1 / 16):
    """different numbers, so that no maximum is ambiguous"""
    n = int(np.prod(shape))
    order = np.argsort(u(n, key), kind="stable")
    return torch.from_numpy((order - n // 2).astype(np.float64) * step).reshape(shape)


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
