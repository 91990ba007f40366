"""Equal rows: which rows are at one place."""

from typing import Any

import numpy as np

from headstart.draws import canonical_order


def places(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each row, shape (n,), equal for equal rows, and the position of one row at each place.

    Places are numbered in an order of their own, so that what is decided by it does not depend on the rows' order.

    >>> place, first = places(np.array([[2.0], [1.0], [2.0]]))
    >>> bool(place[0] == place[2] != place[1]), len(first)
    (True, 2)
    """
    order = canonical_order(X)
    X = X[order]
    differs = X[1:] != X[:-1]
    differs = differs.any(axis=1) if isinstance(X, np.ndarray) else differs.getnnz(axis=1) > 0
    new = np.concatenate([[True], differs])
    place = np.empty(len(order), dtype=int)
    place[order] = np.cumsum(new) - 1
    return place, order[new]
