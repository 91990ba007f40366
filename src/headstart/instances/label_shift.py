"""What label-shift methods share: cross-fitted predictions, the confusion matrix, and a test of the assumption."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.domain import as_labels, known_labels, missing, stack_rows
from headstart.draws import canonical_order, folds, pick
from headstart.errors import InputError, NeedsError
from headstart.fitting import fit_learner
from headstart.inputs import checked_rows
from headstart.instances.base import InstanceMethod
from headstart.kernels import median_gamma
from headstart.method import Needs

#: Rows of the target, and of all source classes together, that the test of the assumption looks at.
MOST_TESTED_ROWS = 5_000
#: A user is warned below this p-value: `run` fits many times, and one warning in twenty would be noise.
ALARM = 0.01
#: At so many rows, a covariance of their own counts as much as one that is borrowed.
FEW_ROWS = 5.0


@dataclass(frozen=True)
class Predictions:
    """What a source classifier says about rows that it has not seen.

    Attributes
    ----------
    code : array of shape (n_s,)
        Number of each source row's class, 0 ... k - 1.
    source : array of shape (n_s, k)
        Probability of each class (or one for the predicted class and zero elsewhere), by the classifier that
        was fitted without the row's fold.
    target : array of shape (folds, n_t, k)
        What each of these classifiers says about the target rows.
    """

    code: np.ndarray
    source: np.ndarray
    target: np.ndarray

    @property
    def priors(self) -> np.ndarray:
        """Share of each class among the source rows, shape (k,)."""
        return np.bincount(self.code, minlength=self.source.shape[1]) / len(self.code)

    @property
    def confusion(self) -> np.ndarray:
        """Entry (i, j) is the share of source rows that are of class j and predicted as i, shape (k, k)."""
        k = self.source.shape[1]
        return np.stack([self.source[self.code == j].sum(axis=0) for j in range(k)], axis=1) / len(self.code)

    @property
    def target_shares(self) -> np.ndarray:
        """Share of the target rows predicted as each class, averaged over the classifiers, shape (k,)."""
        return np.asarray(self.target.mean(axis=(0, 1)))


class LabelShiftMethod(InstanceMethod):
    """An instance method for label shift: p(x | y) is the same in both domains and only the class shares differ.

    It writes `learn_priors(predictions) -> target priors (k,)`; a source row's weight is its class's share in the
    target over its share in the source. Target labels are not used: a labelled part of the target is rarely drawn
    like the rest, and its rows count when the learner is fitted.
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, tasks=("classification",))
    classifier: Any
    folds: int
    check: bool
    random_state: int | None

    @abstractmethod
    def learn_priors(self, predictions: Predictions) -> np.ndarray:
        """Return the share of each class among the target rows, shape (k,)."""

    @property
    def predicts_classes(self) -> bool:
        """Whether the classifier's classes are used instead of its probabilities."""
        return False

    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> np.ndarray:
        """Return the weight of each source row, q(y_i) / p(y_i).

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
            Source and target rows.
        ys : array of shape (n_s,)
            The source rows' classes.
        yt : array of shape (n_t,), optional
            Not used.

        Returns
        -------
        w : array of shape (n_s,), zero or more, with a mean of 1.

        Raises
        ------
        InputError, NeedsError
            Without source labels; when the classifier gives no probabilities and the method needs them.
        """
        Xs, Xt = self.rows_of_both(Xs, Xt)
        name = type(self).__name__
        ys = source_labels(name, Xs, ys, Xt, yt, classes=True)
        self.classes_, code = np.unique(ys, return_inverse=True)
        self.source_priors_ = np.bincount(code) / len(code)
        if len(self.classes_) > 1:
            predictions = cross_fitted(
                self.classifier, Xs, code, Xt, self.folds, self.random_state, self.predicts_classes
            )
            self.target_priors_ = self.learn_priors(predictions)
        else:
            self.target_priors_ = np.ones(1)
        self.class_weights_ = self.target_priors_ / self.source_priors_
        self.assumption_ = checked_assumption(name, Xs, Xt, code, self.random_state) if self.check else None
        return self.finished(self.class_weights_[code], Xs)

    def test_assumption(self, Xs: Any, Xt: Any, ys: Any) -> AssumptionTest:
        """Test whether the target's rows are distributed as the source's, reweighted by class."""
        return assumption_test(Xs, Xt, ys, random_state=self.random_state)


