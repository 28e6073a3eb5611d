"""net.py -- Inception-v3 whole: one training step in f64, and how far PyTorch's own f32 modes are from it.

Weights, statistics, pictures and labels come from formula.py, so nothing large is stored: logits and loss as
they are, every gradient and every running statistic as its L2 norm and eight projections.  `limit` is how far
away ours may be: twice the worst relative L2 distance of PyTorch's f32 modes (eager nchw, channels_last, without
oneDNN, and channels_last again with pictures moved by one unit in the last place) from its f64, measured on whole
tensors, plus 1e-6.  Two files, one for each rule of the in-block average pools: torchvision counts the padding,
the TensorFlow release leaves it out.

The net is made to be well conditioned, or f32 would be percents away from f64 and hide real mistakes: a ReLU
input within rounding of zero flips a whole gradient path, so offsets put them six deviations to one side (three
channels in four on, one off); noise pictures would all have the same means, so ours have patches of three sizes;
and the auxiliary head's last batch norm sees one value a picture, of which two would leave only the sign, so
there are four.  What is left are maxima within rounding of each other: a few windows in a million send their
gradient to the neighbour, in every f32 mode others, which moves what lies before a max pool by some tenths of a
percent; the runs with moved pictures are there to know by how much.  Dropout is off.
"""

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

from formula import PERIOD, TABLE, fnv1a, header, lua, normal, number, projections

CLASSES, BATCH, SIDE = 37, 4, 299
MOVES = 4  # runs with moved pictures
F32_MODES = ("nchw", "channels_last", "no_mkldnn", *(f"moved {i + 1}" for i in range(MOVES)))
PATCHES = ((1, 0.25), (7, 0.5), (50, 0.5))  # side, weight
_avg_pool2d = F.avg_pool2d


def scale(fan_in):
    return round((2 / fan_in) ** 0.5 / 1.155 * 16384) / 16384


def value(name, shape):
    """the tensor of this name, exact in f32"""
    t = normal(name, shape)
    if name.endswith("bn.weight"):
        return 0.5 + t / 16
    if name.endswith("bn.bias"):
        return torch.where(normal(name + "/side", shape) > -0.75, 3.0, -3.0) + t / 8
    if name.endswith("running_var"):
        return 1 + t.abs() / 4
    if name.endswith("running_mean") or name.endswith("fc.bias"):
        return t / 8
    fan_in = 1
    for d in shape[1:]:
        fan_in *= d
    return t * scale(fan_in)


def build(include_pad):
    F.avg_pool2d = lambda x, kernel_size, stride=None, padding=0: _avg_pool2d(
        x, kernel_size, stride, padding, count_include_pad=include_pad
    )
    m = torchvision.models.inception_v3(
        weights=None, init_weights=False, aux_logits=True, num_classes=CLASSES, dropout=0.0
    )
    with torch.no_grad():
        for name, t in m.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                t.copy_(value(name, tuple(t.shape)))
    return m


def batch():
    i = np.arange(SIDE)
    x = np.zeros((BATCH, 3, SIDE, SIDE))
    for n in range(BATCH):
        for c in range(3):
            for side, weight in PATCHES:
                cell = (i[:, None] // side) * SIDE + i[None, :] // side
                x[n, c] += TABLE[(fnv1a(f"picture {n} {c} {side}") + cell) % PERIOD] * weight
    y = torch.tensor([(7 * n + 3) % CLASSES for n in range(BATCH)])
    return torch.from_numpy(x), y


def moved(x, seed):
    """each number one unit in the last place up or down"""
    up = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    far = torch.tensor(torch.inf)
    return torch.where(up, torch.nextafter(x, far), torch.nextafter(x, -far))


def step(include_pad, mode):
    """{name: tensor} of one training step and of the evaluation before it"""
    m, (x, y) = build(include_pad), batch()
    m, x = (m.double(), x) if mode == "f64" else (m, x.float())
    if mode.startswith("moved"):
        x = moved(x, int(mode.split()[1]))
    if mode == "channels_last" or mode.startswith("moved"):
        m, x = m.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    with torch.backends.mkldnn.flags(enabled=mode != "no_mkldnn"):
        out = {}
        m.eval()
        with torch.no_grad():
            out["eval logits"] = m(x).double()
        m.train()
        logits, aux = m(x)
        ce = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
        loss = ce(logits, y) + 0.4 * ce(aux, y)
        loss.backward()
    out.update(
        {
            "logits": logits.detach().double(),
            "aux logits": aux.detach().double(),
            "loss": loss.detach().double().reshape(1),
        }
    )
    for name, p in m.named_parameters():
        out["grad " + name] = p.grad.double()
    for name, b in m.named_buffers():
        if "running" in name:
            out[name] = b.double()
    return out


def limit(worst):
    """how far from f64 a tensor may be"""
    return 2 * worst + 1e-6


def far(a, b):
    return float((a - b).norm() / b.norm())


def golden(include_pad):
    exact = step(include_pad, "f64")
    worst = dict.fromkeys(exact, 0.0)
    for mode in F32_MODES:
        ours = step(include_pad, mode)
        for name in exact:
            worst[name] = max(worst[name], far(ours[name], exact[name]))
        print(mode, "worst of all tensors", max(far(ours[n], exact[n]) for n in exact), flush=True)
    return exact, worst


def row(name, t, worst):
    body = {
        "limit": float(f"{limit(worst):.3g}"),
        "norm": float(t.norm()),
        "proj": [float(f"{p:.9g}") for p in projections(name, t)],
    }
    if "logits" in name or name == "loss":
        body["values"] = t
    text = ",".join(f"{k}={lua(v)}" if k in ("proj", "values") else f"{k}={v:.10g}" for k, v in body.items())
    return f"['{name}']={{{text}}},\n"


def write(folder):
    for include_pad in (True, False):
        exact, worst = golden(include_pad)
        path = f"net_{'include' if include_pad else 'exclude'}_pad.lua"
        with open(f"{folder}/{path}", "w") as f:
            f.write(
                header(
                    f"{path}: one training step of Inception-v3 in f64 as norms and projections; see scripts/golden/net.py."
                )
            )
            f.write(
                f"return {{\nclasses={CLASSES},batch={BATCH},count_include_pad={number(include_pad)},tensors={{\n"
            )
            f.write("".join(row(n, t, worst[n]) for n, t in exact.items()) + "}}\n")
        print(path, len(exact), "tensors", flush=True)
