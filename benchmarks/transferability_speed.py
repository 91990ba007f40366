"""How long the transferability scores take together, on 1,880 x 2,048 features with 47 classes, on one thread.

The features are made up: rectified Gaussians around 47 centres, as a ReLU layer's. Seconds are of the processor, the
median of the runs. Each score is also timed alone, without a factorisation to share.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time
import warnings

import numpy as np
import record

from headstart.evidence import transferability
from headstart.evidence.transferability import SCORES, Features


def made_up(n, d, k):
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    F = np.maximum(rng.normal(size=(n, d)) + 0.1 * rng.normal(size=(k, d))[y], 0)
    return F, y, rng.dirichlet(np.full(1000, 0.01), n)


def seconds(work, runs):
    taken = []
    for _ in range(runs):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1880)
    parser.add_argument("--columns", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=47)
    arguments = parser.parse_args()
    # That noise fools some of them at this shape is said on the page of the scores.
    warnings.simplefilter("ignore", UserWarning)
    F, y, theta = made_up(arguments.rows, arguments.columns, arguments.classes)

    def shared(name):
        score = SCORES[name]
        return lambda: score.function(given(score, features, theta), y)

    features = Features(F)
    factorisation = seconds(lambda: Features(F).factors, arguments.runs)
    transferability.score_all(features, y, source_probabilities=theta)
    lines = []
    for name, score in SCORES.items():
        alone = seconds(lambda score=score: score.function(given(score, F, theta), y), arguments.runs)
        lines.append({"score": name, "shared": seconds(shared(name), arguments.runs), "alone": alone})
        print(lines[-1], flush=True)
    together = seconds(
        lambda: transferability.score_all(F, y, source_probabilities=theta, names=SCORES), arguments.runs
    )
    print(f"{len(SCORES)} scores together: {together:.2f} s, of which the factorisation {factorisation:.2f} s")
    record.write(
        "transferability_speed",
        {
            "rows": arguments.rows,
            "columns": arguments.columns,
            "classes": arguments.classes,
            "runs": arguments.runs,
            "threads": int(os.environ["OMP_NUM_THREADS"]),
            "scores": len(SCORES),
            "factorisation_seconds": factorisation,
            "together_seconds": together,
            "alone_seconds": sum(line["alone"] for line in lines),
            "lines": lines,
        },
    )


def given(score, features, theta):
    if "features" in score.needs:
        return features
    return theta if "source probabilities" in score.needs else theta.argmax(axis=1)


if __name__ == "__main__":
    main()
