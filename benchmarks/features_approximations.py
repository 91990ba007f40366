"""What the shortcuts for many rows cost in accuracy: each against the exact solution, on 5,000 rows of each domain.

Two tasks of three classes. "one cloud": the rows of `cells.py`. "clusters": twenty clusters around centres of their own
in ten columns, each of one class, the target's moved and turned a little; fine structure that a coarse approximation
loses. Accuracy is that of a logistic regression and of the nearest neighbour on the mapped rows, on the target's; for
methods that are classifiers it is theirs. It shows what the shortcut loses, and is no comparison of methods.

Not here: BDA, whose problem is JDA's, and Laplace transport, which moves clusters from 2,000 rows on.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
import warnings

import cells
import numpy as np
import record
from features import SETTINGS
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from headstart import Transfer, features

#: Method, what is set for the exact solution, and for the shortcut.
SHORTCUTS = (
    ("TCA", {"rank": None}, {"rank": 300}),
    ("TJM", {"rank": None}, {"rank": 300}),
    ("JDA", {"rank": None}, {"rank": 300}),
    ("JGSA", {"rank": None}, {"rank": 300}),
    ("SCA", {"rank": None}, {"rank": 300}),
    ("SSTCA", {"rank": None}, {"rank": 300}),
    ("ARTL", {"rank": None}, {"rank": 500}),
    ("MEDA", {"rank": None}, {"rank": 500}),
    ("OTMapping", {"transport": "exact", "n_clusters": None}, {"transport": "exact", "n_clusters": 1000}),
    ("OTMapping", {"transport": "entropic", "n_clusters": None}, {"transport": "entropic", "n_clusters": 1000}),
    ("OTMapping", {"transport": "unbalanced", "n_clusters": None}, {"transport": "unbalanced", "n_clusters": 1000}),
    ("OTMapping", {"transport": "lpl1", "n_clusters": None}, {"transport": "lpl1", "n_clusters": 1000}),
    ("OTMapping", {"transport": "l1l2", "n_clusters": None}, {"transport": "l1l2", "n_clusters": 1000}),
    ("JDOT", {"n_rows": None}, {"n_rows": 4000}),
)
CLASSIFIERS = ("ARTL", "MEDA", "JDOT")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--only", nargs="+", help="methods, by the beginning of their name")
    arguments = parser.parse_args()
    lines = []
    for task, rows in (("one cloud", cells.problem), ("clusters", clusters)):
        data = rows(arguments.rows)
        for name, whole, short in SHORTCUTS:
            if arguments.only and not name.startswith(tuple(arguments.only)):
                continue
            exact, seconds_exact = measured(name, whole, data)
            quick, seconds = measured(name, short, data)
            line = {
                "task": task,
                "method": f"{name} {whole['transport']}" if "transport" in whole else name,
                "shortcut": ", ".join(f"{key}={value}" for key, value in short.items() if key != "transport"),
                **{f"{judge}_exact": value for judge, value in exact.items()},
                **quick,
                "seconds_exact": seconds_exact,
                "seconds": seconds,
            }
            lines.append(line)
            print(line, flush=True)
    record.write("features_approximations", {"seed": 0, "rows": arguments.rows, "lines": lines})


def clusters(n):
    """Return Xs, ys, Xt, yt: twenty clusters in ten columns, each of one of three classes."""
    rng = np.random.default_rng(0)
    centers = 2.5 * rng.normal(size=(20, 10))
    turn, _ = np.linalg.qr(np.eye(10) + 0.1 * rng.normal(size=(10, 10)))
    of_s, of_t = rng.integers(20, size=n), rng.integers(20, size=n)
    Xs = centers[of_s] + rng.normal(size=(n, 10))
    Xt = (centers[of_t] + rng.normal(size=(n, 10))) @ turn * np.sign(np.diag(turn)) + 0.5
    return Xs, of_s % 3, Xt, of_t % 3


def measured(name, settings, data):
    """Return accuracies by what judges, and the seconds of fit and maps."""
    Xs, ys, Xt, yt = data
    method = getattr(features, name)(**{**SETTINGS.get(name, {}), **settings})
    if "gamma" in method.get_params() and Xs.shape[1] != cells.COLUMNS:
        method.set_params(gamma=None)
    if isinstance(method.get_params().get("n_components"), int):
        method.set_params(n_components=min(method.n_components, Xs.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        if name in CLASSIFIERS:
            X, y = np.vstack([Xs, Xt]), np.append(ys, np.full(len(Xt), np.nan))
            domain = np.repeat(["source", "target"], [len(Xs), len(Xt)])
            predicted = Transfer(method, LogisticRegression()).fit(X, y, domain=domain).predict(Xt)
            return {"itself": float((predicted == yt).mean())}, time.perf_counter() - start
        method.fit(Xs, Xt, ys)
        Zs, Zt = method.transform_source(Xs), method.transform(Xt)
        seconds = time.perf_counter() - start
        return {
            "logistic": float(LogisticRegression(max_iter=1000).fit(Zs, ys).score(Zt, yt)),
            "nearest": float(KNeighborsClassifier(1).fit(Zs, ys).score(Zt, yt)),
        }, seconds


if __name__ == "__main__":
    main()
