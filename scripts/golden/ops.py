"""ops.py -- op goldens: small inputs, outputs and every gradient, in f64.

A case is {op, name, inputs, options, outputs, dy, grads}.  Options are written as incsh takes them: dims, indices
and labels count from 1.  The loss behind the gradients is sum(outputs[1] * dy).
"""

import torch
import torch.nn.functional as F

from formula import distinct, fnv1a, grid, header, lua

FAMILIES = {}


def case(family, op, inputs, options, fn, grad=True, name=None):
    rows = FAMILIES.setdefault(family, [])
    ins = [x.clone().requires_grad_(grad and x.dtype == torch.float64) for x in inputs]
    outs = fn(*ins)
    outs = list(outs) if isinstance(outs, (tuple, list)) else [outs]
    row = {
        "op": op,
        "name": name or f"{op} {sum(r['op'] == op for r in rows) + 1}",
        "inputs": list(inputs),
        "options": options,
        "outputs": outs,
    }
    if grad and outs[0].dtype == torch.float64 and outs[0].requires_grad:
        dy = grid(outs[0].shape, fnv1a(op) + len(rows), -1, 1)
        (outs[0] * dy).sum().backward()
        row["dy"] = dy
        row["grads"] = [x.grad if x.grad is not None else False for x in ins]
    rows.append(row)


def key(*a):
    return fnv1a("/".join(map(str, a)))


def ewise():
    x = grid((3, 5), key("ewise"))
    pos = grid((3, 5), key("positive"), 0.25, 3)
    for n in "neg abs exp square sin cos tanh sigmoid relu silu softplus".split():
        f = getattr(F, n) if n in ("silu", "softplus") else getattr(torch, n)
        case("ewise", n, [x], {}, f)
    case("ewise", "gelu", [x], {}, F.gelu)
    for n in "log sqrt rsqrt reciprocal".split():
        case("ewise", n, [pos], {}, getattr(torch, n))
    for n in "sign floor ceil round".split():
        case(
            "ewise",
            n,
            [torch.cat([x, torch.tensor([[0.5, 1.5, 2.5, -0.5, 0]], dtype=torch.float64)])],
            {},
            getattr(torch, n),
            grad=False,
        )
    case("ewise", "leaky_relu", [x], {}, F.leaky_relu)
    case("ewise", "leaky_relu", [x], {"negative_slope": 0.25}, lambda t: F.leaky_relu(t, 0.25))
    case("ewise", "clamp", [x], {"min": -0.5, "max": 0.75}, lambda t: t.clamp(-0.5, 0.75))
    case("ewise", "clamp", [x], {"min": 0.25}, lambda t: t.clamp(min=0.25))
    bad = torch.tensor([1.0, float("inf"), float("-inf"), float("nan"), 0.0], dtype=torch.float64)
    case("ewise", "isfinite", [bad], {}, torch.isfinite, grad=False)


def binary():
    a = grid((2, 3, 4), key("a"))
    for other in ((2, 3, 4), (3, 1), (4,), (1, 3, 1), ()):
        b = grid(other, key("b", other), 0.5, 2)
        for n in "add sub mul div maximum minimum".split():
            case("binary", n, [a, b], {}, getattr(torch, n), name=f"{n} {list(a.shape)} {list(other)}")
    case("binary", "add", [grid((3, 1), 7), grid((1, 4), 8)], {}, torch.add, name="add both broadcast")
    case("binary", "pow", [grid((2, 5), key("p"), 0.25, 2), grid((5,), key("q"), -2, 2)], {}, torch.pow)
    c = torch.tensor([1.0, 2.0, 3.0, 2.0], dtype=torch.float64)
    d = torch.tensor([2.0, 2.0, 1.0, 2.5], dtype=torch.float64)
    for n in "eq ne lt le gt ge".split():
        case("binary", n, [c, d], {}, getattr(torch, n), grad=False)
    cond = (grid((2, 4), key("cond")) > 0).to(torch.uint8)
    case(
        "binary",
        "where",
        [cond, grid((2, 4), 1), grid((4,), 2)],
        {},
        lambda m, p, q: torch.where(m.bool(), p, q),
    )


