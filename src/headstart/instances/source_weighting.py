"""Source weighting: whole sources weighed by how well they suit the target."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone, is_classifier

from headstart.domain import Domain, Task
from headstart.errors import InputError, NeedsError
from headstart.fitting import effective_size, fit_learner, losses
from headstart.inputs import names_of_sources
from headstart.instances.base import InstanceMethod, WeightedRows, labelled_pair
from headstart.instances.domain_classifier import DomainClassifierWeighting
from headstart.learners import make_learner
from headstart.method import Knowledge, Needs


@dataclass(frozen=True)
class RowsOfSources(WeightedRows):
    """What arrives: weighted source rows, the weights of their own (if any), and the source that each came from."""

    own: np.ndarray | None
    origin: np.ndarray


class SourceWeighting(InstanceMethod):
    r"""Source weighting: give every source one weight, by its rows or by what its model is worth on the target.

    Weighing row by row asks much of few rows; when there are several sources, one number for each asks less. With the
    rows of source k in :math:`S_k` and p_s the density of all sources together, `by="ratio"` takes the mean density
    ratio,

    .. math:: w_k \propto \frac1{|S_k|} \sum_{i \in S_k} \frac{p_t(x_i)}{p_s(x_i)},

    and `by="validation"` fits the learner on each source alone and compares its error on the n labelled target rows,
    e_k, with the error e_0 of a constant:

    .. math:: w_k \propto \max\Bigl(\frac{e_0}{\hat e_k} - 1,\, 0\Bigr)
              = \frac{\max(e_0 - e_k,\, 0)}{e_k + e_0 / n},
              \qquad \hat e_k = \frac{n e_k + e_0}{n + 1}

    The error in :math:`\hat e_k` is e_k with one more row, at which the source is as good as the constant: a perfect
    source gets n and no more, and one no better than the constant gets nothing. Errors are Brier scores where the
    model gives probabilities, else shares of errors, and squared errors for numbers. The constant is the mean of the
    other labelled target rows' labels (of their class indicators, for Brier scores), or the commonest class.

    A row weighs what its source does, scaled to a mean of 1 over all source rows.

    Parameters
    ----------
    by : {"ratio", "validation"}, default "ratio"
        "validation" needs labelled target rows.
    ratio : InstanceMethod, optional
        What estimates the density ratio for "ratio"; by default `DomainClassifierWeighting()`, a cross-fitted
        classifier of source against target.
    judge : estimator, optional
        What "validation" fits on each source; by default the learner, and in `weigh` alone logistic or ridge
        regression.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.
    random_state : int, default 0
        Handed to `ratio` or `judge` where that has a `random_state` which is not set.

    Attributes
    ----------
    source_weights_ : dict of str to float
        The weight of a row of each source. With one source it is 1.
    errors_ : dict of str to float
        e_k of each source, for "validation".
    constant_errors_ : dict of str to float
        e_0, for "validation". It differs between sources only where some models give probabilities and some don't.
    effective_size_ : float
        (sum w)^2 / sum w^2 over the source rows.

    Notes
    -----
    Where no source is better than a constant, or the target's labels can't tell (one labelled row, one class), all
    sources weigh the same and a warning says so.

    References
    ----------
    Mansour, Mohri, Rostamizadeh: Domain Adaptation with Multiple Sources. NIPS 2008 (sources by their density).
    Eaton & desJardins: Selective Transfer Between Learning Tasks Using Task-Based Boosting. AAAI 2011 (sources by
    how far they lower the error on the target). The formulas here are simpler than either paper's.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = np.append(rng.normal(0, 1, 100), rng.normal(3, 1, 100))[:, None], rng.normal(0, 1, (100, 1))
    >>> ys = (Xs[:, 0] > 0).astype(int)
    >>> method = SourceWeighting()
    >>> w = method.weigh(Xs, Xt, ys, origin=np.repeat(["near", "far"], 100))
    >>> method.source_weights_["near"] > 3 * method.source_weights_["far"]
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True)

    def __init__(
        self,
        by: str = "ratio",
        ratio: InstanceMethod | None = None,
        judge: Any = None,
        target_weight: float | str = "balanced",
        random_state: int = 0,
    ) -> None:
        self.by = by
        self.ratio = ratio
        self.judge = judge
        self.target_weight = target_weight
        self.random_state = random_state

    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None, *, origin: Any = None) -> np.ndarray:
        """Return the weight of each source row, which is its source's.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
            Source and target rows.
        ys, yt : array-likes of shape (n_s,) and (n_t,), optional
            Their labels, for "validation"; of the target's some may be missing.
        origin : array-like of shape (n_s,), optional
            The name of each row's source; without, there is one source.

        Returns
        -------
        w : array of shape (n_s,), zero or more, with a mean of 1.
        """
        Xs, Xt = self.rows_of_both(Xs, Xt)
        names = names_of_sources(origin, Xs.shape[0], "SourceWeighting")
        if not self._by_validation():
            return self._weigh_by_ratio(Xs, Xt, ys, yt, names)
        source, target = labelled_pair("SourceWeighting by validation", Xs, ys, Xt, yt)
        task: Task = "classification" if source.task == "classification" else "regression"
        return self._weigh_by_validation(source, names, target, make_learner("auto", task, self.random_state))

    def carry(self, knowledge: Knowledge, target: Domain) -> RowsOfSources:
        """Step 3: weigh the sources by their rows; "validation" needs the learner, so it waits for step 4."""
        Xs, ys, own, origin = (knowledge.arrays[name] for name in ("X", "y", "weight", "origin"))
        names = names_of_sources(origin, len(ys), "SourceWeighting")
        weight = np.ones(len(ys)) if own is None else own
        if not self._by_validation():
            weight = weight * self.weigh(Xs, target.X, ys, target.y, origin=names)
        return RowsOfSources(Xs, ys, weight, own, names)

    def learn_target(self, carried: WeightedRows, target: Domain, learner: Any) -> Any:
        """Step 4: fit the learner on the weighted source rows and the labelled target rows."""
        if self._by_validation():
            assert isinstance(carried, RowsOfSources)  # noqa: S101  (for the type checker)
            source = Domain(carried.X, carried.y, task=target.task, weight=carried.own)
            weight = carried.weight * self._weigh_by_validation(source, carried.origin, target, learner)
            carried = WeightedRows(carried.X, carried.y, weight)
        return super().learn_target(carried, target, learner)

    def _by_validation(self) -> bool:
        if self.by not in ("ratio", "validation"):
            raise InputError(f"SourceWeighting: by must be 'ratio' or 'validation', not {self.by!r}")
        return self.by == "validation"

    def _weigh_by_ratio(self, Xs: Any, Xt: Any, ys: Any, yt: Any, names: np.ndarray) -> np.ndarray:
        sources, of_row = np.unique(names, return_inverse=True)
        if len(sources) == 1:
            return self._finished_sources(np.ones(1), sources, of_row, Xs)
        estimator = DomainClassifierWeighting() if self.ratio is None else clone(self.ratio)
        if estimator.get_params().get("random_state", 0) is None:
            estimator.set_params(random_state=self.random_state)
        r = np.asarray(estimator.weigh(Xs, Xt, ys, yt), dtype=float)
        return self._finished_sources(np.bincount(of_row, r) / np.bincount(of_row), sources, of_row, Xs)

    def _weigh_by_validation(self, source: Domain, names: np.ndarray, target: Domain, learner: Any) -> np.ndarray:
        if not target.n_labelled:
            raise NeedsError("SourceWeighting by validation needs labelled target rows, and there are none")
        labelled = target.labelled_rows()
        sources, of_row = np.unique(names, return_inverse=True)
        self.errors_: dict[str, float] = {}
        self.constant_errors_: dict[str, float] = {}
        worth = np.ones(1)
        if len(sources) > 1:
            judge = learner if self.judge is None else make_learner(self.judge, task_for(learner), self.random_state)
            worth = np.zeros(len(sources))
            for k, name in enumerate(sources):
                rows = source.rows(of_row == k)
                model = fit_learner(judge, rows.X, rows.labels, rows.weight)
                e = float(np.average(losses(model, labelled), weights=labelled.weight))
                e_0 = constant_error(labelled, soft=hasattr(model, "predict_proba"))
                self.errors_[str(name)], self.constant_errors_[str(name)] = e, e_0
                if e < e_0:
                    worth[k] = (e_0 - e) / (e + e_0 / len(labelled))
            if not worth.any():
                warnings.warn(
                    f"SourceWeighting: no source predicts the {len(labelled)} labelled target rows better than a "
                    "constant does, so all sources weigh the same",
                    stacklevel=2,
                )
                worth[:] = 1.0
        return self._finished_sources(worth, sources, of_row, source.X)

    def _finished_sources(self, worth: np.ndarray, sources: np.ndarray, of_row: np.ndarray, Xs: Any) -> np.ndarray:
        """Scale the sources' weights to a mean of 1 over the rows, set `source_weights_`, and hand them to the rows."""
        mean = worth[of_row].mean()
        w = worth / mean if mean > 0 else worth
        self.source_weights_ = dict(zip(sources.tolist(), w.tolist(), strict=True))
        # Not `finished`: where few rows have nearly all the weight, a small source suits, and that was the question.
        row_weights = w[of_row]
        self.effective_size_ = effective_size(row_weights)
        return np.asarray(row_weights.astype(Xs.dtype, copy=False))


