"""How often the verdict's interval holds, and how often a source that is no use is said to help.

Linear tasks in ten dimensions: the coefficients of source (300 rows) and target have a given cosine. Five sources with
their targets are drawn, and from each target as many sets of labelled rows as --draws says: 100 make 500 repetitions
of a setting. Learners are ridge regressions in closed form (on signs, for classes): target-only, source-only, pooled,
pooled with equal weight, and regular transfer. In each repetition they go through 5 x 5-fold cross-validation, and the
gain is `Trial.gain_of_choice()`, choice included.

Two truths, both on 2,000 fresh rows and with the fold's own choice and training rows (four fifths of the labelled):
the *expected* gain is the mean over all repetitions with the same source, that of another draw of as many rows; the
gain *of these models* is the mean over the splits of one repetition. On test rows the truth is the gain of the two
models that were fitted.

The interval's one constant was settled with draws 0 to 99 in view; the figures are those of draws from 200 on.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time

import numpy as np
import record
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.linear_model import LogisticRegression

from headstart import Domain
from headstart.choose import Trial, shortlist, try_all
from headstart.delivery import Plan
from headstart.evidence import METRICS, corrected_interval, paired_interval
from headstart.evidence.gain import gain_on_rows

NAMES = ["target-only", "source-only", "pooled", "balanced", "regular"]
METHODS = ["source-only", "pooled", "coral", "regular-transfer"]
COSINES = (0.0, 0.9, 1.0)
SIZES = (12, 20, 30, 40, 80, 200)
TEST_ROWS = (30, 100, 300)
D, SOURCES, FOLDS, REPEATS, NOISE = 10, 5, 5, 5, 0.5
#: From this many labelled rows on the mean over settings is told.
TOLD_FROM = 40


def coefficients(rng, cosine):
    """Return the target's direction, and one at a cosine to it: the source's."""
    beta = rng.normal(size=D)
    beta /= np.linalg.norm(beta)
    other = rng.normal(size=D)
    other -= (other @ beta) * beta
    other /= np.linalg.norm(other)
    return beta, cosine * beta + np.sqrt(1 - cosine**2) * other


def ridge(G, b, penalty=1.0, towards=None):
    """Return argmin ||Aw - y||^2 + penalty ||w - towards||^2, the intercept free, from G = A'A and b = A'y, stacked."""
    P = np.diag(np.append(1e-6, np.ones(D)))
    shift = 0.0 if towards is None else P @ towards
    return np.linalg.solve(G + penalty * P, (b + penalty * shift)[..., None])[..., 0]


class Task:
    """One source and the target that labelled rows are drawn from."""

    def __init__(self, cosine, classes, number):
        rng = np.random.default_rng([number, int(1000 * (cosine + 1)), not classes])
        self.beta, of_source = coefficients(rng, cosine)
        self.classes, self.number = classes, number
        X = rng.normal(size=(300, D))
        z = X @ of_source + NOISE * rng.normal(size=300)
        A, y = np.column_stack([np.ones(300), X]), np.sign(z) if classes else z
        self.G, self.b = A.T @ A, A.T @ y
        self.alone = ridge(self.G, self.b)
        self.fresh = np.column_stack([np.ones(2000), 0.3 + rng.normal(size=(2000, D))])
        self.mean = (self.fresh[:, 1:] - 0.3) @ self.beta

    def draw(self, rng, n):
        """Return rows (with a column of ones) and labels of the target."""
        A = np.column_stack([np.ones(n), 0.3 + rng.normal(size=(n, D))])
        z = (A[:, 1:] - 0.3) @ self.beta + NOISE * rng.normal(size=n)
        return A, np.sign(z) if self.classes else z

    def fit(self, A, y, masks):
        """Return the coefficients of all candidates fitted on each of the masks' rows, (candidates, masks, D + 1)."""
        M = masks.astype(float)
        G, b = np.tensordot(M, A[:, :, None] * A[:, None, :], 1), (M * y) @ A
        share = M.sum(axis=1) / 300
        return np.stack(
            [
                ridge(G, b),
                np.broadcast_to(self.alone, b.shape),
                ridge(G + self.G, b + self.b),
                ridge(G + share[:, None, None] * self.G, b + share[:, None] * self.b),
                ridge(G, b, 10.0, self.alone),
            ]
        )

    def utility(self, W, A, y):
        """Return the utility of each row under each of the models."""
        f = W @ A.T
        return (f * y > 0).astype(float) if self.classes else -((f - y) ** 2)

    def truth(self, W):
        """Return the expected utility on the fresh rows, but for the noise of their labels that is the same for all."""
        f = W @ self.fresh.T
        if not self.classes:
            return -((f - self.mean) ** 2).mean(axis=-1)
        positive = norm.cdf(self.mean / NOISE)
        return np.where(f > 0, positive, 1 - positive).mean(axis=-1)

    def repetition(self, n, draw):
        """Return the gain of choice, its true value for these models, and plain and Nadeau-Bengio intervals."""
        rng = np.random.default_rng([draw * 100 + self.number, n, 77])
        A, y = self.draw(rng, n)
        folds = np.empty((REPEATS, n), dtype=int)
        for of_row in folds:
            order = rng.permutation(n)
            order = order[np.argsort(y[order], kind="stable")] if self.classes else order
            of_row[order] = np.arange(n) % FOLDS
        held = np.concatenate([of_row == np.arange(FOLDS)[:, None] for of_row in folds])
        W = self.fit(A, y, ~held)
        scored = self.utility(W, A, y)
        utilities = np.empty((len(NAMES), REPEATS, n))
        for split, mask in enumerate(held):
            utilities[:, split // FOLDS, mask] = scored[:, split, mask]
        metric = METRICS["accuracy" if self.classes else "mean squared error"]
        gain = Trial(NAMES, utilities, folds, [0.0] * len(NAMES), metric).gain_of_choice()
        by_row = utilities.mean(axis=1)
        chosen = np.array([1 + int(np.argmax(by_row[1:, ~mask].mean(axis=1))) for mask in held])
        splits = np.arange(len(held))
        value = self.truth(W)
        by_split = np.array([(scored[chosen[s], s] - scored[0, s])[held[s]].mean() for s in splits])
        plain = corrected_interval(by_split, 0.0)[1:]
        wide = corrected_interval(by_split, 1 / (FOLDS - 1))[1:]
        return gain, float((value[chosen, splits] - value[0]).mean()), plain, wide


def share(flags):
    return float(np.mean(list(flags)))


def cross_validated(classes, cosine, n, draws):
    found = []
    for number in range(SOURCES):
        task = Task(cosine, classes, number)
        here = [task.repetition(n, draw) for draw in draws]
        expected = float(np.mean([true for _, true, _, _ in here]))
        found += [(gain, expected, true, plain, wide) for gain, true, plain, wide in here]
    return {
        "task": "classification" if classes else "regression",
        "cosine": cosine,
        "labelled_rows": n,
        "repetitions": len(found),
        "true_gain": float(np.mean([expected for _, expected, *_ in found])),
        "mean_gain": float(np.mean([gain.gain for gain, *_ in found])),
        "coverage": share(g.low <= expected <= g.high for g, expected, *_ in found),
        "coverage_of_these_models": share(g.low <= true <= g.high for g, _, true, *_ in found),
        "coverage_plain_t": share(p[0] <= expected <= p[1] for _, expected, _, p, _ in found),
        "coverage_nadeau_bengio": share(w[0] <= expected <= w[1] for _, expected, _, _, w in found),
        "said_to_help": share(g.verdict == "helps" for g, *_ in found),
        "said_to_hurt": share(g.verdict == "hurts" for g, *_ in found),
        "said_to_help_plain_t": share(p[0] > 0 for *_, p, _ in found),
        "said_to_help_nadeau_bengio": share(w[0] > 0 for *_, w in found),
        "mean_width": float(np.mean([g.high - g.low for g, *_ in found])),
        "mean_width_nadeau_bengio": float(np.mean([w[1] - w[0] for *_, w in found])),
    }


def on_test_rows(classes, cosine, n_test, draws, n=40):
    """Compare pooled and target-only, fitted on 40 labelled rows, on test rows."""
    metric = METRICS["accuracy" if classes else "mean squared error"]
    found = []
    for number in range(SOURCES):
        task = Task(cosine, classes, number)
        for draw in draws:
            rng = np.random.default_rng([draw * 100 + number, n_test, 78])
            A, y = task.draw(rng, n)
            W = task.fit(A, y, np.ones((1, n), dtype=bool))[:, 0]
            alone, _, pooled, _, _ = task.utility(W, *task.draw(rng, n_test))
            value = task.truth(W)
            gain = gain_on_rows(metric, alone, pooled, "test rows")
            found.append((gain, value[2] - value[0], paired_interval(pooled - alone)[1:]))
    return {
        "task": "classification" if classes else "regression",
        "cosine": cosine,
        "test_rows": n_test,
        "repetitions": len(found),
        "coverage": share(g.low <= true <= g.high for g, true, _ in found),
        "coverage_paired_t": share(p[0] <= true <= p[1] for _, true, p in found),
        "said_to_help": share(g.verdict == "helps" for g, *_ in found),
        "mean_width": float(np.mean([g.high - g.low for g, *_ in found])),
    }


def nothing_gained(n, differ, studies=20_000):
    """Return how often hits of two equally good models, differing on a share of rows, are said to show a gain."""
    rng = np.random.default_rng([n, int(1000 * differ)])
    d = rng.choice([-1.0, 0.0, 1.0], p=[differ / 2, 1 - differ, differ / 2], size=(studies, n))
    two_more = d.sum(axis=1) / (n + 2)
    error = np.sqrt(((d**2).sum(axis=1) + 2) / (n + 2) - two_more**2) / np.sqrt(n + 2)
    return {"rows": n, "differ": differ, "said_to_help": share(two_more > student_t.ppf(0.975, n - 1) * error)}


def with_methods(cosine, studies, n=60):
    """Return the same with the library's own methods and logistic regression."""
    metric, plan = METRICS["accuracy"], Plan("classification")
    found = []
    for seed in range(studies):
        rng = np.random.default_rng([seed, int(1000 * (cosine + 1))])
        beta, of_source = coefficients(rng, cosine)
        Xs, Xt = rng.normal(size=(300, D)), 0.3 + rng.normal(size=(n + 4000, D))
        ys = (Xs @ of_source + NOISE * rng.normal(size=300) > 0).astype(int)
        yt = (Xt @ beta + NOISE * rng.normal(size=len(Xt)) > 0.3 * beta.sum()).astype(int)
        target, fresh = Domain(Xt[:n], yt[:n], "target"), Domain(Xt[n:], yt[n:], "fresh")
        candidates, _ = shortlist(METHODS, LogisticRegression(max_iter=2000), Domain(Xs, ys, "source"), target, plan)
        trial = try_all(candidates, target, metric, random_state=seed)
        chosen = next(candidate for candidate in candidates if candidate.name == trial.choice())
        fewer = target.rows(np.arange(n * 4 // 5))
        true = [metric.utility(c.fit(fewer), fresh.X, fresh.labels).mean() for c in (candidates[0], chosen)]
        found.append((trial.gain_of_choice(), trial.gain(trial.choice()), float(true[1] - true[0])))
    expected = float(np.mean([true for *_, true in found]))
    return {
        "cosine": cosine,
        "studies": studies,
        "true_gain": expected,
        "mean_gain": float(np.mean([g.gain for g, *_ in found])),
        "mean_gain_of_the_luckiest": float(np.mean([lucky.gain for _, lucky, _ in found])),
        "coverage": share(g.low <= expected <= g.high for g, *_ in found),
        "said_to_help": share(g.verdict == "helps" for g, *_ in found),
        "said_to_hurt": share(g.verdict == "hurts" for g, *_ in found),
    }


def show(line):
    print({key: round(value, 3) if isinstance(value, float) else value for key, value in line.items()}, flush=True)
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100, help="sets of labelled rows from each of five targets")
    parser.add_argument("--first", type=int, default=200, help="number of the first draw")
    parser.add_argument("--methods", type=int, default=40, help="studies with the library's own methods")
    arguments = parser.parse_args()
    draws = range(arguments.first, arguments.first + arguments.draws)
    start = time.process_time()
    kinds = (True, False)
    lines = [show(cross_validated(c, cosine, n, draws)) for c in kinds for cosine in COSINES for n in SIZES]
    told = [line for line in lines if line["labelled_rows"] >= TOLD_FROM]
    means = {
        f"{task}, {key}": float(np.mean([line[key] for line in told if line["task"] == task]))
        for task in ("classification", "regression")
        for key in ("coverage", "coverage_of_these_models", "coverage_plain_t", "coverage_nadeau_bengio")
    }
    show(means)
    tested = [show(on_test_rows(c, cosine, m, draws)) for c in kinds for cosine in COSINES for m in TEST_ROWS]
    none = [show(nothing_gained(n, differ)) for n in (4, 12, 20, 30, 100) for differ in (0.05, 0.1, 0.2, 0.4)]
    methods = [show(with_methods(cosine, arguments.methods)) for cosine in COSINES] if arguments.methods else []
    record.write(
        "verdict_coverage",
        {
            "draws": f"{draws.start} to {draws.stop - 1} of each of {SOURCES} sources",
            "means_from_rows": TOLD_FROM,
            "means": means,
            "lines": lines,
            "test_rows": tested,
            "nothing_gained": none,
            "methods": METHODS,
            "with_methods": methods,
            "cpu_seconds": time.process_time() - start,
        },
    )


if __name__ == "__main__":
    main()
