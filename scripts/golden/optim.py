"""optim.py -- optimizer goldens: twenty steps with given gradients, f64, weights after steps 1, 2 and 20.

From PyTorch where it has the optimizer, else from timm (lamb, lars, lion, TensorFlow's RMSProp) or from the
authors' package (schedulefree).  Muon is PyTorch's, with its Newton-Schulz steps done in f64 in place of bf16.
Three parameters: a vector, a matrix, and a convolution's kernel.  Options are named as optim.* takes them.
"""

import importlib
import importlib.metadata
import importlib.util
import sys
import types

import numpy as np
import torch

from formula import fnv1a, grid, header, lua

STEPS, SIZE = 20, 7
SHAPES = {"vector": (SIZE,), "matrix": (4, 3), "kernel": (3, 2, 2, 1)}


def timm(module):
    """A file of timm.optim without timm's own start, which wants packages that optimizers do not need."""
    for name in ("timm", "timm.optim"):
        if name not in sys.modules:
            spec = importlib.util.find_spec(name)
            stub = types.ModuleType(name)
            stub.__path__ = list(spec.submodule_search_locations)
            sys.modules[name] = stub
    return importlib.import_module("timm.optim." + module)


def start(kind):
    return grid(SHAPES[kind], fnv1a("start" if kind == "vector" else f"start of {kind}"))


def gradients(kind="vector"):
    word = "gradient" if kind == "vector" else f"gradient of {kind}"
    return [grid(SHAPES[kind], fnv1a(f"{word} {t}")) for t in range(STEPS)]


def run(make, kind="vector", seen=lambda opt, p: p):
    p = torch.nn.Parameter(start(kind))
    opt, after = make([p]), {}
    for t, g in enumerate(gradients(kind), 1):
        p.grad = g.clone()
        opt.step()
        after[t] = seen(opt, p).detach().clone()
    return [after[1], after[2], after[STEPS]]


def tf_rmsprop(lr, alpha, momentum, eps, weight_decay=0.0):
    p = start("vector").numpy().copy()
    ms, mom, after = np.ones(SIZE), np.zeros(SIZE), {}
    for t, g in enumerate(gradients(), 1):
        g = g.numpy() + weight_decay * p
        ms += (1 - alpha) * (g * g - ms)
        mom = momentum * mom + lr * g / np.sqrt(ms + eps)
        p = p - mom
        after[t] = torch.from_numpy(p.copy())
    return [after[1], after[2], after[STEPS]]


