"""How much of the difference between the domains is one of their classes, and how much is one of all their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import RidgeClassifier

from headstart.domain import stack_rows
from headstart.draws import folds, pick
from headstart.features.representation import thin_svd

#: Rows of either domain that the classifiers learn from, at most, and their folds.
MOST_ROWS, FOLDS = 500, 5


def balance_of(of_all: float, of_class: float) -> float:
    """Return the share of the classes' A-distance in both, between 0 and 1; 1/2 where both are zero.

    Wang, Feng, Chen, Yu, Huang, Yu: Visual Domain Adaptation with Manifold Embedded Distribution Alignment. ACM MM
    2018.

    >>> balance_of(0.5, 1.5), balance_of(0.0, 0.0)
    (0.75, 0.5)
    """
    return of_class / (of_all + of_class) if of_all + of_class else 0.5


def class_distance(Xs: Any, Xt: Any, source: np.ndarray, target: np.ndarray, k: int, random_state: int | None) -> float:
    """Return the mean A-distance of the rows of a class, over the classes with two rows or more in both domains.

    0 where there is none. The paper of `balance_of` adds up where the authors' programs take the mean.

    Parameters
    ----------
    Xs, Xt : arrays or CSR matrices of shape (n_s, d) and (n_t, d)
    source, target : int arrays of shape (n_s,) and (n_t,)
        Classes 0 ... k - 1; a target row with -1 belongs to none.
    random_state : int, optional
        Choice of rows, where there are many, and of folds.
    """
    common = [c for c in range(k) if min((source == c).sum(), (target == c).sum()) > 1]
    distances = [a_distance(Xs[source == c], Xt[target == c], random_state) for c in common]
    return float(np.mean(distances)) if distances else 0.0


def a_distance(Xs: Any, Xt: Any, random_state: int | None) -> float:
    """Return 2 (1 - 2 error), zero at least, of a linear classifier that tells the domains apart.

    The error is that of held-out rows, the mean of both domains'. With one row in a domain the answer is 0.

    Ben-David, Blitzer, Crammer, Pereira: Analysis of Representations for Domain Adaptation. NIPS 2006.

    >>> import numpy as np
    >>> a_distance(np.array([[0.0], [1.0], [2.0]]), np.array([[9.0], [8.0], [7.0]]), 0)
    2.0
    """
    if min(Xs.shape[0], Xt.shape[0]) < 2:
        return 0.0
    some = [X[pick(X, MOST_ROWS, random_state)] for X in (Xs, Xt)]
    X, domain = stack_rows(some).astype(float), np.repeat([0, 1], [rows.shape[0] for rows in some])
    of_row = folds(X, FOLDS, random_state, domain)
    # The same inner products, in as few columns as there are: so wide and sparse rows are as quick as others.
    U, s, _ = thin_svd(X)
    F = U * s
    wrong = np.empty(len(domain))
    for fold in range(int(of_row.max()) + 1):
        held = of_row == fold
        model = RidgeClassifier(class_weight="balanced").fit(F[~held], domain[~held])
        wrong[held] = model.predict(F[held]) != domain[held]
    error = (wrong[domain == 0].mean() + wrong[domain == 1].mean()) / 2
    return float(max(0.0, 2 * (1 - 2 * error)))
