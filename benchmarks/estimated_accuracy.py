"""How near the accuracy estimated without target labels is, and how often the true one is within the range told.

The cases are those of `headstart bench choice` without labels, those kept apart too: what `headstart run` would tell of
each method, and what the method then has right on test rows. Ranges are of 95 % intervals of several estimates.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import warnings
from pathlib import Path

import numpy as np
import record
from threadpoolctl import threadpool_limits

from headstart.bench.cases import by_class, in_turn, with_rows
from headstart.bench.choice import every_set
from headstart.choose import shortlist
from headstart.learners import make_learner
from headstart.unproven import estimate

METHODS = ["blend", "discriminant-transfer", "easytl", "coral", "source-only"]


def measured(pair, draw):
    """Yield the method's name, its estimates, and its accuracy on the test rows."""
    case = with_rows(pair, by_class(pair.target, 0, draw), 0, draw)
    learner = make_learner("auto", "classification", draw)
    found, _ = shortlist(METHODS, learner, case.source, case.target, case.plan, draw)
    for entry in found:
        told = estimate(entry, case.source, case.target, draw)
        if told is not None:
            yield entry.name, told, float((entry.fit(case.target).predict(case.test.X) == case.test.labels).mean())


def lines_of(found):
    """Return a line a method and estimate; the first of each also has what is told as a range."""
    for name, of in found.items():
        truth = np.array([right for _, right in of])
        within = np.mean([told.low <= right <= told.high for told, right in of])
        first = {
            "cases": len(of),
            "accuracy": truth.mean(),
            "within": within,
            "width": np.mean([told.high - told.low for told, _ in of]),
        }
        for kind in of[0][0].estimates:
            given = np.array([told.estimates[kind] for told, _ in of])
            line = {"method": name, "estimate": kind, "mean": given.mean(), "off": abs(given - truth).mean()}
            yield {
                key: value if isinstance(value, str | int) else float(value) for key, value in (line | first).items()
            }
            first = {}
        given = np.array([told.source_accuracy for told, _ in of])
        yield {"method": name, "estimate": "as on the source", "mean": given.mean(), "off": abs(given - truth).mean()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draw", type=int, default=0)
    asked = parser.parse_args()
    sets, found = every_set(), {}
    for pair in in_turn(list(sets), asked.data, sets):
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, told, right in measured(pair, asked.draw):
                found.setdefault(name, []).append((told, right))
        print(pair.data, pair.name, flush=True)
    lines = list(lines_of(found))
    for line in lines:
        print(line)
    record.write("estimated_accuracy", {"draw": asked.draw, "sets": list(sets), "lines": lines})


if __name__ == "__main__":
    main()
