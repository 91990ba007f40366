"""Scores that read what the source model says of the target rows: NCE and LEEP."""

from typing import Any

import numpy as np

from headstart.domain import as_labels, missing
from headstart.errors import InputError
from headstart.evidence.transferability.features import as_classes


def nce(source_labels: Any, y: Any) -> float:
    r"""Negative conditional entropy of the target labels, given the source model's labels.

    .. math:: -H(Y|Z) = \sum_{y,z} P(y,z) \log \frac{P(y,z)}{P(z)}

    It is 0 at best: each source label occurs with one target label only. That is also so when every row has a source
    label of its own, so a source with more classes looks better.

    Parameters
    ----------
    source_labels : array-like of shape (n,)
        The source model's label z for each target row: its likeliest class.
    y : array-like of shape (n,)
        The target labels.

    Raises
    ------
    InputError
        When the numbers of labels differ, one is missing, or the target has one class only.

    References
    ----------
    Tran, Nguyen & Hassner: Transferability and hardness of supervised classification tasks. ICCV 2019.

    Examples
    --------
    >>> round(nce(["dog", "dog", "car", "car"], [0, 1, 1, 1]), 4)
    -0.3466
    """
    z = as_labels(source_labels, where="source labels")
    classes = as_classes(y, len(z))
    if missing(z).any():
        raise InputError("a source label is missing; give one for each row")
    _, codes = np.unique(z.astype(str) if z.dtype.kind == "O" else z, return_inverse=True)
    joint = np.bincount(codes * classes.k + classes.codes).astype(float)
    joint.resize((int(codes.max()) + 1) * classes.k)
    joint = joint.reshape(-1, classes.k) / len(z)
    z_share = np.broadcast_to(joint.sum(axis=1, keepdims=True), joint.shape)
    there = joint > 0
    return float(np.sum(joint[there] * np.log(joint[there] / z_share[there])))


def leep(source_probabilities: Any, y: Any) -> float:
    r"""Log expected empirical prediction: the mean log-likelihood of the labels under the source model's classes.

    .. math:: \frac{1}{n} \sum_i \log \sum_z P(y_i|z)\, \theta(x_i)_z, \quad
        P(y|z) = \frac{P(y,z)}{P(z)}, \quad P(y,z) = \frac{1}{n} \sum_{i: y_i=y} \theta(x_i)_z

    It is 0 at best. It needs the probabilities of the source model's own classes, and says nothing of what its
    features could do with another head. A source class that gets no probability anywhere is left out.

    Parameters
    ----------
    source_probabilities : array-like of shape (n, z)
        The source model's probabilities for each target row.
    y : array-like of shape (n,)
        The target labels.

    Raises
    ------
    InputError
        When a row of the probabilities does not sum to one, or the labels don't fit or have one class only.

    References
    ----------
    Nguyen, Hassner, Seeger & Archambeau: LEEP: A new measure to evaluate transferability of learned representations.
    ICML 2020.

    Examples
    --------
    >>> round(leep([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]], ["a", "a", "b", "b"]), 4)
    -0.2955
    """
    theta = np.asarray(source_probabilities, dtype=np.float64)
    if theta.ndim != 2 or not len(theta):
        raise InputError(f"source probabilities must form a table of shape (n, z), not {theta.shape}")
    # Written so that NaN fails too.
    wrong = ~((theta >= 0).all(axis=1) & (np.abs(theta.sum(axis=1) - 1) <= 1e-3))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"source probabilities: row {row + 1} does not hold probabilities that sum to one; give the softmax of "
            "the source model"
        )
    classes = as_classes(y, len(theta))
    theta = theta / theta.sum(axis=1, keepdims=True)
    joint = classes.one_hot.T @ theta
    theta, joint = theta[:, joint.any(axis=0)], joint[:, joint.any(axis=0)]
    given = joint / joint.sum(axis=0)
    expected = np.einsum("iz,iz->i", theta, given[classes.codes])
    return float(np.mean(np.log(expected)))
