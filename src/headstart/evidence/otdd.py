"""The optimal transport distance between labelled data sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from headstart.domain import known_labels, missing
from headstart.draws import pick
from headstart.errors import InputError, NeedsError
from headstart.evidence.distances import frechet_distance
from headstart.evidence.measured import Measured, two_samples
from headstart.inputs import labels_of
from headstart.kernels import squared_distances

#: Labelled rows of each domain that are transported.
MOST_ROWS = 1000


def otdd(Xs: Any, Xt: Any, ys: Any, yt: Any, *, most: int = MOST_ROWS, random_state: int = 0) -> Measured:
    r"""Return the optimal transport dataset distance: what it costs to move the labelled rows of one onto the other.

    .. math::
        OTDD^2 = \min_{\pi} \sum_{ij} \pi_{ij} \left( \|x_i - x'_j\|^2 + W_2^2(\alpha_{y_i}, \alpha_{y'_j}) \right)

    A label stands for the Gaussian of its rows, so labels of different names, or of another number of classes, can be
    compared: the distance of two labels is that of their Gaussians, :func:`frechet_distance`. Rows whose label is not
    known are left out. There is no p-value. The distance of two samples of one distribution is above 0, and grows
    with the number of columns: compare sources with one another, at the same number of rows.

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)
    ys, yt : array of shape (n_s,) and (n_t,)
        Classes; some may be missing.
    most : int
        Labelled rows of each domain that are transported, drawn at random.

    Raises
    ------
    InputError, NeedsError
        When the samples differ in columns, or a domain has no known label.

    References
    ----------
    Alvarez-Melis & Fusi: Geometric Dataset Distances via Optimal Transport. NeurIPS 2020.

    Examples
    --------
    >>> X, y = np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1])
    >>> print(otdd(X, X + 1, y, y))  # every row moves by 1, and so does every label: the root of 1 + 1
    1.41
    """
    import ot

    Xs, Xt = two_samples(Xs, Xt, "otdd", least=1)
    sides = []
    for X, y, which in ((Xs, ys, "ys"), (Xt, yt, "yt")):
        labels = labels_of(y, X.shape[0], "otdd", which)
        if labels is None or missing(labels).all():
            raise NeedsError(f"otdd compares labels; give {which}, known for some rows")
        classes, codes = np.unique(known_labels(labels, classes=True), return_inverse=True)
        sides.append((X[~missing(labels)], codes, len(classes)))
    if max(k for *_, k in sides) > most:
        raise InputError(f"otdd: more than {most} classes; it compares classes, not quantities")
    (Xs, cs, k_s), (Xt, ct, k_t) = sides
    between = np.array([[frechet_distance(Xs[cs == a], Xt[ct == b]) for b in range(k_t)] for a in range(k_s)])
    rows_s, rows_t = pick(Xs, most, random_state), pick(Xt, most, random_state)
    A, B = (X.toarray() if issparse(X) else X for X in (Xs[rows_s], Xt[rows_t]))
    C = squared_distances(A, B) + between[np.ix_(cs[rows_s], ct[rows_t])]
    cost = float(ot.emd2([], [], C, numItermax=1_000_000))
    how = f"{len(A)} and {len(B)} labelled rows, exact transport, labels as Gaussians"
    return Measured(float(np.sqrt(max(cost, 0.0))), None, how)
