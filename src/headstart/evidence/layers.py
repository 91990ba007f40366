"""Where to cut a pretrained network: how well the target can be told from each layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError, NeedsError
from headstart.evidence.interval import LEVEL, rows_interval

#: Penalties that are tried, in units of the mean variance that a direction of the features has.
PENALTIES = tuple(10.0**power for power in range(-4, 5))
#: Labelled items below which layers are not compared.
LEAST_LABELLED = 4


def leave_one_out(F: Any, Y: Any, penalties: Sequence[float] = PENALTIES) -> np.ndarray:
    r"""Return what ridge regression says of each row when it is fitted without the row, for each penalty.

    .. math:: \hat y_{-i} = y_i - \frac{y_i - \hat y_i}{1 - h_i}, \qquad \hat y = H y, \qquad
              H = \frac{1}{n} 1 1^T + U \mathrm{diag}\Bigl(\frac{s^2}{s^2 + \lambda}\Bigr) U^T

    with :math:`U, s` the left singular vectors and singular values of the centred features, and
    :math:`\lambda = \alpha \, \overline{s^2}`, so that the scale of the features makes no difference. One
    factorisation serves all penalties. The intercept is not penalised.

    Parameters
    ----------
    F : array of shape (n, d)
    Y : array of shape (n, k)
    penalties : sequence of float
        alpha, each above zero.

    Returns
    -------
    array of shape (len(penalties), n, k)

    References
    ----------
    Allen: The Relationship between Variable Selection and Data Augmentation and a Method for Prediction. Technometrics
    16, 1974.

    Examples
    --------
    >>> F = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> leave_one_out(F, 2 * F + 1, [1e-9])[0].ravel().round(3).tolist()
    [1.0, 3.0, 5.0, 7.0]
    """
    F, Y = np.asarray(F, dtype=float), np.asarray(Y, dtype=float)
    n = len(F)
    C = F - F.mean(axis=0)
    scale = float(np.abs(C).max(initial=0.0))
    mean = Y.mean(axis=0)
    if scale <= 1e-12 * max(float(np.abs(F).max(initial=0.0)), 1.0) or n < 2:
        # Features that say the same of every row: what is left is the mean of the others.
        without = (n * mean - Y) / max(n - 1, 1)
        return np.repeat(without[None], len(penalties), axis=0)
    U, s, _ = np.linalg.svd(C / scale, full_matrices=False)
    power = s**2
    kept = power > power[0] * np.finfo(float).eps * max(C.shape)
    U, power = U[:, kept], power[kept]
    projected = U.T @ (Y - mean)
    found = np.empty((len(penalties), *Y.shape))
    for at, alpha in enumerate(penalties):
        shrunk = power / (power + alpha * power.mean())
        fitted = mean + U @ (shrunk[:, None] * projected)
        leverage = 1 / n + (U**2) @ shrunk
        found[at] = Y - (Y - fitted) / np.maximum(1 - leverage, 1e-12)[:, None]
    return found


def probe(F: Any, y: np.ndarray, *, classes: bool, penalties: Sequence[float] = PENALTIES) -> np.ndarray:
    """Return how well ridge regression tells each row when it is fitted without it: hits, or minus absolute errors.

    Classes are regressed on 0/1 columns, and the largest is the one that is said. For each row the penalty is that
    with the least squared error on the *other* rows, so that no row has a say in what it is told by.

    >>> F = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]])
    >>> probe(F, np.array(["a", "a", "a", "b", "b", "b"]), classes=True).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    names, codes = np.unique(y, return_inverse=True)
    Y = np.eye(len(names))[codes] if classes else np.asarray(y, dtype=float)[:, None]
    said = leave_one_out(F, Y, penalties)
    squares = ((said - Y) ** 2).sum(axis=2)
    best = (squares.sum(axis=1, keepdims=True) - squares).argmin(axis=0)
    chosen = said[best, np.arange(len(Y))]
    if classes:
        return np.asarray(chosen.argmax(axis=1) == codes, dtype=float)
    return np.asarray(-np.abs(chosen - Y)[:, 0])


@dataclass(frozen=True)
class LayerScore:
    """What a layer's features tell of the target.

    Attributes
    ----------
    layer : str
    columns : int
        Width of its features.
    score, low, high : float
        Mean utility of the probe (share of hits, or minus the mean absolute error) and its 95 % interval over items.
    behind, behind_low, behind_high : float
        The difference to the best layer on the same items, with an interval that holds for all layers together.
    tied : bool
        Whether it is the best, or is not shown to be behind it.
    """

    layer: str
    columns: int
    score: float
    low: float
    high: float
    behind: float
    behind_low: float
    behind_high: float
    tied: bool