def task_for(learner: Any) -> Task:
    """Return what a learner is for."""
    return "classification" if is_classifier(learner) else "regression"


def constant_error(labelled: Domain, soft: bool) -> float:
    r"""Return the error of the best constant on labelled rows; zero where a single row can't tell.

    With :math:`v_i` the label, or its class indicators, each row is predicted by the mean of the others,
    :math:`v_i - \bar v_{-i} = (v_i - \bar v)\,W / (W - w_i)` with W the sum of the weights w. Without probabilities
    it is the share of rows outside the commonest class.

    >>> rows = Domain(np.zeros((4, 1)), [0, 0, 0, 1])
    >>> constant_error(rows, soft=False), round(constant_error(rows, soft=True), 3)
    (0.25, 0.667)
    """
    y = labelled.labels
    w = np.ones(len(y)) if labelled.weight is None else labelled.weight
    if labelled.task == "classification":
        values = (y[:, None] == np.unique(y)[None, :]).astype(float)
        if not soft:
            return float(1 - (w @ values).max() / w.sum())
    else:
        values = y[:, None].astype(float)
    others = w.sum() - w
    if not others.all():
        return 0.0
    away = (values - np.average(values, axis=0, weights=w)) * (w.sum() / others)[:, None]
    return float(np.average((away**2).sum(axis=1), weights=w))
