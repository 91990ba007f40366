"""Probes: the leave-one-out skill of k nearest neighbours, ridge regression and a linear discriminant."""

from typing import Any

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from headstart.domain import Task
from headstart.errors import InputError
from headstart.evidence.transferability.discriminants import scatter_within, shrunk
from headstart.evidence.transferability.features import Classes, Features, as_classes, as_features, as_quantities
from headstart.evidence.transferability.log_sums import log_sum_exp
from headstart.evidence.transferability.peaks import highest
from headstart.evidence.transferability.scatter import ledoit_wolf_shrinkage

#: Penalties that ridge tries, as shares of the largest eigenvalue of the centred features' F'F.
PENALTIES = 10.0 ** np.arange(-6, 2.1, 0.5)
#: Temperatures that `skill` tries, for scores with a standard deviation of one.
TEMPERATURES = 10.0 ** np.arange(-3, 4.1, 0.5)
BLOCK = 1024


def knn(F: Any, y: Any, *, k: int = 5, task: Task = "classification", keep_copies: bool = False) -> float:
    """Leave-one-out accuracy (regression: R squared) of the k nearest neighbours by cosine.

    Rows as near as the k-th neighbour all take part, so the order of the rows makes no difference. Votes that tie are
    settled by the sum of the cosines. A row that equals another (a picture filed twice) is not its neighbour, unless
    `keep_copies`: copies would find each other and look like knowledge. Copies that differ in rounding are not seen.

    Accuracy rises with the share of the largest class: imbalanced noise scores that share. Compare candidates on one
    task only.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    k : int
        Neighbours; fewer where there are not as many other rows.
    task : "classification" or "regression"
    keep_copies : bool
        Whether equal rows are neighbours.

    Raises
    ------
    InputError
        When features or labels can't be read, all labels are the same, k is less than one, or all rows are equal.

    References
    ----------
    For its use as a score: Bolya, Mittapalli & Hoffman: Scalable diverse model selection for accessible transfer
    learning. NeurIPS 2021.

    Examples
    --------
    >>> knn([[1.0, 0.1], [1.0, 0.2], [0.1, 1.0], [0.2, 1.0]], [0, 0, 1, 1], k=1)
    1.0
    """
    if k < 1:
        raise InputError(f"k must be one or more, not {k}")
    features = as_features(F)
    if task == "regression":
        target = as_quantities(y, features.n)
        predicted = _neighbours_mean(features, target[:, None], k, keep_copies)[:, 0]
        return 1 - _sum_of_squares(target - predicted) / _loo_baseline(target)
    classes = as_classes(y, features.n)
    votes = _neighbours_mean(features, classes.one_hot, k, keep_copies)
    return float(np.mean(votes.argmax(axis=1) == classes.codes))


def ridge(F: Any, y: Any, *, task: Task = "classification") -> float:
    r"""Leave-one-out skill of ridge regression, in closed form.

    With the smoother :math:`H = 11^\top / n + U \frac{S^2}{S^2 + \lambda} U^\top` (an intercept that is not penalised),
    the prediction of row i by the fit without it is

    .. math:: y_i - \frac{y_i - (Hy)_i}{1 - H_{ii}}

    For classes y is one-hot, and the predictions become probabilities by `skill`: the score is the share of the
    labels' entropy that they explain, 1 at best and 0 for noise, however imbalanced. For regression it is R squared
    against the leave-one-out mean. The penalty is the one of 17, relative to the largest eigenvalue, with the smallest
    leave-one-out sum of squares. Since that choice and the temperature see the same rows, noise can score a little
    above 0. Rows that repeat others (`Features.copies`) are predicted from their copies, which flatters.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    task : "classification" or "regression"

    Raises
    ------
    InputError
        When features or labels can't be read, or all labels are the same.

    References
    ----------
    Allen: The relationship between variable selection and data augmentation and a method for prediction.
    Technometrics 1974.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise, y = rng.normal(size=(100, 300)), np.repeat([0, 1], 50)
    >>> round(ridge(noise, y), 2), round(ridge(noise + y[:, None], y), 2)
    (0.0, 1.0)
    """
    features = as_features(F)
    if task == "regression":
        target = as_quantities(y, features.n)
        return 1 - _sum_of_squares(target - ridge_loo(features, target[:, None])[:, 0]) / _loo_baseline(target)
    classes = as_classes(y, features.n)
    return skill(ridge_loo(features, classes.one_hot), classes)