def reductions():
    x = distinct((2, 3, 4), key("reduce"))
    for o, kw in (
        ({}, {}),
        ({"dim": 2}, {"dim": 1}),
        ({"dim": -1}, {"dim": -1}),
        ({"dim": [1, 3]}, {"dim": (0, 2)}),
        ({"dim": 3, "keepdim": True}, {"dim": 2, "keepdim": True}),
    ):
        case("reduce", "sum", [x], o, lambda t: t.sum(**kw))
        case("reduce", "mean", [x], o, lambda t: t.mean(**kw))
        case("reduce", "max", [x], o, lambda t: torch.amax(t, **kw) if kw else t.max())
        case("reduce", "min", [x], o, lambda t: torch.amin(t, **kw) if kw else t.min())
        case("reduce", "var", [x], o, lambda t: t.var(**kw))
        case(
            "reduce",
            "std",
            [x],
            {**o, "unbiased": False},
            lambda t: t.std(unbiased=False, **{"dim": None, **kw}),
        )
    y = grid((2, 3, 4), key("prod"), 0.5, 1.5)
    case("reduce", "prod", [y], {}, torch.prod)
    case("reduce", "prod", [y], {"dim": 2}, lambda t: t.prod(1))
    case("reduce", "argmax", [x], {}, lambda t: t.argmax() + 1, grad=False)
    case("reduce", "argmax", [x], {"dim": 2}, lambda t: t.argmax(1) + 1, grad=False)
    case(
        "reduce",
        "argmin",
        [x],
        {"dim": -1, "keepdim": True},
        lambda t: t.argmin(-1, keepdim=True) + 1,
        grad=False,
    )
    case("reduce", "norm", [x], {}, torch.linalg.vector_norm)
    case("reduce", "topk", [x], {"k": 2}, lambda t: (t.topk(2)[0], t.topk(2)[1] + 1))
    case("reduce", "topk", [x], {"k": 3, "dim": 2}, lambda t: (t.topk(3, dim=1)[0], t.topk(3, dim=1)[1] + 1))
    z = grid((3, 7), key("softmax"), -4, 4)
    for n in ("softmax", "log_softmax"):
        case("reduce", n, [z], {}, lambda t: getattr(F, n)(t, dim=-1))
        case("reduce", n, [z], {"dim": 1}, lambda t: getattr(F, n)(t, dim=0))
    case(
        "reduce",
        "log_softmax",
        [z * 200],
        {},
        lambda t: F.log_softmax(t, dim=-1),
        name="log_softmax of large numbers",
    )
    t = torch.tensor([3, 1, 7], dtype=torch.int64)
    for o, kw in (
        ({}, {}),
        ({"label_smoothing": 0.1}, {"label_smoothing": 0.1}),
        ({"reduction": "sum"}, {"reduction": "sum"}),
        ({"reduction": "none", "label_smoothing": 0.25}, {"reduction": "none", "label_smoothing": 0.25}),
    ):
        case("reduce", "cross_entropy", [z, t], o, lambda a, b: F.cross_entropy(a, b - 1, **kw))


