"""What a linear learner's loss would be without each of its rows, without fitting it anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.errors import InputError, NeedsError
from headstart.fitting import is_linear, is_plain

#: Numbers that a learner may have: the curvature is a matrix of so many rows and columns.
MOST_PARAMETERS = 4000
#: Numbers held at once for the rows that are left out together.
BLOCK = 4_000_000
#: A row whose fit keeps less than this share of its own residual decides the fit alone.
LEAST_LEFT = 1e-9


def refuses_removal(learner: Any, columns: int, classes: int = 1) -> str | None:
    """Say why `removal_effects` can't work with a learner; None where it can.

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> refuses_removal(LogisticRegression(), 10, 2), refuses_removal(SVC(), 10, 2)
    (None, 'SVC is no linear or logistic regression with a squared penalty')
    """
    name = type(learner).__name__
    if not is_linear(learner) or not is_plain(learner) or getattr(learner, "solver", "") == "liblinear":
        return f"{name} is no linear or logistic regression with a squared penalty"
    parameters = (columns + 1) * (classes if classes > 2 else 1)
    if parameters > MOST_PARAMETERS:
        return f"{name} has {parameters} parameters here, and {MOST_PARAMETERS} are the most"
    return None


def removal_effects(model: Any, X: Any, y: Any, w: np.ndarray, Xq: Any, yq: Any) -> np.ndarray:
    r"""Return how much more a fitted linear learner would lose at each row asked about, without each learned row.

    .. math:: v_{qi} = \ell(x_q, y_q; \hat\theta_{-i}) - \ell(x_q, y_q; \hat\theta), \qquad
              \hat\theta_{-i} = \hat\theta + H_{-i}^{-1} w_i \nabla \ell_i(\hat\theta)

    with the penalised curvature H of all rows, less the row's own: one Newton step from the fit to the fit without the
    row. For squared loss that is exact (Sherman & Morrison 1950). For log loss it is Pregibon's one-step fit; its
    first-order part is the influence function of Koh & Liang (2017), which leaves the row in the curvature. A row that
    helps has a value above zero.

    Parameters
    ----------
    model : fitted Ridge, LinearRegression or LogisticRegression
    X, y, w : arrays of shape (n, d), (n,) and (n,)
        What it was fitted on, weights included.
    Xq, yq : arrays of shape (m, d) and (m,)

    Returns
    -------
    array of shape (m, n)
        In squared error, or in log loss.

    Raises
    ------
    NeedsError
        When the learner is another, has too many parameters, or a row decides the fit alone.

    References
    ----------
    Koh, Liang: Understanding Black-box Predictions via Influence Functions. ICML 2017. Pregibon: Logistic Regression
    Diagnostics. Annals of Statistics 9, 1981.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 1.0, 2.0, 9.0])
    >>> effects = removal_effects(Ridge().fit(X, y), X, y, np.ones(4), np.array([[1.5]]), np.array([1.5]))
    >>> effects.argmin(axis=1)                        # the row that is off the line
    array([3])
    """
    classes = getattr(model, "classes_", None)
    lack = refuses_removal(model, X.shape[1], 1 if classes is None else len(classes))
    if lack:
        raise NeedsError(f"{lack}; value the rows by their neighbours")
    A, Q = (_with_ones(rows, bool(model.fit_intercept)) for rows in (X, Xq))
    w = np.asarray(w, dtype=float)
    if classes is None:
        penalty = float(getattr(model, "alpha", 0.0))
        return _squares(A, np.asarray(y, dtype=float), w, Q, np.asarray(yq, dtype=float), penalty, model)
    return _logistic(A, np.asarray(y), w, Q, np.asarray(yq), model)


def _with_ones(X: Any, intercept: bool) -> np.ndarray:
    dense = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=float)
    return np.hstack([dense, np.ones((len(dense), 1))]) if intercept else dense


def _penalties(width: int, strength: float, intercept: bool) -> np.ndarray:
    """Return the penalty of each parameter: none for the intercept."""
    penalty = np.full(width, strength)
    if intercept:
        penalty[-1] = 0.0
    return penalty


def _inverse_times(H: np.ndarray, B: np.ndarray) -> np.ndarray:
    from scipy.linalg import cho_factor, cho_solve

    try:
        return np.asarray(cho_solve(cho_factor(H), B))
    except np.linalg.LinAlgError as error:
        raise NeedsError(
            "the rows do not determine the learner's fit; give it a penalty (ridge, a smaller C), or value the rows by "
            "their neighbours"
        ) from error


def _squares(
    A: np.ndarray, y: np.ndarray, w: np.ndarray, Q: np.ndarray, yq: np.ndarray, alpha: float, model: Any
) -> np.ndarray:
    theta = np.append(model.coef_, model.intercept_) if model.fit_intercept else np.ravel(model.coef_)
    H = (A * w[:, None]).T @ A + np.diag(_penalties(A.shape[1], alpha, bool(model.fit_intercept)))
    G = _inverse_times(H, A.T)
    left = 1 - w * np.einsum("ij,ji->i", A, G)
    if left.min() < LEAST_LEFT:
        raise NeedsError("a row decides the learner's fit alone; give it a penalty (ridge), or value by neighbours")
    step = w * (A @ theta - y) / left
    change = (Q @ G) * step
    residual = (Q @ theta - yq)[:, None]
    return np.asarray(change * (2 * residual + change))


def _logistic(A: np.ndarray, y: np.ndarray, w: np.ndarray, Q: np.ndarray, yq: np.ndarray, model: Any) -> np.ndarray:
    from sklearn.utils.class_weight import compute_sample_weight

    intercept = bool(model.fit_intercept)
    W = np.hstack([model.coef_, np.reshape(model.intercept_, (-1, 1))]) if intercept else model.coef_
    classes, k, width = model.classes_, len(W), A.shape[1]
    w = w * compute_sample_weight(model.class_weight, y)
    if not np.isin(yq, classes).all():
        raise InputError("a row asked about is of a class that was not learned")
    P, Y = _probabilities(A @ W.T), _one_hot(y, classes, k)
    H = np.zeros((k, width, k, width))
    for a in range(k):
        for b in range(a + 1):
            part = w * P[:, a] * ((a == b) - P[:, b])
            H[a, :, b, :] = H[b, :, a, :] = (A * part[:, None]).T @ A
    for a in range(k):
        H[a, :, a, :] += np.diag(_penalties(width, 1 / model.C, intercept))
    if intercept and k > 1:
        # A number added to all intercepts changes no probability: no gradient lies that way, so it may be curved.
        H[:, -1, :, -1] += max(float(w.sum()), 1.0)
    curvature_of_all = H.reshape(k * width, k * width)
    scores = Q @ W.T
    codes = np.searchsorted(classes, yq)
    now = _log_losses(scores, codes)
    values = np.empty((len(Q), len(A)))
    block = max(1, BLOCK // max(k * k * width, len(Q) * k))
    eye = np.eye(k)
    for start in range(0, len(A), block):
        of = slice(start, start + block)
        rows, p, n = A[of], P[of], len(A[of])
        # Columns of J are the gradients of each row's k scores: x_i for one class, zero for the others.
        J = np.einsum("id,ab->adib", rows, eye).reshape(k * width, n * k)
        G = _inverse_times(curvature_of_all, J).reshape(k, width, n, k)
        M = np.einsum("id,adib->iab", rows, G)
        S = w[of, None, None] * (p[:, :, None] * eye - p[:, :, None] * p[:, None, :])
        gradient = w[of, None] * (p - Y[of])
        step = np.linalg.solve(eye - S @ M, gradient[:, :, None])[:, :, 0]
        change = np.einsum("qd,adi->qia", Q, np.einsum("adib,ib->adi", G, step))
        values[:, of] = _log_losses(scores[:, None, :] + change, codes[:, None]) - now[:, None]
    return values


def _probabilities(scores: np.ndarray) -> np.ndarray:
    from scipy.special import expit, softmax

    return np.asarray(expit(scores) if scores.shape[1] == 1 else softmax(scores, axis=1))


def _one_hot(y: np.ndarray, classes: np.ndarray, k: int) -> np.ndarray:
    """Return the labels as k columns; one column, of the second class, where there is one score for two classes."""
    return np.asarray(y[:, None] == (classes[1:] if k == 1 else classes)[None, :], dtype=float)


def _log_losses(scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
    from scipy.special import logsumexp

    if scores.shape[-1] == 1:
        return np.asarray(np.logaddexp(0.0, np.where(codes == 1, -1.0, 1.0) * scores[..., 0]))
    own = np.take_along_axis(scores, np.broadcast_to(codes, scores.shape[:-1])[..., None], axis=-1)[..., 0]
    return np.asarray(logsumexp(scores, axis=-1) - own)
