"""torch_step.py -- PyTorch's side of the bench: torchvision's inception_v3, one process a measurement.

    torch_step.py train|infer f32|bf16 BATCH STEPS

Prints one JSON line: times of STEPS steps after two of warm-up, the first step's time, peak resident memory.
Eager, channels_last, RMSProp with momentum, auxiliary head and label smoothing, random pictures: what the
release trains with.  Inference has batch norm folded into the convolutions (torch.fx's own pass), as ours has.
"""

import json
import resource
import sys
import time

import torch
import torchvision
from torch.fx.experimental import optimization

what, precision, batch, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.manual_seed(0)
net = torchvision.models.inception_v3(weights=None, init_weights=False, aux_logits=what == "train")
net = net.to(memory_format=torch.channels_last)
x = torch.randn(batch, 3, 299, 299).to(memory_format=torch.channels_last)
y = torch.randint(0, 1000, (batch,))
autocast = lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")

if what == "train":
    net.train()
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3, alpha=0.9, eps=1.0, momentum=0.9, weight_decay=4e-5)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)

    def step():
        opt.zero_grad(set_to_none=True)
        with autocast():
            main, aux = net(x)
            value = loss(main.float(), y) + 0.4 * loss(aux.float(), y)
        value.backward()
        opt.step()

else:
    net.eval()
    net = optimization.fuse(net)

    def step():
        with torch.inference_mode(), autocast():
            net(x)


def timed():
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


first = timed()
timed()
times = [timed() for _ in range(steps)]
print(
    json.dumps(
        {
            "program": "torch " + torch.__version__,
            "what": what,
            "precision": precision,
            "batch": batch,
            "ms": [round(t * 1e3, 2) for t in times],
            "first_s": round(first, 3),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    )
)
