"""read_events.py -- what TensorBoard makes of a run's folder, as JSON: {tag: [[step, wall time, value], ...]}.

    python read_events.py FOLDER

Reads as the program does (its EventAccumulator, with every point kept), so that what the tests see is what a
user would see.  Needs the package tensorboard (scripts/lib/tensorboard)."""

import json
import logging
import sys

from tensorboard.backend.event_processing import event_accumulator

logging.disable(logging.CRITICAL)
events = event_accumulator.EventAccumulator(sys.argv[1], size_guidance={event_accumulator.SCALARS: 0})
events.Reload()
tags = events.Tags()["scalars"]
points = {tag: [[e.step, e.wall_time, e.value] for e in events.Scalars(tag)] for tag in tags}
print(json.dumps({"points": points, "writer": events.GetSourceWriter(), "version": events.file_version}))
