"""Validators that look at whether predicted classes are clusters of the target's rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.choose.validators.evidence import Unlabelled
from headstart.draws import canonical_order, pick

#: Target rows whose distances are looked at.
MOST_ROWS = 2000
STARTS = 5


def class_clusters(evidence: Unlabelled) -> float:
    r"""Return the adjusted mutual information of predicted classes and k-means clusters (ClassAMI).

    .. math:: \frac{I - E[I]}{(H_y + H_c) / 2 - E[I]}

    with as many clusters as the source has classes, of the target rows seen from their mean and scaled to length 1.
    The rows are the same for every candidate, so that scores can be compared (the paper clusters each network's own
    features). 1 where classes are the clusters, about 0 where they have nothing to do with each other, and 0 for a
    collapsed model.

    References
    ----------
    Musgrave, Belongie, Lim: Three New Validators and a Large-Scale Benchmark Ranking for Unsupervised Domain
    Adaptation. arXiv 2022.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    predicted = evidence.target_predicted
    if len(np.unique(predicted)) < 2:
        return 0.0
    rows = unit_rows(evidence.target_rows)
    return float(adjusted_mutual_info_score(predicted, k_means(rows, len(evidence.classes))))


def class_silhouette(evidence: Unlabelled) -> float:
    r"""Return the mean silhouette of the predicted classes in the target rows (ClassSS).

    .. math:: \frac{1}{n} \sum_i \frac{b_i - a_i}{\max(a_i, b_i)}

    with a the mean distance to rows of the own class, and b to those of the nearest other one; rows as for
    `class_clusters`. A collapsed model scores -1. At most 2,000 rows are looked at.

    References
    ----------
    Rousseeuw: Silhouettes. Journal of Computational and Applied Mathematics 1987. Musgrave et al. 2022, as above.
    """
    from sklearn.metrics import silhouette_score

    kept = pick(evidence.target_rows, MOST_ROWS, 0)
    predicted = evidence.target_predicted[kept]
    if not 2 <= len(np.unique(predicted)) < len(kept):
        return -1.0
    return float(silhouette_score(unit_rows(evidence.target_rows)[kept], predicted))


def k_means(X: Any, k: int) -> np.ndarray:
    """Return the cluster of each row, shape (n,), whatever the order of the rows."""
    from sklearn.cluster import KMeans

    order = canonical_order(X)
    of_row = np.empty(X.shape[0], dtype=int)
    # Rows that differ differ on a random axis too, beyond rounding.
    distinct = len(np.unique((X @ np.random.default_rng(0).normal(size=X.shape[1])).round(9)))
    of_row[order] = KMeans(min(k, distinct), n_init=STARTS, random_state=0).fit_predict(X[order])
    return of_row


def unit_rows(X: Any) -> Any:
    """Return rows seen from their mean, at length 1; sparse rows are seen from zero, and rows of zeros stay.

    Without the mean, classes that lie one behind the other, as seen from zero, would fall together.

    >>> unit_rows(np.array([[1.0, 0.0], [5.0, 0.0]]))
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    from scipy.sparse import issparse
    from sklearn.preprocessing import normalize

    return normalize(X if issparse(X) else X - X.mean(axis=0))
