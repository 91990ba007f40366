"""How long it takes to factorise made interactions, and to find the best ten of a million items."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import resource
import statistics
import time

import numpy as np
import pandas as pd
import record

from headstart.recommend import Histories, MatrixFactorization, ratings_domain
from headstart.recommend.top_items import top_items


def fitting(interactions, n_users, n_items, n_factors, runs):
    """Return the seconds of a fit to interactions of which some items have far more than others."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, n_users, interactions)
    items = (n_items * rng.random(interactions) ** 2.5).astype(int)
    histories = Histories.of([ratings_domain(pd.DataFrame({"user": users, "item": items}), name="shop")])
    seconds = timed(lambda: MatrixFactorization(n_factors=n_factors).scorer(histories), runs)
    return {
        "interactions": histories.matrix.nnz,
        "users": histories.matrix.shape[0],
        "items": histories.matrix.shape[1],
        "factors": n_factors,
        "iterations": MatrixFactorization().iterations,
        **seconds,
    }


def finding(queries, items, k, runs):
    """Return the seconds to find the best k items of all queries."""
    bias = np.zeros(len(items), dtype=np.float32)
    return {
        "users": len(queries),
        "items": len(items),
        "factors": items.shape[1],
        "k": k,
        **timed(lambda: top_items(queries, items, bias, k), runs),
    }


def timed(work, runs):
    seconds, busy = [], []
    for _ in range(runs):
        start, used = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - used)
    return {
        "runs": runs,
        "median_seconds": statistics.median(seconds),
        "median_processor_seconds": statistics.median(busy),
        "seconds": seconds,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, default=300_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    lines = [{"what": "fit", **fitting(arguments.interactions, 30_000, 10_000, arguments.factors, arguments.runs)}]
    print(lines[-1], flush=True)
    rng = np.random.default_rng(0)
    items = rng.standard_normal((arguments.items, arguments.factors), dtype=np.float32)
    queries = rng.standard_normal((arguments.users, arguments.factors), dtype=np.float32)
    finding(queries[:1], items, 10, 1)
    lines.append({"what": "top 10, one user", **finding(queries[:1], items, 10, 21)})
    print(lines[-1], flush=True)
    lines.append({"what": "top 10, many users", **finding(queries, items, 10, arguments.runs)})
    print(lines[-1], flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    record.write("recommend_speed", {"seed": 0, "load": os.getloadavg()[0], "peak_gib": peak, "lines": lines})


if __name__ == "__main__":
    main()
