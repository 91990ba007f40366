"""How long the exact KMM takes, and how near the optimum it ends (duality gap relative to the objective)."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time

import numpy as np
import record

from headstart.instances import KMM


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 2000, 5000])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    lines = []
    for n in arguments.sizes:
        for columns in (2, 10, 50):
            rng = np.random.default_rng(0)
            Xs, Xt = rng.normal(size=(n, columns)), 0.3 + 0.8 * rng.normal(size=(n, columns))
            KMM().weigh(Xs[:100], Xt[:100])
            seconds = []
            for _ in range(arguments.runs):
                method = KMM()
                start = time.perf_counter()
                w = method.weigh(Xs, Xt)
                seconds.append(time.perf_counter() - start)
            line = {
                "rows": n,
                "columns": columns,
                "median_seconds": statistics.median(seconds),
                "relative_gap": method.gap_ / abs(method.objective_),
                "largest_weight": float(w.max()),
                "rows_in_use": int((w > 0).sum()),
            }
            lines.append(line)
            print(line, flush=True)
    record.write("kmm_speed", {"seed": 0, "runs": arguments.runs, "lines": lines})


if __name__ == "__main__":
    main()
