"""What the shortcuts for many rows cost in accuracy: each against the exact solution, on 5,000 rows of each domain.

Source rows are N(0, I), target rows N(0.3, 0.8^2 I), so that the density ratio is known. The error is that of
`instances.py`: the mean squared error of the weights against the true ratio, beside the mean square of the ratio.
"difference" is the same with the exact method's weights in place of the ratio.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import warnings

import numpy as np
import record

from headstart.instances import KLIEP, KMM, RULSIF, ULSIF, KDEWeighting, MMDTargetShift, NearestNeighborWeighting
from headstart.kernels import rbf, rbf_sums

#: Method, what is set for the exact solution, and for the shortcut.
SHORTCUTS = (
    (KMM, {"rank": None}, {"rank": 500}),
    (KMM, {"rank": None}, {"rank": 200}),
    (KLIEP, {"n_centers": 1000}, {"n_centers": 100}),
    (ULSIF, {"n_centers": 1000}, {"n_centers": 100}),
    (RULSIF, {"n_centers": 1000}, {"n_centers": 100}),
    (NearestNeighborWeighting, {"max_rows": None}, {"max_rows": 2500}),
    (KDEWeighting, {"max_centers": None}, {"max_centers": 1000}),
    (MMDTargetShift, {"rank": None}, {"rank": 500}),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    arguments = parser.parse_args()
    lines = []
    for columns in (2, 10, 50):
        rng = np.random.default_rng(0)
        Xs = rng.normal(size=(arguments.rows, columns))
        Xt = 0.3 + 0.8 * rng.normal(size=(arguments.rows, columns))
        logs = ((Xs**2).sum(axis=1) - (((Xs - 0.3) / 0.8) ** 2).sum(axis=1)) / 2
        ratio, ys = np.exp(logs - logs.max()), np.digitize(Xs[:, 0] + Xs[:, 1], [-0.8, 0.8])
        exact = {}
        for method, whole, short in SHORTCUTS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if method not in exact:
                    solved = method(**whole)
                    exact[method] = solved, solved.weigh(Xs, Xt, ys)
                solved, w = exact[method]
                v = method(**short).weigh(Xs, Xt, ys)
            line = {
                "columns": columns,
                "method": method.__name__,
                "shortcut": ", ".join(f"{name}={value}" for name, value in short.items()),
                "instead_of": ", ".join(f"{name}={value}" for name, value in whole.items()),
                # A method for label shift does not estimate this ratio.
                "error_exact": None if method is MMDTargetShift else error(w, ratio),
                "error": None if method is MMDTargetShift else error(v, ratio),
                "difference": error(v, w),
            }
            if method is KMM:
                line["objective_lost"] = objective_lost(v, solved, Xs, Xt)
            lines.append(line)
            print(line, flush=True)
    record.write("instances_approximations", {"seed": 0, "rows": arguments.rows, "lines": lines})


def error(w, ratio):
    """Return the mean squared difference of weights, both scaled to a mean of 1, beside the ratio's mean square."""
    w, ratio = w / w.mean(), ratio / ratio.mean()
    return float(((w - ratio) ** 2).mean() / (ratio**2).mean())


def objective_lost(w, solved, Xs, Xt):
    """Return how far the exact objective of weights is above its optimum, beside the optimum's size."""
    kappa = len(Xs) / len(Xt) * rbf_sums(Xs, Xt, solved.gamma_)
    return float((0.5 * w @ (rbf(Xs, Xs, solved.gamma_) @ w) - kappa @ w - solved.objective_) / abs(solved.objective_))


if __name__ == "__main__":
    main()
