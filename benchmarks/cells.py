"""One cell of a speed table: a process of its own, one BLAS thread, a warm-up, the median of some runs."""

import contextlib
import io
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings

import numpy as np

COLUMNS, SHIFT, NARROWER = 50, 0.3, 0.8
#: Seconds after which a cell is given up, and after which no further run begins.
LIMIT, ENOUGH = 600, 40


def problem(n):
    """Return Xs, ys, Xt, yt: N(0, I) and N(0.3, 0.8^2 I) in 50 columns, with labels of three classes."""
    rng = np.random.default_rng(0)
    Xs = rng.normal(size=(n, COLUMNS))
    Xt = SHIFT + NARROWER * rng.normal(size=(n, COLUMNS))
    ys, yt = (np.digitize(X[:, 0] + X[:, 1], [-0.8, 0.8]) for X in (Xs, Xt))
    return Xs, ys, Xt, yt


def in_a_process(script, cell, n, runs):
    """Measure one cell in a process of its own; the time limit is ten minutes."""
    command = [sys.executable, script, "--cell", cell, str(n), str(runs)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return {"failed": f"no result within {LIMIT} s"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:200]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def timed(make, warm_up, data, runs):
    """Return what the work gives, its median seconds, and growth and height of peak memory in MiB."""
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with quiet[0], quiet[1], warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(*warm_up)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            given = make(*data)
            seconds.append(time.perf_counter() - start)
            if sum(seconds) > ENOUGH:
                break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return given, {"seconds": statistics.median(seconds), "mib": (peak - before) / 1024, "peak_mib": peak / 1024}


def table(script, rows, sizes, runs, peers_up_to, only=(), limits=None):
    """Return the lines of a table: each row's cell of ours, then the peers' with their times as multiples of ours.

    `limits` says of slow peers up to how many rows they are run.
    """
    lines = []
    for n in sizes:
        for title, ours, peers in rows:
            if only and not title.startswith(tuple(only)):
                continue
            first = None
            for cell in (ours, *(peer for peer in peers if n <= (limits or {}).get(peer, peers_up_to))):
                found = in_a_process(script, cell, n, runs)
                first = found if first is None else first
                line = {"rows": n, "method": title, "cell": cell, **found}
                if cell != ours and "seconds" in found and "seconds" in first:
                    line["times_ours"] = found["seconds"] / first["seconds"]
                lines.append(line)
                print(line, flush=True)
    return lines
