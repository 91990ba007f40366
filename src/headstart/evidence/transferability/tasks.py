"""Task2Vec: a task as a vector of how much each feature matters to it, and how far apart tasks are."""

from typing import Any

import numpy as np
from scipy.special import softmax

from headstart.errors import InputError
from headstart.evidence.transferability.features import as_classes, as_features

#: Penalty of the head, as a share of the largest eigenvalue of the centred features' F'F.
PENALTY = 1e-3


def task2vec(F: Any, y: Any) -> np.ndarray:
    r"""Embed a task by the diagonal Fisher information of a probe's features, shape (d,).

    The paper measures the Fisher information of the weights of a whole probe network and averages it over each filter.
    This is the part of it that can be had from features: a gain :math:`g_j`, which is 1, on each feature j below a
    softmax head W,

    .. math:: \frac{1}{n} \sum_i F_{ij}^2 \Bigl( \sum_c p_{ic} W_{jc}^2 - \bigl(\sum_c p_{ic} W_{jc}\bigr)^2 \Bigr)

    where p are the head's probabilities. The head is ridge regression on the one-hot labels, in closed form, with
    the log of the classes' shares added: a softmax head's first step rather than its optimum. The features are centred.

    Embeddings can be compared where they come from the *same* probe, so the columns must mean the same.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
        Features of the task's rows under the probe.
    y : array-like of shape (n,)

    Raises
    ------
    InputError
        When features or labels can't be read, or there is one class only.

    References
    ----------
    Achille, Lam, Tewari, Ravichandran, Maji, Fowlkes, Soatto & Perona: Task2Vec: Task embedding for meta-learning.
    ICCV 2019.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> F = rng.normal(size=(300, 3))
    >>> embedding = task2vec(F, F[:, 1] > 0)
    >>> int(embedding.argmax())
    1
    """
    features = as_features(F)
    classes = as_classes(y, features.n)
    if not features.rank:
        return np.zeros(features.d)
    U, s = features.factors
    C = features.centred
    # W = F'(FF' + lambda I)^-1 Y, with U spanning the rows of the centred matrix.
    W = C.T @ (U @ ((U.T @ classes.one_hot) / (s**2 + PENALTY * s[0] ** 2)[:, None]))
    p = softmax(C @ W + np.log(classes.shares), axis=1)
    return np.asarray(np.mean(C**2 * np.maximum(p @ (W**2).T - (p @ W.T) ** 2, 0.0), axis=0))


def task_distance(first: Any, second: Any) -> float:
    r"""Return the distance between two tasks' embeddings: 0 the same, up to 1.

    .. math:: 1 - \cos\Bigl(\frac{h_0}{h_0 + h_1}, \frac{h_1}{h_0 + h_1}\Bigr)

    Features that matter to neither task are left out. Each of the others counts alike, however little it matters to
    both, so with many idle features the distance is mostly noise.

    Raises
    ------
    InputError
        When the embeddings differ in length, hold negative numbers, or one is zero.

    Examples
    --------
    >>> round(task_distance([1.0, 2.0], [1.0, 2.0]), 6), task_distance([1.0, 0.0], [0.0, 1.0])
    (0.0, 1.0)
    """
    h0, h1 = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if h0.ndim != 1 or h0.shape != h1.shape:
        raise InputError(f"embeddings of shapes {h0.shape} and {h1.shape} can't be compared; use one probe for both")
    if not ((h0 >= 0).all() and (h1 >= 0).all() and h0.any() and h1.any()):
        raise InputError("an embedding is zero or holds negative numbers; its features say nothing of its task")
    either = (h0 > 0) | (h1 > 0)
    both = h0[either] + h1[either]
    a, b = h0[either] / both, h1[either] / both
    return float(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
