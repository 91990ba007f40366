"""The rule of choice: which transfer is best, where a few labelled rows may tell little."""

from __future__ import annotations

import numpy as np

from headstart.evidence.interval import fresh_rows_interval

#: The candidate that is kept unless another is shown to be better: a mean of methods, in which no luck of choice is.
SUREST = "blend"


def choose_by(utilities: np.ndarray, surest: int | None = None, most: float = 0.0) -> int:
    """Return the position of the candidate to choose, by utilities out of fold.

    The best mean wins, but for one thing: a candidate that is sure without being chosen, such as `Blend`, is left only
    for one that is shown to be better, by an interval of the mean difference over rows that leaves zero out
    (`fresh_rows_interval`). With few rows that keeps the luckiest of many from being taken for the best. Of equals the
    first is taken.

    One standard error instead of the interval (Breiman et al., Classification and Regression Trees, 1984) was tried
    first; with six labelled rows it is often zero. The change was made with the cells of `headstart bench choice` in
    view.

    Parameters
    ----------
    utilities : array of shape (candidates, rows)
        Out of fold, larger is better.
    surest : int, optional
        Position of that candidate; without, the best mean is the choice.
    most : float
        The largest difference that a row can make, where there is one: 1 for hits.

    Examples
    --------
    >>> hits = np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
    >>> choose_by(hits), choose_by(hits, 1, most=1.0), choose_by(np.tile(hits, 10), 1, most=1.0)
    (0, 1, 0)
    """
    means = utilities.mean(axis=1)
    best = int(np.argmax(means))
    if surest is None or best == surest:
        return best
    difference = utilities[best] - utilities[surest]
    shown = len(difference) > 1 and fresh_rows_interval(difference, most).low > 0
    return best if shown else surest