def source_labels(name: str, Xs: Any, ys: Any, Xt: Any, yt: Any, *, classes: bool) -> np.ndarray:
    """Return the source labels as an array; refuse labels that are not there or do not fit.

    Raises
    ------
    InputError
    """
    if ys is None:
        raise InputError(f"{name} weighs source rows by their labels; give them: weigh(Xs, Xt, ys)")
    labels = as_labels(ys, where=name)
    for rows, given, domain in ((Xs, labels, "source"), (Xt, yt, "target")):
        if given is not None and len(given) != rows.shape[0]:
            raise InputError(f"{name}: {rows.shape[0]} {domain} rows but {len(given)} {domain} labels")
    if missing(labels).any():
        raise InputError(f"{name}: {int(missing(labels).sum())} source labels are missing; leave those rows out")
    return known_labels(labels, classes=classes)


def default_classifier(dense: bool) -> Any:
    """Return a logistic regression on standardised columns; sparse rows are scaled and not centred."""
    return make_pipeline(StandardScaler(with_mean=dense), LogisticRegression(max_iter=1000))


def cross_fitted(
    classifier: Any, Xs: Any, code: np.ndarray, Xt: Any, n_folds: int, random_state: int | None, predicts_classes: bool
) -> Predictions:
    """Predict every source row by a classifier fitted without the row's fold, and the target rows by all of them.

    A target row is then predicted by the very classifiers whose confusion is known: under label shift, what
    they say about target rows of a class is distributed as what they say about the source rows of that class. A
    classifier fitted on all source rows would have another confusion matrix.

    A class with one row is unknown to the classifier that does not see it, and predicted by it with probability 0.
    """
    if n_folds < 2:
        raise InputError(f"folds must be 2 or more, not {n_folds}")
    # Rows in an order of their own, by class first: then equal rows of different classes are dealt out alike too.
    order = canonical_order(Xs, code)
    Xs, code, Xt = Xs[order].astype(float), code[order], Xt[canonical_order(Xt)].astype(float)
    k = int(code[-1]) + 1
    classifier = default_classifier(isinstance(Xs, np.ndarray)) if classifier is None else classifier
    of_row = folds(Xs, n_folds, random_state, code)
    source = np.empty((len(code), k))
    target = np.empty((int(of_row.max()) + 1, Xt.shape[0], k))
    for fold in range(len(target)):
        held = of_row == fold
        model = fit_learner(classifier, Xs[~held], code[~held])
        source[held] = _predicted(model, Xs[held], k, predicts_classes)
        target[fold] = _predicted(model, Xt, k, predicts_classes)
    return Predictions(code, source, target)


def _predicted(model: Any, X: Any, k: int, predicts_classes: bool) -> np.ndarray:
    answers = np.zeros((X.shape[0], k))
    if predicts_classes:
        answers[np.arange(len(answers)), model.predict(X)] = 1.0
    elif hasattr(model, "predict_proba"):
        answers[:, model.classes_] = model.predict_proba(X)
    else:
        raise NeedsError(f"{type(model).__name__} gives no probabilities; take a classifier with predict_proba")
    return answers


@dataclass(frozen=True)
class AssumptionTest:
    """Whether the target's rows look like the source's, reweighted by class, as label shift says.

    Attributes
    ----------
    statistic : float
        Squared distance between the target's mean feature and the nearest mixture of the source's class means.
    p_value : float
        How often it would be as large under label shift.
    """

    statistic: float
    p_value: float

    @property
    def holds(self) -> bool:
        """Whether the assumption is not rejected at the level of 0.05."""
        return self.p_value >= 0.05

    def __str__(self) -> str:
        verdict = (
            "the target's rows look like the source's with other class shares"
            if self.holds
            else "the target's rows do not look like the source's with other class shares"
        )
        return f"{verdict} (p = {self.p_value:.2g})"


