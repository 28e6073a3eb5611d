"""optim.py -- optimizer goldens: twenty steps with given gradients, f64, weights after steps 1, 2 and 20.

PyTorch has no RMSProp with epsilon inside the root and squares that start at one (TensorFlow's); that row is
the formula itself in numpy.  Options are named as optim.* takes them.
"""

import numpy as np
import torch

from formula import fnv1a, grid, header, lua

STEPS, SIZE = 20, 7


def gradients():
    return [grid((SIZE,), fnv1a(f"gradient {t}")) for t in range(STEPS)]


def run(make):
    p = torch.nn.Parameter(grid((SIZE,), fnv1a("start")))
    opt, after = make([p]), {}
    for t, g in enumerate(gradients(), 1):
        p.grad = g.clone()
        opt.step()
        after[t] = p.detach().clone()
    return [after[1], after[2], after[STEPS]]


def tf_rmsprop(lr, alpha, momentum, eps, weight_decay=0.0):
    p = grid((SIZE,), fnv1a("start")).numpy().copy()
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


def write(folder):
    with open(f"{folder}/optim.lua", "w") as f:
        f.write(
            header(
                "optim.lua: twenty steps of each optimizer in f64; after = weights after steps 1, 2 and 20."
            )
        )
        f.write(f"return {{\nstart={lua(grid((SIZE,), fnv1a('start')))},\ngradients={lua(gradients())},\n")
        for name, options, after in rows():
            f.write(f"{{optimizer='{name}',options={lua(options)},after={lua(after)}}},\n")
        f.write("}\n")
    print("optim.lua")
