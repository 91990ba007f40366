"""Transfer between domains with different columns: pixels of some digits, gradients of others, few labels a class.

No row of one domain is a row of the other, and no pair is known: what joins them are the source's labels and the few
of the target. All methods have their default settings; accuracies are of the target rows without a label, which the
methods may see. Nothing but scikit-learn's own data is needed.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from headstart.bench.asked import Asked, Shown
from headstart.bench.trials import Rows
from headstart.domain import Domain
from headstart.errors import InputError, unknown_name
from headstart.evidence.gain import paired_interval
from headstart.features.anchor_ot import AnchorOT
from headstart.features.base import FeatureMethod
from headstart.features.coot_transfer import COOTransfer
from headstart.features.heterogeneous_augmentation import HeterogeneousAugmentation
from headstart.features.manifold_alignment import ManifoldAlignment

DRAWS = 20
#: Labelled target rows a class.
LABELS = (1, 3, 5)
TARGET_ONLY, SPREADING = "target-only", "label spreading, target alone"
METHODS: dict[str, type[FeatureMethod]] = {
    "anchor-ot": AnchorOT,
    "coo-transfer": COOTransfer,
    "manifold-alignment": ManifoldAlignment,
    "heterogeneous-augmentation": HeterogeneousAugmentation,
}
#: What learns, and the labelled rows a class from which it makes sense.
LEARNERS: dict[str, tuple[Callable[[], Any], int]] = {
    "logistic regression": (lambda: LogisticRegression(max_iter=2000), 1),
    "1NN": (lambda: KNeighborsClassifier(1), 1),
    "3NN": (lambda: KNeighborsClassifier(3), 3),
}


def gradients(images: np.ndarray, cell: int = 2, bins: int = 8) -> np.ndarray:
    """Return histograms of oriented gradients, shape (n, cells * cells * bins), of square images (n, h, h).

    A pixel adds the length of its gradient to the two nearest of `bins` directions of its cell; a row has length 1.
    (Dalal, Triggs: Histograms of Oriented Gradients for Human Detection. CVPR 2005; without overlapping blocks.)

    >>> ramp = np.tile(np.arange(4.0), (1, 4, 1))                       # brighter from left to right: one direction
    >>> gradients(ramp, cell=2, bins=4).reshape(4, 4)
    array([[0.5, 0. , 0. , 0. ],
           [0.5, 0. , 0. , 0. ],
           [0.5, 0. , 0. , 0. ],
           [0.5, 0. , 0. , 0. ]])
    """
    down, right = np.gradient(images, axis=(1, 2))
    length, turn = np.hypot(down, right), np.mod(np.arctan2(down, right) / (2 * np.pi), 1.0) * bins
    low = np.floor(turn).astype(int)
    n, side = len(images), images.shape[1] // cell
    votes = np.zeros((n, *images.shape[1:], bins))
    at = np.indices(images.shape)
    votes[(*at, low % bins)] = length * (1 - (turn - low))
    votes[(*at, (low + 1) % bins)] += length * (turn - low)
    rows = votes.reshape(n, side, cell, side, cell, bins).sum(axis=(2, 4)).reshape(n, -1)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1.0))


def digits(draw: int, *, swapped: bool = False) -> Rows:
    """Return pixels of one half of scikit-learn's digits as source, gradients of the other as target; or swapped."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = data.images / 16
    order = np.random.default_rng(draw).permutation(len(images))
    of, to = np.split(order, [len(order) // 2])
    views = (gradients(images), images.reshape(len(images), -1))
    source, target = views if swapped else views[::-1]
    return Rows(source[of], data.target[of], target[to], data.target[to])


def latent(draw: int) -> Rows:
    """Return five classes seen in two ways: x = A z in 20 columns, x' = tanh(B z) in 50, with other rows z in R^5."""
    rng = np.random.default_rng(draw)
    centers = 2 * rng.normal(size=(5, 5))
    ys, yt = rng.integers(0, 5, (2, 300))
    zs, zt = (centers[y] + rng.normal(size=(300, 5)) for y in (ys, yt))
    A, B = rng.normal(size=(5, 20)), rng.normal(size=(5, 50)) / np.sqrt(5)
    return Rows(zs @ A, ys, np.tanh(zt @ B), yt)


#: The rows of a draw, and what they are.
DATA: dict[str, tuple[Callable[[int], Rows], str]] = {
    "pixels-to-gradients": (
        digits,
        "scikit-learn's digits: 8 x 8 pixels of 898 images as source, gradients (128 columns) of the other 899",
    ),
    "gradients-to-pixels": (
        lambda draw: digits(draw, swapped=True),
        "scikit-learn's digits: gradients (128 columns) of 898 images as source, 8 x 8 pixels of the other 899",
    ),
    "latent": (latent, "made: five classes in R^5, 300 rows of A z (20 columns) and 300 others of tanh(B z) (50)"),
}


@dataclass(frozen=True)
class Reached:
    """The accuracy of one method and learner in one draw, in %, and the seconds of the method."""

    data: str
    labels: int
    draw: int
    learner: str
    method: str
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Line:
    """A method with so many labelled target rows a class: mean accuracy in %, and gains in points over the draws."""

    data: str
    labels: int
    learner: str
    method: str
    draws: int
    accuracy: float
    over_target_only: tuple[float, float, float] | None
    draws_worse: int | None
    seconds: float


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Compare the methods on every data set, show each, and return the figures."""
    for wanted in asked.methods:
        if wanted not in METHODS:
            raise InputError(unknown_name("method for different columns", wanted, METHODS))
    methods = [name for name in METHODS if not asked.methods or name in asked.methods]
    draws = asked.draws or DRAWS
    lines: list[Line] = []
    protocols = {}
    # Nothing is read from the folder: it is there for every data set.
    for name in asked.sets(dict.fromkeys(DATA, "")):
        protocol = f"{DATA[name][1]}; default settings, accuracy in % of target rows without label, {draws} draws"
        tasks = (delayed(reached)(name, labels, draw, methods) for labels in LABELS for draw in range(draws))
        found: list[Reached] = []
        for of_draw in Parallel(n_jobs=asked.jobs, return_as="generator")(tasks):
            found += of_draw
            asked.say(f"{name}: {of_draw[0].labels} labels a class, draw {of_draw[0].draw + 1} of {draws}")
        of_set = lines_of(found)
        lines += of_set
        protocols[name] = {"protocol": protocol, "seeds": list(range(draws))}
        show(shown(f"{name}: {protocol}", of_set))
    return {"protocols": protocols, "lines": [vars(line) for line in lines]}


def reached(name: str, labels: int, draw: int, methods: Sequence[str]) -> list[Reached]:
    """Return the accuracies of every method and learner in one draw."""
    rows = DATA[name][0](draw)
    known = np.concatenate([np.flatnonzero(rows.yt == c)[:labels] for c in np.unique(rows.yt)])
    given = np.full(len(rows.yt), np.nan)
    given[known] = rows.yt[known]
    hidden = np.isnan(given)
    learners = {called: make() for called, (make, least) in LEARNERS.items() if labels >= least}
    source = Domain(rows.Xs, rows.ys, name="source", task="classification")
    target = Domain(rows.Xt, given, name="target", task="classification")

    def scored(model: Any) -> float:
        return 100 * float((model.predict(rows.Xt[hidden]) == rows.yt[hidden]).mean())

    found = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for called, learner in learners.items():
            plain = learner.fit(rows.Xt[known], rows.yt[known])
            found.append(Reached(name, labels, draw, called, TARGET_ONLY, scored(plain), 0.0))
        for method in methods:
            started = time.perf_counter()
            # Neighbors take no weights; for the others, both domains count alike.
            made = METHODS[method]()
            carried = made.carry(made.extract(made.learn_source(source, None), source), target)
            seconds = time.perf_counter() - started
            for called, learner in learners.items():
                made.set_params(target_weight=1.0 if called.endswith("NN") else "balanced")
                model = made.learn_target(carried, target, learner)
                found.append(Reached(name, labels, draw, called, method, scored(model), seconds))
        found.append(Reached(name, labels, draw, next(iter(LEARNERS)), SPREADING, *_spread(rows, given)))
    return found


def _spread(rows: Rows, given: np.ndarray) -> tuple[float, float]:
    """Return the accuracy of what the target's unlabelled rows alone are worth, without any source; and seconds."""
    from sklearn.semi_supervised import LabelSpreading

    started = time.perf_counter()
    hidden = np.isnan(given)
    spread = LabelSpreading(kernel="knn", n_neighbors=10).fit(rows.Xt, np.where(hidden, -1, given).astype(int))
    right = 100 * float((spread.transduction_[hidden] == rows.yt[hidden]).mean())
    return right, time.perf_counter() - started


def lines_of(found: Sequence[Reached]) -> list[Line]:
    """Return one line for each number of labels, learner and method, with paired differences over the draws."""
    groups: dict[tuple[str, int, str, str], list[Reached]] = {}
    for one in found:
        groups.setdefault((one.data, one.labels, one.learner, one.method), []).append(one)
    lines = []
    for (data, labels, learner, method), of_group in groups.items():
        accuracy = np.array([one.accuracy for one in of_group])
        alone = np.array([one.accuracy for one in groups[data, labels, learner, TARGET_ONLY]])
        plain = method == TARGET_ONLY
        lines.append(
            Line(
                data,
                labels,
                learner,
                method,
                len(of_group),
                float(accuracy.mean()),
                None if plain else paired_interval(accuracy - alone),
                None if plain else int((accuracy < alone).sum()),
                float(np.mean([one.seconds for one in of_group])),
            )
        )
    return sorted(lines, key=lambda line: (line.labels, list(LEARNERS).index(line.learner)))


def shown(title: str, lines: Sequence[Line]) -> Shown:
    """Return a table to print."""
    columns = ["labels a class", "learner", "method", "accuracy", "over target-only (95% CI)", "worse", "seconds"]
    rows = [
        [
            str(line.labels),
            line.learner,
            line.method,
            f"{line.accuracy:.1f}",
            "" if line.over_target_only is None else "{:+.1f} ({:+.1f} to {:+.1f})".format(*line.over_target_only),
            "" if line.draws_worse is None else f"{line.draws_worse} of {line.draws}",
            f"{line.seconds:.2f}",
        ]
        for line in lines
    ]
    return Shown(title, columns, rows)
