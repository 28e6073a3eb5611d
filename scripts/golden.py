#!/usr/bin/env python3
"""golden.py -- makes tests/golden/*: what PyTorch says, in f64, for ops, optimizers and the whole net.

    python3 scripts/golden.py ops|optim|schedules|net|all|release [FOLDER]

needs torch, torchvision and numpy; for optim also timm and schedulefree.  release is TensorFlow's word and needs
tensorflow (tensorflow-cpu) and numpy alone; it is not part of all.

Goldens are checked in, so that the tests need neither Python nor PyTorch; they are made again only when a
case is added.  Inputs come from an integer hash (scripts/golden/formula.py), never from a library's random
numbers, so that another version or another language makes the same ones.  Each file names the versions it was
made with.  Small cases are stored whole as Lua tables; the whole net as norms and projections (net.py).
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden"))


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.join(root, "tests", "golden")
    if what not in ("ops", "optim", "schedules", "net", "all", "release"):
        sys.exit(f"golden.py: expected ops, optim, schedules, net, all or release, got {what}")
    os.makedirs(out, exist_ok=True)
    if what in ("ops", "all"):
        import ops

        ops.write(out)
    if what in ("optim", "all"):
        import optim

        optim.write(out)
    if what in ("schedules", "all"):
        import schedules

        schedules.write(out)
    if what == "release":
        import release

        release.write(out)
    if what in ("net", "all"):
        import net

        net.write(out)


if __name__ == "__main__":
    main()