def views():
    x = grid((2, 3, 4), key("views"))
    case("views", "view", [x], {"shape": [6, 4]}, lambda t: t.view(6, 4))
    case("views", "view", [x], {"shape": [2, -1]}, lambda t: t.view(2, -1))
    case("views", "permute", [x], {"dims": [3, 1, 2]}, lambda t: t.permute(2, 0, 1))
    case("views", "transpose", [x], {"dim0": 1, "dim1": -1}, lambda t: t.transpose(0, -1))
    case("views", "narrow", [x], {"dim": 3, "start": 2, "length": 2}, lambda t: t.narrow(2, 1, 2))
    case("views", "select", [x], {"dim": 2, "index": 3}, lambda t: t.select(1, 2))
    case("views", "select", [x], {"dim": 2, "index": -1}, lambda t: t.select(1, -1))
    case("views", "expand", [grid((3, 1), 5)], {"shape": [2, 3, 4]}, lambda t: t.expand(2, 3, 4))
    case("views", "squeeze", [grid((1, 3, 1), 6)], {}, lambda t: t.squeeze())
    case("views", "squeeze", [grid((1, 3, 1), 6)], {"dim": 1}, lambda t: t.squeeze(0))
    case("views", "unsqueeze", [x], {"dim": 2}, lambda t: t.unsqueeze(1))
    case("views", "unsqueeze", [x], {"dim": -1}, lambda t: t.unsqueeze(-1))
    case("views", "flatten", [x], {}, lambda t: t.flatten(), name="flatten all")
    case("views", "flatten", [x], {"start_dim": 2}, lambda t: t.flatten(1))
    case("views", "cat", [x, grid((2, 1, 4), 9), grid((2, 2, 4), 10)], {"dim": 2}, lambda *t: torch.cat(t, 1))
    i = torch.tensor([3, 1, 3], dtype=torch.int64)
    case("views", "index_select", [x, i], {"dim": 2}, lambda t, k: t.index_select(1, k - 1))
    g = torch.tensor([[[1, 3, 2, 2]], [[3, 3, 1, 2]]], dtype=torch.int64)
    case("views", "gather", [x, g], {"dim": 2}, lambda t, k: t.gather(1, k - 1))


def products():
    for a, b in (
        ((3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 3, 4), (4, 5)),
        ((1, 7), (7, 1)),
        ((4,), (4, 3)),
        ((3, 4), (4,)),
        ((5,), (5,)),
    ):
        case(
            "products",
            "matmul",
            [grid(a, key(a)), grid(b, key(b))],
            {},
            torch.matmul,
            name=f"matmul {list(a)} {list(b)}",
        )
    case("products", "linear", [grid((4, 6), 1), grid((5, 6), 2), grid((5,), 3)], {}, F.linear)
    case("products", "linear", [grid((4, 6), 1), grid((5, 6), 2)], {}, F.linear, name="linear without bias")


def conv(x, w, o, bias=True, name=None):
    kw = {k: tuple(v) if isinstance(v, list) else v for k, v in o.items()}
    ins = [grid(x, key("cx", x), -1, 1), grid(w, key("cw", w), -1, 1)] + (
        [grid(w[:1], key("cb", w))] if bias else []
    )
    case("conv", "conv2d", ins, o, lambda *t: F.conv2d(*t, **kw), name=name)


def convolutions():
    conv((2, 3, 6, 5), (4, 3, 3, 3), {}, name="conv2d 3x3")
    conv((2, 3, 6, 5), (4, 3, 3, 3), {"padding": 1}, bias=False, name="conv2d same")
    conv((1, 2, 7, 7), (3, 2, 3, 3), {"stride": 2}, name="conv2d stride 2")
    conv((1, 2, 8, 7), (3, 2, 3, 3), {"stride": 2, "padding": 1}, name="conv2d stride 2, rest left over")
    conv((1, 2, 5, 9), (2, 2, 1, 7), {"padding": [0, 3]}, bias=False, name="conv2d 1x7")
    conv((1, 2, 9, 5), (2, 2, 7, 1), {"padding": [3, 0]}, bias=False, name="conv2d 7x1")
    conv((2, 4, 3, 3), (6, 4, 1, 1), {}, name="conv2d 1x1")
    conv((1, 2, 9, 9), (2, 2, 3, 3), {"dilation": 2, "padding": 1}, name="conv2d dilation 2")
    conv((1, 4, 5, 5), (6, 2, 3, 3), {"groups": 2, "padding": 1}, name="conv2d groups 2")
    conv((1, 4, 5, 5), (4, 1, 3, 3), {"groups": 4, "padding": 1}, name="conv2d depthwise")
    conv(
        (1, 2, 6, 9),
        (3, 2, 2, 3),
        {"stride": [1, 3], "padding": [1, 2], "dilation": [2, 1]},
        name="conv2d uneven",
    )


