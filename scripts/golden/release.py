"""release.py -- twenty training steps as TensorFlow 2 makes them with the pieces of the 2016 release.

Two convolutions with batch norm, an auxiliary head, and the release's own training: RMSProp (epsilon inside the
root, mean squares from 1), the rate in stairs, L2 on weights but not on biases and norms, label smoothing, moving
statistics from the batch's biased variance without a correction for their start, and averages of weights and
moving statistics that warm up with the step.  Everything is TensorFlow's own code, run eagerly on the CPU:
compat.v1's RMSPropOptimizer, exponential_decay and softmax_cross_entropy, assign_moving_average,
ExponentialMovingAverage.

Goldens are f64; how far TensorFlow's own f32 is from them is in the head of the file.  Dropout is left out: its
random numbers are TensorFlow's.  Pictures, labels and start values come from hashes (hashed.py), so they need not
be stored.  Written for TensorFlow alone, without PyTorch:

    python3 scripts/golden.py release
"""

import os
import platform

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.python.training import moving_averages

from hashed import fnv1a, u

STEPS, BATCH, SIDE, CLASSES, WIDTH = 20, 8, 15, 5, 6
EPS = 0.001
CASES = [
    # the release's numbers; and faster statistics, averages and rates, so that twenty steps tell forms apart
    {"name": "release", "bn_decay": 0.9997, "ema": 0.9999, "lr": 0.1, "factor": 0.16, "every": 6},
    {"name": "fast", "bn_decay": 0.9, "ema": 0.5, "lr": 0.02, "factor": 0.94, "every": 3},
]
SHAPES = {  # in PyTorch's order of dims
    "conv1.weight": (WIDTH, 3, 3, 3),
    "conv2.weight": (WIDTH, WIDTH, 3, 3),
    "fc.weight": (CLASSES, WIDTH),
    "fc.bias": (CLASSES,),
    "aux.weight": (CLASSES, WIDTH),
    "aux.bias": (CLASSES,),
}


def start(name, shape):
    """multiples of 2^-10, around zero and about as large as an initialiser would have them"""
    values = np.floor((u(int(np.prod(shape)), fnv1a(name)) - 0.5) * 512) / 1024
    return values.reshape(shape)


def pictures(step):
    """u8 [N, 3, H, W], and labels from 0"""
    n = BATCH * 3 * SIDE * SIDE
    x = np.floor(u(n, fnv1a(f"pictures {step}")) * 256).reshape(BATCH, 3, SIDE, SIDE)
    y = np.floor(u(BATCH, fnv1a(f"labels {step}")) * CLASSES).astype(np.int64)
    return x, y


def to_tf(name, a):
    if a.ndim == 4:
        return a.transpose(2, 3, 1, 0)  # [kh, kw, in, out]
    return a.T if name.endswith("weight") else a


def from_tf(name, a):
    if a.ndim == 4:
        return a.transpose(3, 2, 0, 1)
    return a.T if a.ndim == 2 else a


class Net:
    def __init__(self, case, dtype):
        self.case, self.dtype = case, dtype
        self.v = {n: tf.Variable(to_tf(n, start(n, s)).astype(dtype), name=n) for n, s in SHAPES.items()}
        for bn in ("bn1", "bn2"):
            for part, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
                trains = part in ("weight", "bias")
                name = f"{bn}.{part}"
                self.v[name] = tf.Variable(np.full(WIDTH, value, dtype), name=name, trainable=trains)

    def batch_norm(self, x, bn):
        mean, var = tf.nn.moments(x, [0, 1, 2])
        self.moments[bn] = (mean, var)
        return tf.nn.batch_normalization(x, mean, var, self.v[f"{bn}.bias"], self.v[f"{bn}.weight"], EPS)

    def block(self, x, i, stride):
        x = tf.nn.conv2d(x, self.v[f"conv{i}.weight"], stride, "VALID")
        return tf.nn.relu(self.batch_norm(x, f"bn{i}"))

    def head(self, x, name):
        return tf.reduce_mean(x, [1, 2]) @ self.v[f"{name}.weight"] + self.v[f"{name}.bias"]

    def loss(self, x, y):
        self.moments = {}
        x = tf.constant((x.transpose(0, 2, 3, 1) / 255 - 0.5) * 2, self.dtype)
        one_hot = tf.one_hot(y, CLASSES, dtype=self.dtype)
        x = self.block(x, 1, 2)
        aux = self.head(x, "aux")
        logits = self.head(self.block(x, 2, 1), "fc")
        ce = tf.compat.v1.losses.softmax_cross_entropy
        loss = ce(one_hot, logits, label_smoothing=0.1) + 0.4 * ce(one_hot, aux, label_smoothing=0.1)
        decayed = [v for n, v in self.v.items() if n.endswith("weight") and not n.startswith("bn")]
        return loss, loss + 4e-5 * tf.add_n([tf.nn.l2_loss(v) for v in decayed])

    def trained(self):
        return [v for v in self.v.values() if v.trainable]

    def move_statistics(self):
        for bn, (mean, var) in self.moments.items():
            for part, value in (("running_mean", mean), ("running_var", var)):
                moving_averages.assign_moving_average(
                    self.v[f"{bn}.{part}"], value, self.case["bn_decay"], zero_debias=False
                )


