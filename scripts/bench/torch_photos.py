"""torch_photos.py -- PyTorch's side of photos.lua: train inception_v3 on a folder of photos with its own loader.

    torch_photos.py FOLDER f32|bf16 BATCH STEPS WORKERS

Decoding, random resized crop (area 30 to 100%, antialiased), flip and normalisation on uint8 tensors in DataLoader
workers (its faster way; PIL is slower), whole step as in torch_step.py with plain SGD.  Prints one JSON line:
times of STEPS steps, waiting for data included, after two of warm-up.
"""

import json
import sys
import time

import torch
import torchvision
import torchvision.transforms.v2 as T
from torchvision.io import ImageReadMode, decode_jpeg, read_file

folder, precision, batch, steps, workers = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
torch.manual_seed(0)
data = torchvision.datasets.ImageFolder(
    folder,
    loader=lambda path: decode_jpeg(read_file(path), mode=ImageReadMode.RGB),
    transform=T.Compose(
        [
            T.RandomResizedCrop(299, scale=(0.3, 1), antialias=True),
            T.RandomHorizontalFlip(),
            T.ToDtype(torch.float32, scale=True),
            T.Normalize([0.5] * 3, [0.5] * 3),
        ]
    ),
)
loader = torch.utils.data.DataLoader(data, batch, shuffle=True, drop_last=True, num_workers=workers)
net = torchvision.models.inception_v3(
    weights=None, init_weights=False, aux_logits=True, num_classes=len(data.classes)
).to(memory_format=torch.channels_last)
opt = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4)
loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)


def batches():
    while True:
        yield from loader


times, start = [], time.perf_counter()
for i, (x, y) in enumerate(batches()):
    opt.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        main, aux = net(x.to(memory_format=torch.channels_last))
        value = loss(main.float(), y) + 0.4 * loss(aux.float(), y)
    value.backward()
    opt.step()
    now = time.perf_counter()
    times.append(1e3 * (now - start))
    start = now
    if len(times) == steps + 2:
        break
print(json.dumps({"program": "torch " + torch.__version__, "ms": [round(t, 1) for t in times[2:]]}))
