#!/usr/bin/env python3
"""full.py -- the whole comparison beside PyTorch: every element of every tensor of one Inception-v3 step.

    python3 scripts/golden/full.py [plan]          needs torch, torchvision, safetensors and build/incsh

The checked-in golden keeps norms and projections; here whole tensors are compared: logits, loss, every gradient,
every running statistic, under both rules of the average pools.  Ours may be twice as far from PyTorch's f64 as
the worst of PyTorch's f32 modes, plus 1e-6.  Prints the ten farthest of each rule; status 1 if any is too far.
"""

import subprocess
import sys
import tempfile

from safetensors.torch import load_file

import net


def compare(include_pad, extra):
    exact, worst = net.golden(include_pad)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/ours.safetensors"
        command = ["build/incsh", "scripts/golden/net_step.lua", path, str(include_pad).lower(), *extra]
        subprocess.run(command, check=True)
        ours = load_file(path)
    rows = []
    for name, t in exact.items():
        mine = ours[name].double().reshape(t.shape)
        limit = net.limit(worst[name])
        d = net.far(mine, t)
        rows.append((d / limit, d, limit, name))
    rows.sort(reverse=True)
    print(f"padding {'counts' if include_pad else 'is left out'}: {len(rows)} tensors")
    for share, d, limit, name in rows[:10]:
        print(f"  {d:.2e} of {limit:.2e} allowed  {name}")
    return sum(share > 1 for share, *_ in rows), len(rows)


def main():
    failed = total = 0
    for include_pad in (True, False):
        bad, n = compare(include_pad, sys.argv[1:])
        failed, total = failed + bad, total + n
    print(f"{total - failed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
