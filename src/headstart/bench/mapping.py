"""The mapping: how well a turn is found again, without pairs and with few, on made data and on real cells.

"turn" and "pairs" are made: rows of five classes, and an independent sample of the same classes, turned, shifted, and
with the names of the classes exchanged. "bures" is made too. "snare" is real: 1,047 cells, each measured in two ways
(chromatin, 19 columns; genes, 10); which cells are the same is used to score, and for anchors where the table says so.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from headstart.bench.asked import Asked, Shown
from headstart.errors import InputError
from headstart.kernels import squared_distances
from headstart.mapping import MappingLearner
from headstart.mapping.fit_maps import gaussian_map

NEEDED = {"turn": "", "pairs": "", "bures": "", "snare": "snare"}
SEEDS = 20
ANCHORS = (0, 10)
PAIRED = (0, 5, 10, 20, 50, 100, 150, 200)
SIZES = (500, 5000, 50_000)
FAMILIES = ("affine", "covariance", "kernel")
CELL_ANCHORS = 50
PROTOCOLS = {
    "turn": "made: 10 columns, 5 classes (shares 3:4:5:6:7), 300 rows a side; an orthogonal map, labels known on both "
    "sides; error of f relative to the spread of the truth",
    "pairs": "made: as turn, 200 rows a side, of which some are paired; mean error of f, and how often g is right",
    "bures": "made: normal rows in 10 columns; error of the map between the Gaussians' moments, relative to its norm",
    "snare": "1,047 cells, rows of unit length, one unit for all columns; FOSCTTM (share of cells nearer than the true "
    "one, 0 is best, .5 chance) and accuracy of cell types by 5 nearest mapped cells; mean over draws of the anchors",
}


def turned(seed: int, n: int = 300, anchors: int = 0, d: int = 10, k: int = 5) -> tuple[Any, ...]:
    """Return source, labels, target, labels, the function that f should be, and the class that each class became.

    Classes have centers 1.5 N(0, I) and standard deviations from 0.5 to 1.5 by column. The first `anchors` rows of both
    are the same.
    """
    rng = np.random.default_rng(seed)
    centers, spread = 1.5 * rng.normal(size=(k, d)), np.linspace(0.5, 1.5, d)
    share = np.arange(3, 3 + k) / np.arange(3, 3 + k).sum()
    Q, shift = np.linalg.qr(rng.normal(size=(d, d)))[0], 2 * rng.normal(size=d)
    ys, yt = rng.choice(k, n, p=share), rng.choice(k, n, p=share)
    Xs, Z = centers[ys] + rng.normal(size=(n, d)) * spread, centers[yt] + rng.normal(size=(n, d)) * spread
    Z[:anchors], yt[:anchors] = Xs[:anchors], ys[:anchors]
    became = rng.permutation(k)
    return Xs, ys, Z @ Q + shift, became[yt], lambda X: X @ Q + shift, became


def relative_error(moved: np.ndarray, truth: np.ndarray) -> float:
    """Return the squared distance between rows, in that of the truth from its mean."""
    return float(np.square(moved - truth).sum() / np.square(truth - truth.mean(axis=0)).sum())


def foscttm(moved: np.ndarray, Xt: np.ndarray) -> float:
    """Return the share of rows nearer than the true match, row i of both, averaged over both directions.

    >>> Xt = np.array([[0.0], [1.0]])
    >>> foscttm(Xt, Xt), foscttm(Xt[::-1], Xt)
    (0.0, 0.5)
    """
    D = squared_distances(moved, Xt)
    true = np.diag(D)
    return float(((true[:, None] > D).mean() + (true > D).mean()) / 2)


def cells(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return chromatin and gene columns of the same cells, rows of unit length, and the cells' types."""
    from sklearn.preprocessing import normalize

    try:
        views = [np.load(folder / "snare" / f"{view}.npz", allow_pickle=False) for view in ("atac", "rna")]
        (Xs, ys), (Xt, _) = ((normalize(view["X"]), view["y"]) for view in views)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{folder / 'snare'}: needs atac.npz and rna.npz with X and y ({error})") from error
    return Xs, Xt, ys


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Measure every data set, show each, and return the figures."""
    seeds = range(asked.draws or SEEDS)
    figures: dict[str, Any] = {"protocols": {}}
    for name in asked.sets(NEEDED):
        of_set = {"turn": _turn, "pairs": _pairs, "bures": _bures, "snare": _snare}[name]
        lines = list(of_set(asked, seeds))
        figures[name] = lines
        figures["protocols"][name] = {"protocol": PROTOCOLS[name], "seeds": list(seeds)}
        columns = list(lines[0])
        show(Shown(f"{name}: {PROTOCOLS[name]}", columns, [[_cell(line[c]) for c in columns] for line in lines]))
    return figures


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _fitted(learner: MappingLearner, *rows: Any, pairs: Any = None) -> tuple[MappingLearner, float]:
    started = time.perf_counter()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner.fit(*rows, pairs=pairs)
    return learner, time.perf_counter() - started


def _first(k: int) -> np.ndarray | None:
    return np.repeat(np.arange(k)[:, None], 2, axis=1) if k else None


def _one_turn(seed: int, n: int, anchors: int, f: str, n_starts: int) -> tuple[float, bool, float, float]:
    Xs, ys, Xt, yt, truth, became = turned(seed, n, anchors)
    learner = MappingLearner(f, pairing="partial" if anchors else "unpaired", n_starts=n_starts)
    learner, seconds = _fitted(learner, Xs, Xt, ys, yt, pairs=_first(anchors))
    right = bool((learner.transform_labels(np.arange(len(became))) == became).all())
    return relative_error(learner.transform(Xs), truth(Xs)), right, learner.confidence_, seconds


def _turn(asked: Asked, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    for anchors in ANCHORS:
        found = Parallel(asked.jobs)(delayed(_one_turn)(seed, 300, anchors, "orthogonal", 8) for seed in seeds)
        error, right, sure, seconds = (np.array(column) for column in zip(*found, strict=True))
        asked.say(f"turn: {anchors} anchors")
        yield {
            "anchors": anchors,
            "median error of f": float(np.median(error)),
            "g right": f"{right.sum()} of {len(right)}",
            "confidence where right": f"{sure[right].min():.2f} to {sure[right].max():.2f}",
            "confidence where wrong": " ".join(f"{c:.2f}" for c in sure[~right]),
            "seconds": float(np.median(seconds)),
        }


def _pairs(asked: Asked, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    for f in ("orthogonal", "affine"):
        for pairs in PAIRED:
            found = Parallel(asked.jobs)(delayed(_one_turn)(seed, 200, pairs, f, 4) for seed in seeds)
            error, right, *_ = (np.array(column) for column in zip(*found, strict=True))
            asked.say(f"pairs: {f}, {pairs} of 200")
            yield {
                "f": f,
                "pairs": pairs,
                "mean error of f": float(error.mean()),
                "g right": f"{right.sum()} of {len(right)}",
            }


def _bures(asked: Asked, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    d = 10
    for n in SIZES:
        errors = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            # Standard deviations from 1/2 to 2, along axes of their own.
            roots = [np.linalg.qr(rng.normal(size=(d, d)))[0] * rng.uniform(0.5, 2, d) for _ in range(2)]
            Xs, Xt = (rng.normal(size=(n, d)) @ root.T for root in roots)
            S, T = (root @ root.T for root in roots)
            values, V = np.linalg.eigh(S)
            half, back = (V * np.sqrt(values)) @ V.T, (V / np.sqrt(values)) @ V.T
            inner, U = np.linalg.eigh(half @ T @ half)
            truth = back @ (U * np.sqrt(inner)) @ U.T @ back
            errors.append(np.linalg.norm(gaussian_map(Xs, Xt).A - truth) / np.linalg.norm(truth))
        asked.say(f"bures: {n} rows")
        mean = float(np.mean(errors))
        yield {"rows": n, "mean error": mean, "error x sqrt(rows)": mean * float(np.sqrt(n))}


def _snare(asked: Asked, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    Xs, Xt, types = cells(asked.data)
    rng = np.random.default_rng(0)
    for anchors in (0, CELL_ANCHORS):
        for f in FAMILIES:
            draws = seeds if anchors else range(1)
            found = []
            for draw in draws:
                # The target's rows come in an order of their own, so that none tells its partner.
                order = rng.permutation(len(Xt))
                place = np.argsort(order)
                chosen = np.random.default_rng(draw).choice(len(Xs), anchors, replace=False)
                pairs = np.stack([chosen, place[chosen]], axis=1) if anchors else None
                learner = MappingLearner(f, pairing="partial" if anchors else "unpaired", units="whole")
                learner, seconds = _fitted(learner, Xs, Xt[order], pairs=pairs)
                moved = learner.transform(Xs)
                rest = np.setdiff1d(np.arange(len(Xs)), chosen)
                by_source = KNeighborsClassifier(5).fit(moved, types)
                accuracy = float((by_source.predict(Xt[rest]) == types[rest]).mean())
                found.append((foscttm(moved[rest], Xt[rest]), accuracy, learner.confidence_, seconds))
                asked.say(f"snare: {f}, {anchors} anchors, draw {draw}")
            apart, accuracy_, sure, took = (np.array(column) for column in zip(*found, strict=True))
            yield {
                "f": f,
                "anchors": anchors,
                "FOSCTTM": float(apart.mean()),
                "worst draw": float(apart.max()),
                "accuracy of types": float(accuracy_.mean()),
                "confidence": float(sure.mean()),
                "draws": len(found),
                "seconds": float(np.median(took)),
            }
