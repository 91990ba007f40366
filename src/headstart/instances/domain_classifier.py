"""Domain classifier weighting."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.domain import stack_rows
from headstart.draws import canonical_order, folds
from headstart.errors import InputError
from headstart.instances.base import DensityRatioMethod, mean_one
from headstart.instances.densities import ratio_of_logs
from headstart.instances.places import places

#: With an AUC above this the domains hardly overlap.
APART = 0.99


class DomainClassifierWeighting(DensityRatioMethod):
    r"""Domain classifier weighting: the odds of a classifier that tells target rows from source rows.

    .. math:: r(x) = \frac{p_t(x)}{p_s(x)} = \frac{n_s}{n_t}\,\frac{P(\text{target}\mid x)}{P(\text{source}\mid x)}

    by Bayes' rule. The odds are cross-fitted: a source row is weighed by a classifier that has not seen it, since a
    flexible classifier knows the rows that it was fitted on for source rows. Weights are scaled to a mean of 1. For
    new rows, `ratio` is the geometric mean of the folds' ratios on the same scale; at the source rows it is not the
    weights, for all but one of those classifiers have seen the row.

    Parameters
    ----------
    classifier : scikit-learn classifier, optional
        Tells the domains apart; by default a logistic regression on standardised columns, whose log ratio is linear:
        right for moved means, blind to spread. Squares of the columns in front of it, or boosted trees, see more.
        It must have `predict_proba`: put one that has none into `CalibratedClassifierCV`, which also mends
        probabilities that are too sure of themselves. Where its `decision_function` is the log odds they are used as
        they are; else probabilities are kept 1/(n + 2) away from 0 and 1, n the rows that it was fitted on (no n rows
        speak for odds beyond n + 1). A `random_state` of None inside it is replaced by one drawn from ours.
    folds : int, default 5
        Parts into which the distinct rows of each domain are cut, fewer where there are fewer; equal rows stay
        together, for a copy would give a row away. A domain of a single distinct row is not cut: it is always among
        the rows that are learned from. 1 fits one classifier on all rows, for all rows.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Cut into folds, and the classifier's own chance.

    Attributes
    ----------
    auc_ : float
        How well the domains of held-out rows are told apart, the mean over folds: 0.5 not at all, 1 always; then no
        source row looks like the target's. NaN where no row of a domain is held out.
    ratio_ : DomainOdds
        The ratio as a function of rows.
    effective_size_ : float
        (sum w)^2 / sum w^2.

    References
    ----------
    Bickel, Brueckner, Scheffer: Discriminative learning for differing training and test distributions. ICML 2007.
    Sugiyama, Suzuki, Kanamori: Density Ratio Estimation in Machine Learning. Cambridge University Press 2012.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(0, 1, (20000, 1)), rng.normal(1, 1, (20000, 1))
    >>> method = DomainClassifierWeighting(random_state=0)
    >>> w = method.weigh(Xs, Xt)
    >>> slope, intercept = np.polyfit(Xs[:, 0], np.log(w), 1)  # log r(x) = x - 1/2
    >>> print(f"log w = {slope:.1f} x {intercept:+.1f}; AUC {method.auc_:.2f}")
    log w = 1.0 x -0.5; AUC 0.76
    """

    def __init__(
        self,
        classifier: Any = None,
        folds: int = 5,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.classifier = classifier
        self.folds = folds
        self.target_weight = target_weight
        self.random_state = random_state

    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> np.ndarray:
        """Return the held-out density ratio at each source row.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
            Source and target rows. Labels are not used.

        Returns
        -------
        w : array of shape (n_s,), above zero, with a mean of 1.

        Raises
        ------
        InputError
            When the classifier has no predict_proba, or folds is less than 1.
        """
        Xs, Xt = self.rows_of_both(Xs, Xt)
        self.ratio_, log_w = self._cross_fit(Xs, Xt)
        if self.auc_ > APART:
            warnings.warn(
                f"DomainClassifierWeighting: held-out rows of the domains are told apart with AUC {self.auc_:.3f}: "
                "they hardly overlap, so weighting can't do much here",
                stacklevel=2,
            )
        return self.finished(mean_one(log_w)[0], Xs)

    def learn_ratio(self, Xs: Any, Xt: Any) -> "DomainOdds":
        """Fit the classifiers of all folds."""
        return self._cross_fit(Xs, Xt)[0]

    def _cross_fit(self, Xs: Any, Xt: Any) -> tuple["DomainOdds", np.ndarray]:
        """Return the ratio for new rows, and the held-out log ratio of each source row up to a constant."""
        n_s = Xs.shape[0]
        X = stack_rows([Xs, Xt]).astype(float)
        is_target = np.repeat([0, 1], [n_s, Xt.shape[0]])
        fold = cut(Xs, Xt, self.folds, self.random_state)
        classifier = self._classifier(sparse=issparse(X))
        # Rows are shown in an order of their own, which chance inside the classifier then acts on.
        order = canonical_order(X, is_target)
        models = []
        for k in range(max(1, fold.max() + 1)):
            train = order[fold[order] != k]
            models.append(fitted_log_odds(clone(classifier), X[train], is_target[train]))
        log_odds = np.column_stack([model(X) for model in models])
        seen_by_all = fold < 0
        held_out = np.where(seen_by_all, log_odds.mean(axis=1), log_odds[np.arange(len(fold)), fold])
        self.auc_ = held_out_auc(is_target, held_out, fold)
        log_w = held_out[:n_s]
        return DomainOdds(tuple(models), mean_one(log_w)[1]), log_w

    def _classifier(self, sparse: bool) -> Any:
        if self.classifier is None:
            return make_pipeline(StandardScaler(with_mean=not sparse), LogisticRegression(tol=1e-6, max_iter=1000))
        if not hasattr(self.classifier, "predict_proba"):
            raise InputError(
                f"DomainClassifierWeighting: {type(self.classifier).__name__} has no predict_proba; "
                "put it into sklearn.calibration.CalibratedClassifierCV"
            )
        classifier = clone(self.classifier)
        rng = np.random.default_rng(self.random_state)
        unset = [
            name
            for name, value in classifier.get_params().items()
            if name.rpartition("__")[2] == "random_state" and value is None
        ]
        return classifier.set_params(**{name: int(rng.integers(2**31)) for name in sorted(unset)})


def cut(Xs: Any, Xt: Any, k: int, random_state: Any) -> np.ndarray:
    """Return the fold in which each row, of the source and then of the target, is held out; -1 where it never is.

    The distinct rows of each domain are dealt out over at most k folds, none of them empty, and equal rows stay
    together. The only one of a domain is never held out.
    """
    if k < 1:
        raise InputError(f"DomainClassifierWeighting: folds={k}; take 1 (no cross-fitting) or more")
    domains = [(X, *places(X)) for X in (Xs, Xt)]
    k = min([k, *(len(first) for _, _, first in domains if len(first) > 1)])
    of_rows = [
        folds(X[first], k, random_state)[place] if 1 < k <= len(first) else np.full(len(place), -1)
        for X, place, first in domains
    ]
    return np.concatenate(of_rows)


def held_out_auc(is_target: np.ndarray, log_odds: np.ndarray, fold: np.ndarray) -> float:
    """Return the AUC within folds, the mean over folds; NaN where no row of a domain is held out."""
    if len(np.unique(is_target[fold >= 0])) < 2:
        return float("nan")
    held = [fold == k for k in range(fold.max() + 1)]
    return float(np.mean([roc_auc_score(is_target[rows], log_odds[rows]) for rows in held]))


@dataclass(frozen=True, eq=False)
class LogOdds:
    """The log density ratio by one classifier: its log odds, and the log of n_s / n_t where it was fitted.

    Without `clip` the classifier's decision function is the log odds; else they come from its probabilities, kept
    `clip` away from 0 and 1.
    """

    classifier: Any
    log_prior: float
    clip: float | None

    def __call__(self, X: Any) -> np.ndarray:
        """Return the log ratio at each row, shape (n,)."""
        if self.clip is None:
            return np.asarray(self.classifier.decision_function(X).astype(float) + self.log_prior)
        p = self.classifier.predict_proba(X)[:, 1].astype(float)
        return np.asarray(logit(np.clip(p, self.clip, 1 - self.clip)) + self.log_prior)


def fitted_log_odds(classifier: Any, X: Any, is_target: np.ndarray) -> LogOdds:
    """Fit a classifier that tells target rows from source rows, and find out where it keeps its log odds."""
    classifier.fit(X, is_target)
    n_s, n_t = np.bincount(is_target)
    p = classifier.predict_proba(X)[:, 1]
    logistic = hasattr(classifier, "decision_function") and np.allclose(expit(classifier.decision_function(X)), p)
    return LogOdds(classifier, float(np.log(n_s / n_t)), None if logistic else 1 / (len(is_target) + 2))


@dataclass(frozen=True, eq=False)
class DomainOdds:
    """The geometric mean of several classifiers' density ratios, times exp(log_scale)."""

    models: tuple[LogOdds, ...]
    log_scale: float

    def __call__(self, X: Any) -> np.ndarray:
        """Return the ratio at each row, shape (n,)."""
        X = X.astype(float)
        return ratio_of_logs(np.mean([model(X) for model in self.models], axis=0) + self.log_scale)