def checked_assumption(name: str, Xs: Any, Xt: Any, ys: np.ndarray, random_state: int | None) -> AssumptionTest:
    """Run the test of the assumption on checked rows; warn when it is clearly rejected."""
    test = assumption_test(Xs, Xt, ys, random_state=random_state)
    if test.p_value < ALARM:
        warnings.warn(
            f"{name}: the target's rows do not look like the source's with other class shares (p < {ALARM}), so label "
            "shift is not all that differs; distrust these weights",
            stacklevel=3,
        )
    return test


def assumption_test(
    Xs: Any, Xt: Any, ys: Any, *, n_features: int = 200, draws: int = 999, random_state: int | None = 0
) -> AssumptionTest:
    r"""Test label shift's assumption: the target's rows are a mixture of the source's classes.

    With random Fourier features z(x) of the standardised rows, the statistic is

    .. math:: T = \min_{q:\,\sum_j q_j = 1} \Bigl\| \bar z_t - \sum_j q_j \bar z_j \Bigr\|^2 ,

    the squared distance between the target's mean feature and the nearest mixture of the source's class means.
    Under label shift the rest is sampling noise with covariance
    :math:`M \bigl[S_t / n_t + \sum_j q_j^2 S_j / n_j\bigr] M`, with the covariances of the features in the target and
    in class j, and M the projection on what no mixture can explain. T is then distributed as a weighted sum of
    chi-square variables, from which the null distribution is drawn. No classifier is fitted.

    A change that some other mixture of classes explains as well can't be seen from rows without labels, by this test
    or any other (two classes that swap their names, say).

    Parameters
    ----------
    Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
    ys : array of shape (n_s,)
        The source rows' classes.
    n_features : int, default 200
    draws : int, default 999
        Draws from the null distribution; the smallest p-value is 1 / (draws + 1).
    random_state : int, optional, default 0
        Features and draws, and the choice of rows: at most 5,000 of the target and 5,000 of the source are looked at.

    References
    ----------
    Features: Rahimi & Recht, Random Features for Large-Scale Kernel Machines, NIPS 2007. The distance is the maximum
    mean discrepancy: Gretton et al., A Kernel Two-Sample Test, JMLR 2012.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys, yt = rng.random(300) < 0.5, rng.random(300) < 0.8
    >>> Xs, Xt = rng.normal(size=(300, 2)) + 2 * ys[:, None], rng.normal(size=(300, 2)) + 2 * yt[:, None]
    >>> print(assumption_test(Xs, Xt, ys))
    the target's rows look like the source's with other class shares (p = ...)
    >>> assumption_test(Xs, Xt + [2, -2], ys).holds
    False
    """
    Xs, Xt = (checked_rows(X, "assumption_test", dense=False) for X in (Xs, Xt))
    code = np.unique(source_labels("assumption_test", Xs, ys, Xt, None, classes=True), return_inverse=True)[1]
    rng = np.random.default_rng(random_state)
    seed = int(rng.integers(2**31))
    of_class = [np.flatnonzero(code == j) for j in range(int(code.max()) + 1)]
    most = max(2, MOST_TESTED_ROWS // len(of_class))
    kept = np.concatenate([rows[pick(Xs[rows], most, seed)] for rows in of_class])
    Xs, code, Xt = Xs[kept], code[kept], Xt[pick(Xt, MOST_TESTED_ROWS, seed)]
    Zs, Zt = _fourier_features(Xs, Xt, n_features, rng)

    counts = np.bincount(code)
    means = np.stack([Zs[code == j].mean(axis=0) for j in range(len(counts))])
    scatter = Zs - means[code]
    # Mixtures are means[0] + span of the differences; an orthonormal basis of that span, without its noise.
    differences, away = (means[1:] - means[0]).T, Zt.mean(axis=0) - means[0]
    U, size, _ = np.linalg.svd(differences, full_matrices=False)
    basis = U[:, size > 1e-9]
    rest = away - basis @ (basis.T @ away)
    statistic = float(rest @ rest)
    if statistic < 1e-20:
        return AssumptionTest(statistic, 1.0)
    q, q_squared = _shares(differences, away, scatter, code)

    # Every covariance is a sum over rows, so that their combination is one weighted sum of squares. A target of few
    # rows hardly knows its own covariance and borrows from its mixture.
    n_t = Zt.shape[0]
    own = (n_t - 1) / (n_t - 1 + FEW_ROWS)
    weight = _per_row((1 - own) * q / n_t + q_squared / counts, code)
    weight_t = np.full(n_t, own / n_t / max(1, n_t - 1))
    scatter = np.vstack([scatter, Zt - Zt.mean(axis=0)])
    scatter -= (scatter @ basis) @ basis.T
    scatter *= np.sqrt(np.append(weight, weight_t))[:, None]
    spread = np.maximum(np.linalg.eigvalsh(scatter.T @ scatter), 0.0)
    null = rng.normal(size=(draws, len(spread))) ** 2 @ spread
    return AssumptionTest(statistic, float((1 + (null >= statistic).sum()) / (1 + draws)))


def _shares(
    differences: np.ndarray, away: np.ndarray, scatter: np.ndarray, code: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares q (k,) of the mixture of class means that is nearest to the target's mean, and mean squares.

    The class means come with errors, which inflate the squares of their differences: least squares alone would find
    shares that are too even. So the expected inflation is taken off (Fuller: Measurement Error Models, 1987), from
    each principal square at most four fifths of it. A share that is not known well must not be mistaken for a small
    one: the mean square is the square and the squared standard error.
    """
    counts = np.bincount(code)
    k = len(counts)
    if k == 1:
        return np.ones(1), np.ones(1)
    error = float((scatter**2).sum()) / max(1, len(code) - k) / counts
    root = np.linalg.cholesky(np.diag(error[1:]) + error[0] + 1e-15 * np.eye(k - 1))
    whitened = np.linalg.solve(root, differences.T)
    size, V = np.linalg.eigh(whitened @ whitened.T)
    size = np.maximum(np.maximum(size - 1.0, 0.2 * size), 1e-12 * max(1.0, size[-1]))
    solve = np.linalg.solve(root.T, V / size) @ V.T
    others = solve @ (whitened @ away - np.linalg.solve(root, np.full(k - 1, error[0])))
    q = np.maximum(np.append(1.0 - others.sum(), others), 0.0)
    q /= q.sum()
    # The errors of all class means, at a share of one each, as the shares feel them; class 0 takes what others leave.
    felt = (scatter @ (solve @ whitened).T) * np.sqrt(_per_row(1.0 / counts, code))[:, None]
    variance = np.append((felt.sum(axis=1) ** 2).sum(), (felt**2).sum(axis=0))
    return q, np.minimum(q**2 + variance, 1.0)


def _per_row(of_class: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Return the weight of each row's square in sum_j of_class_j S_j, shape (n,), with S_j the covariance of class j.

    A class of few rows hardly knows its own covariance and borrows from that of all classes.
    """
    counts = np.bincount(code)
    own = (counts - 1) / (counts - 1 + FEW_ROWS)
    borrowed = float(of_class @ (1 - own)) / max(1, len(code) - len(counts))
    return np.asarray((of_class * own / np.maximum(1, counts - 1))[code] + borrowed)


def _fourier_features(Xs: Any, Xt: Any, n_features: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return cosines and sines of random projections, whose inner products approximate exp(-gamma ||x - x'||^2).

    The kernel knows differences only, so columns are scaled and need not be centred; gamma is the median rule's.
    """
    scaler = StandardScaler(with_mean=False).fit(stack_rows([Xs, Xt]))
    Xs, Xt = scaler.transform(Xs.astype(float)), scaler.transform(Xt.astype(float))
    frequencies = np.sqrt(2 * median_gamma(Xs, Xt)) * rng.normal(size=(Xs.shape[1], n_features // 2))
    phases = (Xs @ frequencies, Xt @ frequencies)
    features = [np.hstack([np.cos(phase), np.sin(phase)]) / np.sqrt(n_features // 2) for phase in phases]
    return features[0], features[1]