def ridge_loo(features: Features, Y: np.ndarray, penalties: np.ndarray = PENALTIES) -> np.ndarray:
    """Return each row's prediction by ridge fitted without it, shape (n, t), with the best of the penalties.

    `penalties` are shares of the largest eigenvalue of the centred F'F; one penalty serves all t columns of Y.
    """
    U, s = features.factors
    squares = (s / s[0]) ** 2 if len(s) else s
    gains = squares[:, None] / (squares[:, None] + penalties)
    leverage = 1 / features.n + U**2 @ gains
    centred = Y - Y.mean(axis=0)
    z = U.T @ centred
    # From the heaviest penalty to the lightest, so that of equals the heavier is kept.
    best, least = centred, np.inf
    for j in np.argsort(penalties)[::-1]:
        error = (centred - U @ (gains[:, [j]] * z)) / (1 - leverage[:, [j]])
        squared = _sum_of_squares(error)
        if squared < least:
            best, least = error, squared
    return Y - best


def lda(F: Any, y: Any, *, shrinkage: float | None = None) -> float:
    r"""Leave-one-out skill of a linear discriminant with a shrunk covariance, in closed form.

    The covariance within classes is :math:`\Sigma = (1-a) S_w + a \frac{\mathrm{tr}\, S_w}{d} I`, a that of Ledoit
    and Wolf unless given. A row is scored by its distance to the class means; without row i of class c, with
    :math:`\delta = x_i - \mu_c`, the mean of c moves to :math:`x_i - q \delta` and the covariance to

    .. math:: \Sigma_{-i} = \Sigma - \frac{(1-a) q}{n} \delta \delta^\top, \quad q = \frac{n_c}{n_c - 1}

    whose inverse follows from that of :math:`\Sigma` by Sherman and Morrison. The amount of shrinkage is that of all
    rows. The distances become probabilities by `skill`; the score is the share of the labels' entropy that they
    explain, 1 at best and 0 for noise. A row that is alone in its class can't be predicted and is not scored. Rows
    that repeat others (`Features.copies`) flatter the score.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    shrinkage : float, optional
        The a of the formula, from 0 to 1.

    Raises
    ------
    InputError
        When features or labels can't be read, there is one class only, no class has two rows, or the shrinkage is not
        between 0 and 1.

    References
    ----------
    Lachenbruch & Mickey: Estimation of error rates in discriminant analysis. Technometrics 1968.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise, y = rng.normal(size=(100, 300)), np.repeat([0, 1], 50)
    >>> round(lda(noise, y), 2), round(lda(noise + y[:, None], y), 2)
    (0.0, 1.0)
    """
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise InputError(f"shrinkage must lie between 0 and 1, not {shrinkage:g}")
    features = as_features(F)
    classes = as_classes(y, features.n)
    scored = classes.counts[classes.codes] > 1
    if not scored.any():
        raise InputError("no class has two rows, so none can be predicted from others; add rows")
    return skill(lda_loo(features, classes, shrinkage)[scored], classes, scored)


def lda_loo(features: Features, classes: Classes, shrinkage: float | None = None) -> np.ndarray:
    """Return minus half the squared distance of each row to each class mean, all estimated without it, shape (n, k).

    The row of a class of one keeps its place among the rows, but its own class's distance means nothing there.
    """
    n, codes = features.n, classes.codes
    if not features.rank:
        return np.zeros((n, classes.k))
    X = features.coordinates
    Sw = scatter_within(X, classes, features.singular_values**2) / n
    if shrinkage is None:
        shrinkage = _within_shrinkage(features, classes, Sw)
    top = float(features.singular_values[0] ** 2) / n
    Z = solve_triangular(
        cholesky(shrunk(Sw, features.d, shrinkage, top), lower=True, check_finite=False), X.T, lower=True
    )
    Z = np.ascontiguousarray(Z.T)
    M = classes.means(Z)
    D = Z - M[codes]
    h = np.einsum("ir,ir->i", D, D)
    # Q(x_i - mu_k, delta_i) and the squared lengths, from x_i - mu_k = delta_i + (mu_c - mu_k).
    across = D @ M.T
    across = h[:, None] + across[np.arange(n), codes][:, None] - across
    gram = M @ M.T
    between = np.diag(gram)[:, None] + np.diag(gram) - 2 * gram
    distances = 2 * across - h[:, None] + between[codes]
    counts = classes.counts[codes]
    q = np.where(counts > 1, counts / np.maximum(counts - 1, 1), 1.0)
    c = (1 - shrinkage) * q / n
    left = np.maximum(1 - c * h, 1e-12)
    distances += (c / left)[:, None] * across**2
    distances[np.arange(n), codes] = q**2 * h / left
    return -0.5 * distances