def rows():
    o = torch.optim
    yield "sgd", {"lr": 0.1}, run(lambda p: o.SGD(p, lr=0.1))
    yield "sgd", {"lr": 0.1, "momentum": 0.9}, run(lambda p: o.SGD(p, lr=0.1, momentum=0.9))
    k = {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
    yield "sgd", k, run(lambda p: o.SGD(p, **k))
    k2 = {"lr": 0.01, "alpha": 0.9, "eps": 1e-8}
    yield "rmsprop", k2, run(lambda p: o.RMSprop(p, **k2))
    k3 = {"lr": 0.045, "alpha": 0.9, "momentum": 0.9, "eps": 1.0, "weight_decay": 4e-5}
    yield "rmsprop", k3, run(lambda p: o.RMSprop(p, **k3))
    yield "rmsprop", {**k3, "eps_inside": True}, tf_rmsprop(**k3)
    k4 = {"lr": 0.045, "alpha": 0.9, "momentum": 0.9, "eps": 1.0}
    yield "rmsprop", {**k4, "eps_inside": True}, tf_rmsprop(**k4)
    yield "adam", {"lr": 0.01}, run(lambda p: o.Adam(p, lr=0.01))
    b = {"betas": [0.8, 0.99], "eps": 1e-6, "lr": 0.02, "weight_decay": 0.1}
    yield "adam", b, run(lambda p: o.Adam(p, **b))
    yield "adamw", {"lr": 0.01}, run(lambda p: o.AdamW(p, lr=0.01))
    yield "adamw", b, run(lambda p: o.AdamW(p, **b))


def more_torch():
    o = torch.optim
    yield "nesterov", {"lr": 0.05}, run(lambda p: o.SGD(p, lr=0.05, momentum=0.9, nesterov=True))
    yield "nadam", {"lr": 0.02}, run(lambda p: o.NAdam(p, lr=0.02))
    n = {"lr": 0.01, "betas": [0.8, 0.99], "momentum_decay": 0.01, "weight_decay": 0.1}
    yield "nadam", n, run(lambda p: o.NAdam(p, **n))
    yield "radam", {"lr": 0.02}, run(lambda p: o.RAdam(p, lr=0.02))
    r = {"lr": 0.02, "betas": [0.8, 0.9], "weight_decay": 0.1}
    yield "radam", r, run(lambda p: o.RAdam(p, **r))
    yield "adamax", {"lr": 0.02}, run(lambda p: o.Adamax(p, lr=0.02))
    yield "adamax", r, run(lambda p: o.Adamax(p, **r))
    yield "adagrad", {"lr": 0.1}, run(lambda p: o.Adagrad(p, lr=0.1))
    a = {"lr": 0.1, "lr_decay": 0.05, "weight_decay": 0.1}
    yield "adagrad", {**a, "initial": 0.1}, run(lambda p: o.Adagrad(p, initial_accumulator_value=0.1, **a))
    yield "adadelta", {}, run(lambda p: o.Adadelta(p))
    d = {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}
    yield "adadelta", d, run(lambda p: o.Adadelta(p, **d))


def more_timm():
    lion, lamb, lars, tf = (timm(m) for m in ("lion", "lamb", "lars", "rmsprop_tf"))
    yield "lion", {"lr": 0.01}, run(lambda p: lion.Lion(p, lr=0.01))
    k = {"lr": 0.01, "betas": [0.95, 0.98], "weight_decay": 0.1}
    yield "lion", k, run(lambda p: lion.Lion(p, **k))
    m = {"lr": 0.01, "weight_decay": 0.02}
    yield "lamb", m, run(lambda p: lamb.Lamb(p, **m), "matrix"), "matrix"
    free = {"lr": 0.02, "betas": [0.8, 0.99], "weight_decay": 0.0, "clip_norm": 0}
    make = lambda p: lamb.Lamb(
        p, lr=0.02, betas=(0.8, 0.99), weight_decay=0, max_grad_norm=None, always_adapt=True
    )
    yield "lamb", free, run(make, "kernel"), "kernel"
    s = {"lr": 1.0, "momentum": 0.9, "weight_decay": 0.01}
    yield "lars", s, run(lambda p: lars.Lars(p, **s), "matrix"), "matrix"
    n = {"lr": 2.0, "momentum": 0.8, "nesterov": True, "trust": 0.01}
    make = lambda p: lars.Lars(p, lr=2.0, momentum=0.8, nesterov=True, trust_coeff=0.01, always_adapt=True)
    yield "lars", n, run(make, "kernel"), "kernel"
    t = {"lr": 0.045, "alpha": 0.9, "momentum": 0.9, "eps": 1.0}
    yield "rmsprop", {**t, "eps_inside": True}, run(lambda p: tf.RMSpropTF(p, **t))


def orthogonal(g, ns_coefficients, ns_steps, eps):
    a, b, c = ns_coefficients
    x = g.clone() if g.size(0) <= g.size(1) else g.T.clone()
    x = x / x.norm().clamp(min=eps)
    for _ in range(ns_steps):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x if g.size(0) <= g.size(1) else x.T


class Flat(torch.optim.Muon):
    """PyTorch's Muon for a convolution's kernel, as the matrix [out, in * kh * kw]."""

    def __init__(self, params, **options):
        (self.kernel,) = params
        self.matrix = torch.nn.Parameter(self.kernel.detach().reshape(self.kernel.shape[0], -1).clone())
        super().__init__([self.matrix], **options)

    def step(self):
        self.matrix.grad = self.kernel.grad.reshape(self.matrix.shape)
        super().step()
        self.kernel.data.copy_(self.matrix.detach().reshape(self.kernel.shape))


def more_muon():
    module = importlib.import_module("torch.optim._muon")
    module._zeropower_via_newtonschulz = orthogonal
    m = {"lr": 0.02, "weight_decay": 0.1}
    yield "muon", m, run(lambda p: torch.optim.Muon(p, **m), "matrix"), "matrix"
    k = {"lr": 0.05, "momentum": 0.8, "nesterov": False, "weight_decay": 0.0}
    yield "muon", k, run(lambda p: Flat(p, **k), "kernel"), "kernel"
    v = {"lr": 1.0, "vector_scale": 0.02, "weight_decay": 0.1}
    yield "muon", v, run(lambda p: torch.optim.AdamW(p, lr=0.02, betas=(0.9, 0.95), weight_decay=0.1))


def more_schedule_free():
    import schedulefree as sf

    def averaged(opt, p):
        opt.eval()
        x = p.detach().clone()
        opt.train()
        return x

    def both(make, kind):
        def trained(p):
            opt = make(p)
            opt.train()
            return opt

        return run(trained, kind), run(trained, kind, averaged)

    s = {"lr": 0.1, "weight_decay": 0.01}
    y, x = both(lambda p: sf.SGDScheduleFree(p, **s), "matrix")
    yield "schedule_free_sgd", s, y, "matrix", x
    t = {"lr": 0.2, "momentum": 0.8, "r": 1.0, "weight_lr_power": 1.0}
    y, x = both(lambda p: sf.SGDScheduleFree(p, **t), "vector")
    yield "schedule_free_sgd", t, y, "vector", x
    a = {"lr": 0.02, "weight_decay": 0.1}
    y, x = both(lambda p: sf.AdamWScheduleFree(p, **a), "matrix")
    yield "schedule_free_adamw", a, y, "matrix", x


def all_rows():
    for part in (rows, more_torch, more_timm, more_muon, more_schedule_free):
        yield from part()


def write(folder):
    version = importlib.metadata.version
    versions = f"-- timm {version('timm')}, schedulefree {version('schedulefree')}.\n"
    title = "optim.lua: twenty steps of each optimizer in f64; after = weights after steps 1, 2 and 20."
    with open(f"{folder}/optim.lua", "w") as f:
        f.write(header(title, versions) + "return {\nstart={\n")
        for kind in SHAPES:
            f.write(f"{kind}={lua(start(kind))},\n")
        f.write("},\ngradients={\n")
        for kind in SHAPES:
            f.write(f"{kind}={lua(gradients(kind))},\n")
        f.write("},\n")
        for name, options, after, *rest in all_rows():
            kind = rest[0] if rest else "vector"
            seen = f",average={lua(rest[1])}" if len(rest) > 1 else ""
            f.write(f"{{optimizer='{name}',of='{kind}',options={lua(options)},after={lua(after)}{seen}}},\n")
        f.write("}\n")
    print("optim.lua")
