"""schedules.py -- rates of forty steps as PyTorch's schedulers give them, and as TensorFlow's formulas do.

TensorFlow's exponential_decay (staircase) and the warmed-up decay of its weight averages are written out as the
documentation has them: lr0 * f ^ floor(step / decay_steps), min(decay, (1 + n) / (10 + n)).
"""

import math

import numpy as np
import torch

from formula import fnv1a, grid, header, lua

STEPS, LR = 40, 0.5


def rates(make, key="lr", values=None, momentum=0.9):
    p = torch.nn.Parameter(torch.zeros(1))
    opt = torch.optim.SGD([p], lr=LR, momentum=momentum)
    schedule, out = make(opt), []
    for t in range(STEPS if values is None else len(values)):
        out.append(float(opt.param_groups[0][key]))
        opt.step()
        schedule.step() if values is None else schedule.step(values[t])
    return out


def rows():
    s = torch.optim.lr_scheduler
    yield "optim.step{0.1, every = 12}", rates(lambda o: s.StepLR(o, 12, 0.1))
    yield "optim.multistep{{10, 25, 30}, gamma = 0.5}", rates(lambda o: s.MultiStepLR(o, [10, 25, 30], 0.5))
    yield "optim.exponential{0.9, every = 1}", rates(lambda o: s.ExponentialLR(o, 0.9))
    yield "optim.polynomial{2}", rates(lambda o: s.PolynomialLR(o, STEPS, 2.0))
    yield "optim.polynomial{0.5, length = 20}", rates(lambda o: s.PolynomialLR(o, 20, 0.5))
    yield "optim.cosine{}", rates(lambda o: s.CosineAnnealingLR(o, STEPS))
    yield "optim.cosine{0.1}", rates(lambda o: s.CosineAnnealingLR(o, STEPS, 0.1 * LR))
    yield "optim.cosine{period = 8}", rates(lambda o: s.CosineAnnealingWarmRestarts(o, 8))
    yield "optim.cosine{0.02, period = 5, mult = 2}", rates(
        lambda o: s.CosineAnnealingWarmRestarts(o, 5, 2, 0.02 * LR)
    )
    yield "optim.constant{warmup = 10, warmup_from = 0.1}", rates(
        lambda o: s.SequentialLR(o, [s.LinearLR(o, 0.19, 1.0, 9), s.ConstantLR(o, 1.0, 0)], [9])
    )
    yield "optim.one_cycle{}", rates(lambda o: s.OneCycleLR(o, LR, STEPS))
    yield "optim.one_cycle{0.25, start = 0.1, final = 0.001, anneal = 'linear'}", rates(
        lambda o: s.OneCycleLR(
            o, LR, STEPS, pct_start=0.25, div_factor=10, final_div_factor=100, anneal_strategy="linear"
        )
    )


def momentum():
    s = torch.optim.lr_scheduler
    return rates(lambda o: s.OneCycleLR(o, LR, STEPS, base_momentum=0.85, max_momentum=0.95), "momentum")


def plateau():
    s = torch.optim.lr_scheduler
    values = [float(v) for v in grid((STEPS,), fnv1a("plateau"), 0.25, 1)]
    top = rates(lambda o: s.ReduceLROnPlateau(o, "max", 0.5, 2, cooldown=1, min_lr=0.01 * LR), values=values)
    low = rates(lambda o: s.ReduceLROnPlateau(o, "min", 0.1, 3, threshold=0.01, eps=0), values=values)
    return {"values": values, "max": top, "min": low}


def tf_exponential(lr, factor, epochs, pictures, batch, steps):
    decay_steps = int(pictures / batch * epochs)
    return [lr * factor ** math.floor(step / decay_steps) for step in steps]


def tf_average(decay):
    w, averages = np.float64(grid((21,), fnv1a("average"))), []
    shadow = w[0]
    for n in range(1, 21):
        d = min(decay, (1 + n) / (10 + n))
        shadow -= (1 - d) * (shadow - w[n])
        averages.append(float(shadow))
    return {"decay": decay, "weights": [float(v) for v in w], "averages": averages}


def write(folder):
    steps = [0, 80073, 80074, 80075, 160147, 160149, 1000000]
    tf = {
        "steps": steps,
        "paper": tf_exponential(0.045, 0.94, 2, 1281167, 32, steps),
        "release": tf_exponential(0.1, 0.16, 30, 1281167, 256, steps),
    }
    with open(f"{folder}/schedules.lua", "w") as f:
        f.write(header("schedules.lua: rates of forty steps from 0.5, as PyTorch and TensorFlow have them."))
        f.write(f"return {{\nsteps={STEPS},lr={LR},\nrates={{\n")
        for call, values in rows():
            f.write(f"{{{lua(call)},{lua(values)}}},\n".replace("'linear'", "\\'linear\\'"))
        f.write(f"}},\nmomentum={lua(momentum())},\nplateau={lua(plateau())},\n")
        f.write(f"tensorflow={lua(tf)},\naverage={lua([tf_average(0.9999), tf_average(0.5)])},\n}}\n")
    print("schedules.lua")
