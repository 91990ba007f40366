"""Do the labels depend on the domain beyond what the rows explain? A test of p(y | x)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from headstart.draws import folds

#: Components that models of labels and of domains see, and up to which their products are features too.
MOST_COMPONENTS, MOST_MULTIPLIED = 20, 12
#: Folds of the models that are not a forest; a forest predicts the rows that each tree did not see.
FOLDS, TREES = 5, 60
#: Probabilities are not nearer to 0 and 1 than this.
LEAST = 1e-3


def components(X: Any, random_state: int) -> np.ndarray:
    """Return scaled columns, shape (n, c); with more than `MOST_COMPONENTS`, their leading principal components."""
    if not issparse(X) and X.shape[1] <= MOST_COMPONENTS:
        return np.asarray(StandardScaler().fit_transform(X))
    from sklearn.decomposition import TruncatedSVD

    centered = X if issparse(X) else X - X.mean(axis=0)
    if min(centered.shape) <= MOST_COMPONENTS:
        # Few rows: the left singular vectors are all there is, and they are found from the products of rows.
        G = centered @ centered.T
        values, vectors = np.linalg.eigh(G.toarray() if issparse(G) else G)
        keep = values > 1e-10 * max(values[-1], 1e-300)
        return np.asarray(StandardScaler().fit_transform(vectors[:, keep] * np.sqrt(values[keep])))
    found = TruncatedSVD(MOST_COMPONENTS, random_state=random_state).fit_transform(centered)
    return np.asarray(StandardScaler().fit_transform(found))


def held_out_probabilities(F: np.ndarray, codes: np.ndarray, random_state: int) -> np.ndarray:
    """Return the probabilities of classes 0 ... k - 1 of each row by a model that did not see it, shape (n, k).

    Of three models the one with the least held-out log-loss: logistic regression on the columns, on them and their
    squares and products, and a random forest.
    """
    k = int(codes.max()) + 1
    shares = np.bincount(codes, minlength=k) / len(codes)
    if k < 2 or not F.shape[1] or np.bincount(codes).min() < 2:
        return np.tile(shares, (len(codes), 1))
    fold = folds(F, FOLDS, random_state, codes)
    found = []
    for model in _linear(F, LogisticRegression(max_iter=500)):
        P = np.tile(shares, (len(codes), 1))
        for held in np.unique(fold):
            learned = fold != held
            if len(np.unique(codes[learned])) > 1:
                fitted = model.fit(F[learned], codes[learned])
                P[np.ix_(fold == held, fitted.classes_)] = fitted.predict_proba(F[fold == held])
        found.append(P)
    forest = RandomForestClassifier(TREES, min_samples_leaf=5, oob_score=_out_of_bag, random_state=random_state)
    out_of_bag = forest.fit(F, codes).oob_decision_function_
    found.append(np.where(np.isnan(out_of_bag), shares, out_of_bag))
    found = [_inside(P) for P in found]
    losses = [-float(np.log(P[np.arange(len(codes)), codes]).mean()) for P in found]
    return found[int(np.argmin(losses))]


def held_out_means(F: np.ndarray, y: np.ndarray, random_state: int) -> np.ndarray:
    """Return the mean of a quantity at each row by a model that did not see it, shape (n,).

    Of ridge regression on the columns, on them and their products, and a random forest, that with the least error.
    """
    if not F.shape[1] or np.ptp(y) == 0:
        return np.full(len(y), y.mean())
    fold = folds(F, FOLDS, random_state)
    found = []
    for model in _linear(F, Ridge(1.0)):
        mean = np.empty(len(y))
        for held in np.unique(fold):
            mean[fold == held] = model.fit(F[fold != held], y[fold != held]).predict(F[fold == held])
        found.append(mean)
    forest = RandomForestRegressor(TREES, min_samples_leaf=5, oob_score=_out_of_bag, random_state=random_state)
    found.append(np.asarray(forest.fit(F, y).oob_prediction_))
    return found[int(np.argmin([np.square(y - mean).mean() for mean in found]))]


def _out_of_bag(*_: Any) -> float:
    """Stand in for a score of the rows out of the bag: their predictions are wanted, not a score."""
    return 0.0


def _linear(F: np.ndarray, model: Any) -> list[Any]:
    products = PolynomialFeatures(2, interaction_only=F.shape[1] > MOST_MULTIPLIED, include_bias=False)
    return [
        make_pipeline(StandardScaler(), model),
        make_pipeline(products, StandardScaler(), model),
    ]


def _inside(P: np.ndarray) -> np.ndarray:
    P = np.maximum(P, LEAST)
    return np.asarray(P / P.sum(axis=1, keepdims=True))


def residual_products(F: np.ndarray, R: np.ndarray, D: np.ndarray) -> np.ndarray:
    r"""Return the products whose means are 0 when y does not depend on the domain given x, shape (n, columns).

    .. math:: (y_{ic} - q_c(x_i)) (d_i - e(x_i)) w_m(x_i), \quad w = 1, x_1, ..., x_c

    with held-out predictions q of the labels and e of the domain. Each mean is 0 up to the *product* of the errors of
    q and e, so either model may be rather wrong. w_m makes the test see effects that change their sign with x.

    References
    ----------
    Shah & Peters: The hardness of conditional independence testing and the generalised covariance measure. Annals of
    Statistics 48, 2020. Weights: Scheidegger, Hörrmann, Bühlmann: The Weighted Generalised Covariance Measure. JMLR
    23, 2022.
    """
    W = np.column_stack([np.ones(len(F)), np.clip(F, -3, 3)])
    return np.asarray((R[:, :, None] * (D[:, None] * W)[:, None, :]).reshape(len(F), -1))


def largest_mean(S: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the largest |mean| / standard error over the columns of S among the rows of each mask, shape (m,).

    `masks` has a 0/1 column for each choice of rows, shape (n, m).
    """
    n = np.maximum(masks.sum(axis=0), 1.0)
    mean = masks.T @ S / n[:, None]
    variance = np.maximum(masks.T @ np.square(S) / n[:, None] - np.square(mean), 0.0)
    scale = np.sqrt(variance / n[:, None])
    t = np.divide(np.abs(mean), scale, out=np.zeros_like(mean), where=scale > 1e-12)
    return np.asarray(t.max(axis=1))


def largest_of_chance(S: np.ndarray, draws: int, random_state: int) -> np.ndarray:
    """Return what `largest_mean` is when all means are 0, by random multipliers, shape (draws,)."""
    rng = np.random.default_rng(random_state)
    centered = S - S.mean(axis=0)
    scale = np.sqrt(np.square(centered).sum(axis=0))
    means = np.abs(rng.normal(size=(draws, len(S))) @ centered)
    return np.asarray(np.divide(means, scale, out=np.zeros_like(means), where=scale > 1e-12).max(axis=1))