def skill(scores: np.ndarray, classes: Classes, rows: np.ndarray | None = None) -> float:
    r"""Return which share of the labels' entropy scores explain, between 0 and 1.

    The scores of each row, shape (m, k), become probabilities proportional to :math:`\pi_c e^{\tau s_c}`, where
    :math:`\pi` are the shares of the classes and the one temperature :math:`\tau \ge 0` is the one with the smallest
    log-loss; the result is one less that log-loss divided by the log-loss of the shares alone. `rows` is the mask of
    the m rows that are scored, where not all are.
    """
    codes = classes.codes if rows is None else classes.codes[rows]
    own = np.arange(len(codes))
    logs = np.log(classes.shares)
    scores = scores - scores.mean(axis=1, keepdims=True)
    spread = float(scores.std())
    entropy = -float(logs[codes].mean())
    if spread <= 1e-12 * float(np.abs(scores).max(initial=0.0)) or entropy <= 0:
        return 0.0
    scores = scores / spread

    def gain(temperature: np.ndarray) -> np.ndarray:
        logits = logs + temperature * scores
        return np.array([float(np.mean(logits[own, codes] - log_sum_exp(logits)[:, 0]))])

    tried = np.array([0.0, *TEMPERATURES])
    values = np.array([gain(t)[0] for t in tried])
    best = int(values.argmax())
    peak = highest(gain, tried[[max(best - 1, 0)]], tried[[min(best + 1, len(tried) - 1)]], steps=25)
    return float(1 + max(gain(peak)[0], values.max(), -entropy) / entropy)


def _within_shrinkage(features: Features, classes: Classes, Sw: np.ndarray) -> float:
    X = features.coordinates
    lengths = np.sum((X - classes.means(X)[classes.codes]) ** 2, axis=1)
    return ledoit_wolf_shrinkage(float(np.trace(Sw)), float(np.sum(Sw**2)), lengths, features.d)


def _neighbours_mean(features: Features, Y: np.ndarray, k: int, keep_copies: bool) -> np.ndarray:
    """Return the mean label of each row's neighbours, shape (n, t); ties of classes are broken by the cosines."""
    n = features.n
    lengths = np.linalg.norm(features.F, axis=1, keepdims=True)
    X = np.divide(features.F, lengths, out=np.zeros_like(features.F), where=lengths > 0)
    groups = np.arange(n) if keep_copies else features.groups
    if not groups.any():
        raise InputError("all rows are equal, so none has a neighbour; leave out copies or give keep_copies=True")
    means = np.empty(Y.shape)
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        cosines = X[rows] @ X.T
        own = groups[rows, None] == groups
        cosines[own] = -np.inf
        most = np.minimum(k, n - own.sum(axis=1))
        kth = np.partition(cosines, n - k, axis=1)[:, n - k] if k < n else np.full(len(cosines), -np.inf)
        # With fewer others than k, all of them.
        near = (cosines >= np.where(np.isfinite(kth), kth, -2.0)[:, None] - 1e-12) & ~own
        means[rows] = near @ Y / near.sum(axis=1, keepdims=True)
        if Y.shape[1] > 1:
            means[rows] += 1e-9 * (np.where(near, cosines, 0.0) @ Y) / most[:, None]
    return means


def _sum_of_squares(x: np.ndarray) -> float:
    return float(np.sum(x**2))


def _loo_baseline(y: np.ndarray) -> float:
    """Return the squared error of predicting each label by the mean of the others."""
    return _sum_of_squares((y - y.mean()) * len(y) / (len(y) - 1))