@dataclass(frozen=True)
class LayerTransferability:
    """The layers of a pretrained network, from the input on, by what they tell of the target.

    Attributes
    ----------
    network : str
    metric : str
    layers : list of LayerScore
    items : int
        Labelled items it rests on.
    """

    network: str
    metric: str
    layers: list[LayerScore]
    items: int

    @property
    def cut(self) -> str:
        """The layer with the best mean score: where to cut."""
        return max(self.layers, key=lambda each: each.score).layer

    @property
    def ties(self) -> list[str]:
        """The other layers that are not shown to be worse, from the input on."""
        return [each.layer for each in self.layers if each.tied and each.layer != self.cut]

    def __str__(self) -> str:
        best = max(self.layers, key=lambda each: each.score)
        sign = 1 if self.metric == "accuracy" else -1
        told = f"cut at layer {best.layer} ({self.metric} {sign * best.score:.3f} on {self.items} items)"
        if not self.ties:
            return f"{told}: every other layer is shown to be worse"
        ahead = [name for name in self.ties if self._at(name) < self._at(best.layer)]
        cheaper = f"; {ahead[0]} is the earliest of these, and the cheapest" if ahead else ""
        return f"{told}; not shown to be worse: {', '.join(self.ties)}{cheaper}"

    def _at(self, layer: str) -> int:
        return [each.layer for each in self.layers].index(layer)

    def document(self) -> dict[str, Any]:
        """Return the scores in plain types."""
        return {
            "network": self.network,
            "metric": self.metric,
            "items": self.items,
            "cut": self.cut,
            "ties": self.ties,
            "layers": [
                {key: round(value, 4) if isinstance(value, float) else value for key, value in vars(each).items()}
                for each in self.layers
            ],
            "how": "ridge probe on each layer's features, each item told by a fit without it (closed form)",
            "summary": str(self),
        }


def layer_transferability(
    network: Any,
    target: Domain,
    *,
    layers: Sequence[str] | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> LayerTransferability:
    """Probe each layer of a pretrained network on the target's labelled items.

    Parameters
    ----------
    network : Backbone
    target : Domain
        With items (pictures or texts: its `items`, or the only column of its rows) and labels.
    layers : sequence of str, optional
        By default all.
    tick : callable
        Told how many layers are done, and of how many.

    Raises
    ------
    NeedsError
        When fewer than four items have labels, or all are of one class.
    InputError
        When there is no such layer.
    """
    labelled = target.labelled_rows()
    if len(labelled) < LEAST_LABELLED or (target.task == "classification" and len(labelled.classes) < 2):
        raise NeedsError(
            f"layers are compared on {LEAST_LABELLED} labelled items or more, of two classes at least, and "
            f"{target.name} has {len(labelled)} of {len(labelled.classes)}"
        )
    items = labelled.items if labelled.items is not None else np.asarray(labelled.X)[:, 0]
    names = list(layers or network.layers)
    features: dict[str, np.ndarray] = {}
    for name in names:
        features[name] = network.features(list(items), layer=name)
        tick(len(features), len(names))
    return compare_layers(features, labelled.labels, network.card.name, classes=target.task == "classification")


def compare_layers(
    features: dict[str, Any], y: np.ndarray, network: str = "network", *, classes: bool = True
) -> LayerTransferability:
    """Compare layers by their features, each an array of shape (n, d), from the input on; see `layer_transferability`.

    Differences to the best layer are told with Bonferroni's correction for the number of layers compared. The best is
    chosen on the same items, so its own score is a little flattered; the more so, the more layers and the fewer items.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 2
    >>> good, noise = y[:, None] + 0.1 * rng.normal(size=(60, 3)), rng.normal(size=(60, 3))
    >>> print(compare_layers({"stem": noise, "block 1": good, "block 2": noise}, y))
    cut at layer block 1 (accuracy 1.000 on 60 items): every other layer is shown to be worse
    """
    if not features:
        raise InputError("no layer was given")
    utilities = {name: probe(F, y, classes=classes) for name, F in features.items()}
    best = max(utilities, key=lambda name: utilities[name].mean())
    level = 1 - (1 - LEVEL) / max(len(utilities) - 1, 1)
    # Every row is told by a fit without it: as many folds as rows.
    rows = np.arange(len(y))[None]
    scores = []
    for name, utility in utilities.items():
        own = rows_interval(utility[None], rows)
        behind = rows_interval((utility - utilities[best])[None], rows, level)
        scores.append(
            LayerScore(
                name,
                int(np.shape(features[name])[1]),
                *(own.mean, own.low, own.high),
                *(behind.mean, behind.low, behind.high),
                tied=name == best or behind.high >= 0,
            )
        )
    return LayerTransferability(network, "accuracy" if classes else "mean absolute error", scores, len(y))
