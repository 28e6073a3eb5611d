"""clock.py -- what every peer's program reports: one JSON line in the form that run.lua reads.

BENCH_START is the monotonic clock when the process was asked for, so that imports, building and compiling count in
the times to the end of the first and of the second step."""

import json
import os
import resource
import sys
import time


def report(program, steps, step):
    """Time `steps` calls of step() after two of warm-up, and print the line."""
    begin = float(os.environ.get("BENCH_START", time.monotonic()))

    def timed():
        start = time.perf_counter()
        step()
        return time.perf_counter() - start

    first = timed()
    to_first = time.monotonic() - begin
    timed()
    to_second = time.monotonic() - begin
    ms = [round(timed() * 1e3, 3) for _ in range(steps)]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(
        json.dumps(
            {
                "program": program,
                "ms": ms,
                "first_s": round(first, 3),
                "to_first_s": round(to_first, 3),
                "to_second_s": round(to_second, 3),
                "peak_mb": used[0].ru_maxrss // 1024,
                "cpu_s": round(sum(u.ru_utime + u.ru_stime for u in used), 2),
            }
        )
    )
    sys.stdout.flush()
