"""Choosing for a target without labels: importance-weighted validation on the source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from headstart.choose.candidates import Candidate, candidate
from headstart.choose.splits import folds_of
from headstart.delivery import Plan
from headstart.domain import Domain
from headstart.errors import InputError
from headstart.evidence.gain import Metric
from headstart.instances import DomainClassifierWeighting
from headstart.readers import Vectorizer

#: The gain that the advice on labelling aims to show, and the chance of showing it.
GAIN_TO_SHOW = 0.05
POWER = 0.8


@dataclass(frozen=True, eq=False)
class WeightedTrial:
    """What candidates scored on held-out source rows, weighted to look like the target.

    Attributes
    ----------
    names : list of str
        Candidates, the reference (source-only) first.
    scores, errors : list of float
        Weighted mean utility, and the standard error of its difference to the reference.
    effective_rows : float
        (sum w)^2 / sum w^2: how many source rows the estimate really rests on.
    """

    names: list[str]
    scores: list[float]
    errors: list[float]
    effective_rows: float
    metric: Metric

    def choice(self) -> str:
        """Return the best candidate, or the reference unless the best is better by a standard error."""
        best = int(np.argmax(self.scores))
        return self.names[best if self.scores[best] - self.scores[0] > self.errors[best] else 0]


def try_without_labels(
    candidates: Sequence[Candidate],
    source: Domain,
    target: Domain,
    plan: Plan,
    metric: Metric,
    *,
    folds: int = 5,
    random_state: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> WeightedTrial:
    """Score candidates on held-out source rows weighted by the density ratio p_t(x) / p_s(x).

    Under covariate shift this estimates the score on the target. The ratio comes from a cross-fitted logistic
    regression that tells target rows from source rows.

    References
    ----------
    Sugiyama, Krauledat, Mueller: Covariate Shift Adaptation by Importance Weighted Cross Validation. JMLR 2007.
    """
    if not candidates:
        raise InputError("no method asked for works without target labels; add source-only, pooled, kmm or coral")
    labelled = source.labelled_rows()
    weight = importance_weights(labelled, target, plan, random_state)
    of_row = folds_of(labelled.labels, folds, random_state, classes=source.task == "classification")
    utilities = np.empty((len(candidates), len(labelled)))
    total, done = len(candidates) * (int(of_row.max()) + 1), 0
    for fold in range(int(of_row.max()) + 1):
        held = of_row == fold
        train, test = labelled.rows(~held), labelled.rows(held)
        for c, entry in enumerate(candidates):
            model = candidate(entry.method, entry.learner, train, plan).fit(target)
            utilities[c, held] = metric.utility(_AtSource(model), test, test.labels)
            done += 1
            tick(done, total)
    share = weight / weight.sum()
    differences = utilities - utilities[0]
    means = differences @ share
    errors = np.sqrt(((differences - means[:, None]) ** 2) @ share**2)
    return WeightedTrial(
        [entry.name for entry in candidates],
        (utilities @ share).tolist(),
        errors.tolist(),
        float(1 / (share @ share)),
        metric,
    )


@dataclass(frozen=True)
class _AtSource:
    """A model asked about source rows."""

    model: Any

    @property
    def classes_(self) -> np.ndarray:
        return np.asarray(self.model.classes_)

    def predict(self, X: Any) -> np.ndarray:
        return np.asarray(self.model.predict_source(X))


def importance_weights(source: Domain, target: Domain, plan: Plan, random_state: int) -> np.ndarray:
    """Return p_t(x) / p_s(x) for each source row, from a cross-fitted classifier; the mean is 1."""
    vectorizer = Vectorizer(plan.vectorizer, plan.kinds).fit([source.X, target.X])
    classifier = DomainClassifierWeighting(random_state=random_state)
    return classifier.weigh(vectorizer.transform(source.X), vectorizer.transform(target.X)).astype(float)


def rows_to_show_a_gain(disagreement: float, gain: float = GAIN_TO_SHOW, power: float = POWER) -> int:
    """Return the labelled target rows that would show a gain in accuracy with 95 % confidence.

    Two models that disagree on a share p of rows differ in accuracy by a mean of per-row differences with variance
    p - gain^2; five-fold cross-validation with the Nadeau-Bengio correction multiplies the variance of the mean by
    5/4.

    >>> rows_to_show_a_gain(0.2, 0.05)
    776
    """
    spread = max(disagreement - gain**2, gain * (1 - gain))
    z = norm.ppf(0.975) + norm.ppf(power)
    return int(np.ceil(1.25 * z**2 * spread / gain**2))