def run(case, dtype):
    net, out = Net(case, dtype), {"losses": [], "rates": []}
    step = tf.Variable(0, dtype=tf.int64)
    rate = lambda: tf.compat.v1.train.exponential_decay(
        tf.constant(case["lr"], dtype), step, case["every"], case["factor"], staircase=True
    )()
    opt = tf.compat.v1.train.RMSPropOptimizer(rate, decay=0.9, momentum=0.9, epsilon=1.0)
    for t in range(1, STEPS + 1):
        out["rates"].append(float(rate()))
        with tf.GradientTape() as tape:
            loss, total = net.loss(*pictures(t))
        grads = tape.gradient(total, net.trained())
        if t == 1:
            ema = tf.train.ExponentialMovingAverage(case["ema"], num_updates=step)
            ema.apply(net.v.values())  # makes the averages, equal to what they average
        opt.apply_gradients(zip(grads, net.trained()), global_step=step)
        net.move_statistics()
        ema.apply(net.v.values())
        out["losses"].append(float(loss))
        if t == 1:
            out["first"] = {n: from_tf(n, v.numpy()) for n, v in net.v.items()}
    out["last"] = {n: from_tf(n, v.numpy()) for n, v in net.v.items()}
    out["average"] = {n: from_tf(n, ema.average(v).numpy()) for n, v in net.v.items()}
    for slot, name in (("rms", "square"), ("momentum", "momentum")):
        out[name] = {n: from_tf(n, opt.get_slot(v, slot).numpy()) for n, v in net.v.items() if v.trainable}
    return out


def far(a, b):
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b))


def farthest(single, double):
    parts = ("first", "last", "average", "square", "momentum")
    return max(far(single[p][n], double[p][n]) for p in parts for n in double[p])


def lua_list(values):
    return "{" + ",".join(f"{float(v):.9g}" for v in np.asarray(values).reshape(-1)) + "}"


def lua_tensors(tensors):
    return "{\n" + "".join(f"['{n}']={lua_list(t)},\n" for n, t in tensors.items()) + "}"


def write(folder):
    blocks, worst = [], 0.0
    for case in CASES:
        double = run(case, np.float64)
        worst = max(worst, farthest(run(case, np.float32), double))
        words = ",".join(f"{k}='{v}'" if isinstance(v, str) else f"{k}={v}" for k, v in case.items())
        body = "".join(f"{k}={lua_list(double[k])},\n" for k in ("losses", "rates"))
        body += "".join(f"{k}={lua_tensors(double[k])},\n" for k in double if k not in ("losses", "rates"))
        blocks.append("{%s,\n%s}" % (words, body))
    with open(f"{folder}/release.lua", "w") as f:
        f.write("-- release.lua: twenty steps with the pieces of the 2016 release, in f64.\n")
        f.write(f"-- Made by scripts/golden.py release with tensorflow {tf.__version__}, numpy {np.__version__}, ")
        f.write(f"Python {platform.python_version()}.\n-- TensorFlow's own f32 is at most {worst:.1e} away ")
        f.write("(relative, in L2, of any tensor).\nreturn {\n" + ",\n".join(blocks) + ",\n}\n")
    print("release.lua")
