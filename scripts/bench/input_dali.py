"""input_dali.py -- DALI's input pipeline on one CPU thread: decode with a random crop, resize, mirror, normalise.

    input_dali.py light|colour LIST

LIST: a file with a path a line.  Prints processor time, warm page cache."""

import sys
import time

from nvidia.dali import fn, pipeline_def, types

colour, paths = sys.argv[1] == "colour", open(sys.argv[2]).read().split("\n")[:-1]
BATCH = 32


@pipeline_def(batch_size=BATCH, num_threads=1, device_id=None, seed=1)
def pipeline():
    jpegs, _ = fn.readers.file(files=paths, labels=[0] * len(paths), random_shuffle=True)
    x = fn.decoders.image_random_crop(
        jpegs, device="cpu", output_type=types.RGB, random_area=[0.05, 1], random_aspect_ratio=[0.75, 1.33]
    )
    x = fn.resize(x, size=[299, 299])
    if colour:
        draw = fn.random.uniform
        x = fn.color_twist(
            x,
            brightness=draw(range=[0.875, 1.125]),
            contrast=draw(range=[0.5, 1.5]),
            saturation=draw(range=[0.5, 1.5]),
            hue=draw(range=[-72.0, 72.0]),
        )
    mean = [127.5] * 3
    return fn.crop_mirror_normalize(x, dtype=types.FLOAT, mean=mean, std=mean, mirror=fn.random.coin_flip())


p = pipeline()
p.build()
warm_up = max(3, len(paths) // BATCH)
for _ in range(warm_up):
    p.run()
start, n = time.process_time(), 0
while n < len(paths):
    p.run()
    n += BATCH
print("%.4f ms each" % ((time.process_time() - start) / n * 1e3))
