"""The rule of choice: which transfer is best, where a few labelled rows may tell little."""

from __future__ import annotations

import numpy as np

#: The candidate that is kept unless another is well ahead: a mean of methods, in which no luck of choice is. It is also
#: what is delivered where a target of classes has no label at all, if it can work there: in `headstart bench choice` it
#: does better than what any of fourteen validators or their consensus would choose.
SUREST = "blend"
#: Rows' worth of difference by which another must be ahead.
AHEAD = 10.0


def choose_by(utilities: np.ndarray, surest: int | None = None) -> int:
    r"""Return the position of the candidate to choose, by utilities out of fold.

    The best mean wins, but for one thing: a candidate that is sure without being chosen, such as `Blend`, is left only
    for one that is well ahead,

    .. math:: \sum_i d_i > 10 \sqrt{\frac{1}{n} \sum_i d_i^2}

    with :math:`d_i` the difference on row i. That is as if the surest had been ahead on ten rows more. With n = 100 it
    is one standard error; with fewer rows it is more, so that the luckiest of many is not taken for the best, and with
    many rows it is next to nothing. Of equals the first is taken.

    The form and the ten were settled with cells of `headstart bench choice` and `guard` in view: from
    nine to twelve there was no difference to speak of, with six the blend was left too soon. One standard error at
    every n (Breiman et al., Classification and Regression Trees, 1984) leaves it too soon with few rows, an interval
    that leaves zero out too late with many.

    Parameters
    ----------
    utilities : array of shape (candidates, rows)
        Out of fold, larger is better.
    surest : int, optional
        Position of that candidate; without, the best mean is the choice.

    Examples
    --------
    >>> hits = np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
    >>> choose_by(hits), choose_by(hits, surest=1), choose_by(np.tile(hits, 50), surest=1)
    (0, 1, 0)
    """
    best = int(np.argmax(utilities.mean(axis=1)))
    if surest is None or best == surest:
        return best
    d = utilities[best] - utilities[surest]
    return best if d.sum() > AHEAD * np.sqrt((d**2).mean()) else surest
