"""input_torchvision.py -- torchvision's input pipeline on one thread: random resized crop, mirror, normalise.

    input_torchvision.py pil|tensor light|colour LIST

LIST: a file with a path a line.  pil decodes with Pillow, tensor with torchvision's own decoder on uint8 tensors
(antialiased).  Prints processor time, warm page cache."""

import sys
import time

import torch
import torchvision.transforms.v2 as T
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg, read_file

torch.set_num_threads(1)
kind, colour, paths = sys.argv[1], sys.argv[2] == "colour", open(sys.argv[3]).read().split("\n")[:-1]
pil = kind == "pil"
steps = [T.RandomResizedCrop(299, scale=(0.05, 1), ratio=(0.75, 1.33), antialias=True), T.RandomHorizontalFlip()]
if colour:
    steps.append(T.ColorJitter(0.125, 0.5, 0.5, 0.2))
steps += ([T.ToImage()] if pil else []) + [T.ToDtype(torch.float32, scale=True), T.Normalize([0.5] * 3, [0.5] * 3)]
transform = T.Compose(steps)


def load(path):
    if pil:
        return transform(Image.open(path).convert("RGB"))
    return transform(decode_jpeg(read_file(path), mode=ImageReadMode.RGB))


for path in paths:
    read_file(path)
for path in paths[:20]:
    load(path)
start = time.process_time()
for path in paths:
    load(path)
print("%.4f ms each" % ((time.process_time() - start) / len(paths) * 1e3))