def pools():
    x = distinct((2, 2, 6, 7), key("pool"))
    for o in (
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": [3, 2], "stride": [2, 3]},
        {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    ):
        kw = {k: tuple(v) if isinstance(v, list) else v for k, v in o.items()}
        case("pool", "max_pool2d", [x], o, lambda t: F.max_pool2d(t, **kw))
        case("pool", "avg_pool2d", [x], o, lambda t: F.avg_pool2d(t, **kw))
        if "padding" in o:
            case(
                "pool",
                "avg_pool2d",
                [x],
                {**o, "count_include_pad": False},
                lambda t: F.avg_pool2d(t, count_include_pad=False, **kw),
            )
    case(
        "pool",
        "avg_pool2d",
        [x],
        {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False},
        lambda t: F.avg_pool2d(t, 3, 1, 1, count_include_pad=False),
    )
    for size in (1, [3, 2], [6, 7], [4, 5]):
        s = tuple(size) if isinstance(size, list) else size
        case("pool", "adaptive_avg_pool2d", [x], {"output_size": size}, lambda t: F.adaptive_avg_pool2d(t, s))
        case("pool", "adaptive_max_pool2d", [x], {"output_size": size}, lambda t: F.adaptive_max_pool2d(t, s))


def batch_norm():
    x, w, b = grid((3, 4, 2, 3), key("bn")), grid((4,), 11, 0.5, 2), grid((4,), 12)
    mean, var = grid((4,), 13), grid((4,), 14, 0.5, 2)
    stats = lambda t: (t.mean((0, 2, 3)), t.var((0, 2, 3), unbiased=False))
    case(
        "norm",
        "batch_norm_train",
        [x, w, b],
        {"eps": 0.001},
        lambda t, g, c: (F.batch_norm(t, None, None, g, c, True, 0.1, 0.001), *stats(t)),
    )
    case(
        "norm",
        "batch_norm_train",
        [x, w, b],
        {"eps": 0.001, "relu": True},
        lambda t, g, c: (F.batch_norm(t, None, None, g, c, True, 0.1, 0.001).relu(), *stats(t)),
        name="batch_norm_train with relu",
    )
    case(
        "norm",
        "batch_norm_train",
        [x],
        {},
        lambda t: (F.batch_norm(t, None, None, None, None, True), *stats(t)),
        name="batch_norm_train plain",
    )
    for relu in (False, True):
        f = lambda t, g, c, m, v: F.batch_norm(t, m.detach(), v.detach(), g, c, False, 0.1, 0.001)
        case(
            "norm",
            "batch_norm_eval",
            [x, w, b, mean, var],
            {"eps": 0.001, **({"relu": True} if relu else {})},
            (lambda *a: f(*a).relu()) if relu else f,
        )
    # what a training call does to the running statistics: momentum 0.1, unbiased variance
    m2, v2 = mean.clone(), var.clone()
    F.batch_norm(x, m2, v2, w, b, True, 0.1, 0.001)
    FAMILIES["norm"].append(
        {
            "op": "running",
            "name": "running statistics",
            "inputs": [x, w, b, mean, var],
            "options": {"eps": 0.001, "momentum": 0.1},
            "outputs": [m2, v2],
        }
    )


def write(folder):
    for make in (ewise, binary, reductions, views, products, convolutions, pools, batch_norm):
        make()
    for family, rows in FAMILIES.items():
        with open(f"{folder}/ops_{family}.lua", "w") as f:
            f.write(
                header(
                    f"ops_{family}.lua: what PyTorch computes in f64; see scripts/golden/ops.py for the meaning of a row."
                )
            )
            f.write("return {\n" + "".join(f"{lua(r)},\n" for r in rows) + "}\n")
        print(f"ops_{family}.lua: {len(rows)} cases")
