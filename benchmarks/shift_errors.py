"""Whether the p-values of a shift hold, what the tests see, and whether the diagnosis names the right kind.

Uniform: two samples of one distribution, 200 times; the p-values beside the uniform distribution by
Kolmogorov-Smirnov. Power: the share of p-values at or below 0.05 with shifts of the mean, the covariance, the labels'
shares and the concept. Diagnosis: simulated shifts of each kind, several dimensions and numbers of rows. The
thresholds of the diagnosis were settled on seeds 0 to 9; what is written is of seeds from 10,000 on.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time

import numpy as np
import record
from scipy.stats import kstest

from headstart.evidence import shift
from headstart.evidence.stability import GIVEN_LABELS, GIVEN_ROWS, LABELS, ROWS

KINDS = ("covariate", "label", "concept", "none")
#: Rows of each domain and columns.
SIZES = ((300, 2), (300, 5), (500, 10), (1000, 20))
FIRST_REPORTED = 10_000


def unit(rng, d):
    v = rng.normal(size=d)
    return v / np.linalg.norm(v)


def drawn_labels(rng, X, beta, bend):
    """Classes by a logistic model in x, with a bend along the same direction where asked for."""
    score = X @ beta
    score = 3.0 * (score + bend * (np.square(score) - 1))
    return (rng.random(len(X)) < 1 / (1 + np.exp(-score))).astype(int)


def simulated(kind, n, d, seed, size=1.0):
    """Return Xs, Xt, ys, yt of a shift; `size` makes all shifts smaller together. Half of the tasks are bent."""
    rng = np.random.default_rng([seed, n, d, KINDS.index(kind) if kind in KINDS else 9])
    beta, bend = unit(rng, d), 0.5 * (seed % 2)
    if kind == "label":
        # Classes with Gaussian rows, the same in both domains; shares 1/2 and 4/5.
        means = 0.9 * np.stack([beta, -beta])
        shares = (0.5, 0.5 + 0.3 * size)
        labels = [(rng.random(n) < share).astype(int) for share in shares]
        Xs, Xt = (means[y] + rng.normal(size=(n, d)) for y in labels)
        return Xs, Xt, *labels
    move = np.zeros(d)
    stretch = 1.0
    other = beta
    if kind in ("covariate", "mixed"):
        # A move partly along the task, partly across it, and a change of spread.
        across = unit(rng, d)
        across -= (across @ beta) * beta
        across /= np.linalg.norm(across)
        move = size * (0.6 * beta + 0.6 * across)
        stretch = 1 + 0.3 * size * (rng.random(d) < 0.5)
    if kind in ("concept", "mixed"):
        # The direction of the task turns by 60 degrees; in one kind of case rows keep their distribution.
        away = unit(rng, d)
        away -= (away @ beta) * beta
        away /= np.linalg.norm(away)
        angle = size * np.pi / 3
        other = np.cos(angle) * beta + np.sin(angle) * away
    Xs, Xt = rng.normal(size=(n, d)), move + stretch * rng.normal(size=(n, d))
    ys, yt = drawn_labels(rng, Xs, beta, bend), drawn_labels(rng, Xt, other, bend)
    if kind == "mixed":
        # And a class that is drawn less often in the target.
        kept = rng.random(n) < np.where(yt == 1, 1.0, 1 - 0.3 * size)
        Xt, yt = Xt[kept], yt[kept]
    return Xs, Xt, ys, yt


def diagnosed(repeats, first):
    lines = []
    for n, d in SIZES:
        for kind in KINDS:
            lines.append(line_of(kind, n, d, repeats, first))
    for n, d in ((100, 5), (150, 5), (300, 5)):
        for size in (0.15, 0.25):
            lines.append(line_of("mixed", n, d, repeats, first, size))
    return lines


def line_of(kind, n, d, repeats, first, size=1.0):
    start = time.process_time()
    found = [shift.diagnose(*simulated(kind, n, d, first + r, size), random_state=r) for r in range(repeats)]
    named = [each.kind for each in found]
    line = {
        "kind": kind,
        "rows": n,
        "columns": d,
        "size": size,
        "repeats": repeats,
        "said": {name: named.count(name) / repeats for name in sorted(set(named))},
        "sure": float(np.mean([each.sure for each in found])),
        "cpu_seconds": (time.process_time() - start) / repeats,
    }
    print({key: round(v, 2) if isinstance(v, float) else v for key, v in line.items()}, flush=True)
    return line


def tests_of(Xs, Xt, ys, yt, seed):
    """Return the p-value of every test there is."""
    of_kind = shift.diagnose(Xs, Xt, ys, yt, permutations=199, random_state=seed).tests
    found = {name: of_kind[name].p for name in (ROWS, LABELS, GIVEN_LABELS, GIVEN_ROWS)}
    few = {"permutations": 199, "random_state": seed}
    found["mmd"] = shift.mmd(Xs, Xt, **few).p
    found["mmd, blocks"] = shift.mmd(Xs, Xt, estimator="block", **few).p
    found["mmd, linear"] = shift.mmd(Xs, Xt, estimator="linear", **few).p
    found["energy distance"] = shift.energy_distance(Xs, Xt, **few).p
    found["sliced Wasserstein"] = shift.sliced_wasserstein(Xs, Xt, directions=20, **few).p
    found["classifier two-sample test"] = shift.classifier_two_sample_test(Xs, Xt, **few).p
    found["proxy A-distance"] = shift.proxy_a_distance(Xs, Xt, **few).p
    found["one column"] = shift.column_shifts(Xs[:, :1], Xt[:, :1])[0].p
    return found


def power_case(what, seed, n=200, d=5):
    rng = np.random.default_rng([seed, 77])
    Xs, Xt = rng.normal(size=(2, n, d))
    if what == "mean":
        Xt[:, 0] += 0.5
    if what == "covariance":
        Xt[:, 1] = 0.8 * Xt[:, 0] + 0.6 * Xt[:, 1]
    if what in ("mean", "covariance", "none", "concept"):
        beta = np.eye(d)[0]
        ys = drawn_labels(rng, Xs, beta, 0)
        yt = drawn_labels(rng, Xt, np.eye(d)[1] if what == "concept" else beta, 0)
        return Xs, Xt, ys, yt
    return simulated("label", n, d, seed)


def p_values(what, repeats, first):
    found = [tests_of(*power_case(what, first + r), r) for r in range(repeats)]
    return {name: np.array([each[name] for each in found]) for name in found[0]}


def speed():
    """Reckon 1,000 permutations with 5,000 rows of each domain."""
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(5000, 20)), rng.normal(size=(5000, 20))
    wall, start = time.perf_counter(), time.process_time()
    found = shift.mmd(Xs, Xt, permutations=1000, estimator="full")
    line = {
        "rows": "5000 and 5000",
        "columns": 20,
        "permutations": 1000,
        "threads": os.environ["OMP_NUM_THREADS"],
        "cpu_seconds": time.process_time() - start,
        "wall_seconds": time.perf_counter() - wall,
        "p": found.p,
    }
    print(line, flush=True)
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200, help="of samples without a shift")
    parser.add_argument("--power-repeats", type=int, default=25)
    parser.add_argument("--diagnoses", type=int, default=15, help="of each kind and size")
    parser.add_argument("--first-seed", type=int, default=FIRST_REPORTED)
    arguments = parser.parse_args()
    first = arguments.first_seed
    figures = {"speed": speed(), "first_seed": first}
    figures["diagnosis"] = diagnosed(arguments.diagnoses, first)
    record.write("shift_errors", figures)
    uniform = p_values("none", arguments.repeats, first)
    figures["uniform"] = {
        name: {
            "kolmogorov_smirnov_p": float(kstest(p, "uniform").pvalue),
            "at_most_0.05": float((p <= 0.05).mean()),
        }
        for name, p in uniform.items()
    }
    for name, line in figures["uniform"].items():
        print(name, line, flush=True)
    record.write("shift_errors", figures)
    figures["power"] = {}
    for what in ("mean", "covariance", "label", "concept"):
        of_tests = p_values(what, arguments.power_repeats, first)
        figures["power"][what] = {name: float((p <= 0.05).mean()) for name, p in of_tests.items()}
        print(what, figures["power"][what], flush=True)
    record.write("shift_errors", figures)


if __name__ == "__main__":
    main()
