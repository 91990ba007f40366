"""Intervals over users: other users might have come."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

#: Numbers of a block of weights that are held at a time.
BLOCK = 1 << 22


@dataclass(frozen=True)
class Spread:
    """A figure over users with its 95 % interval.

    >>> print(Spread(0.12, 0.1, 0.14))
    0.12 (0.1 to 0.14)
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"

    def document(self) -> dict[str, Any]:
        """Return it in plain types."""
        return asdict(self)


def bootstrap_means(values: np.ndarray, draws: int = 1000, random_state: Any = 0) -> np.ndarray:
    """Return the column means of draws of users with replacement, shape (draws, p).

    A draw is a row of multinomial counts, how often each user comes, so that all draws are one product of matrices.

    Parameters
    ----------
    values : array of shape (users, p)
    draws : int
    random_state : int or numpy Generator

    Examples
    --------
    >>> bootstrap_means(np.array([[0.0, 2.0], [1.0, 2.0]]), draws=500).mean(axis=0).round(1)
    array([0.5, 2. ])
    """
    values = np.asarray(values, dtype=float)
    n = len(values)
    rng = np.random.default_rng(random_state)
    step = max(1, BLOCK // n)
    blocks = [
        rng.multinomial(n, np.full(n, 1 / n), size=min(step, draws - start)) @ values / n
        for start in range(0, draws, step)
    ]
    return np.concatenate(blocks)


def spread(value: float, drawn: np.ndarray, level: float = 0.95) -> Spread:
    """Return a figure with the percentiles of what draws of users gave."""
    low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
    return Spread(float(value), float(low), float(high))


def spread_of_choice(
    transfers: np.ndarray,
    drawn_transfers: np.ndarray,
    baselines: np.ndarray,
    drawn_baselines: np.ndarray,
    level: float = 0.95,
) -> Spread:
    r"""Return by how much the best transfer is better than the best baseline; the interval allows for choosing.

    Among many, the best looks better than it is. With the differences :math:`d_{tb}` of each transfer t and each
    baseline b, their standard errors :math:`s_{tb}` and the draws :math:`d^*_{tb}`, let :math:`c_b` be the quantile of

    .. math:: \max_t (d_{tb} - d^*_{tb}) / s_{tb}.

    Then :math:`\max_t \min_b (d_{tb} - c_b s_{tb})` is below the true difference of the best transfer and the best
    baseline with the probability that is asked for, whichever these are: some transfer is better than every baseline,
    and that is not luck among as many. The upper bound is the same with the roles changed. Of one transfer and one
    baseline it is the plain percentile interval.

    Choosing by some users and judging by others, in turns, does not do: the turns share their users, and where nothing
    is to be gained one verdict in ten was "helps" (of 2.5 in a hundred that are allowed).

    Parameters
    ----------
    transfers, baselines : array of shape (T,), (B,)
        Utilities, larger is better.
    drawn_transfers, drawn_baselines : array of shape (draws, T), (draws, B)
        For the same draws of users.

    References
    ----------
    Hsu: Multiple Comparisons: Theory and Methods. Chapman & Hall 1996 (comparisons with the best).
    Romano, Wolf: Exact and Approximate Stepdown Methods for Multiple Hypothesis Testing. JASA 2005.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> drawn = np.array([0.5, 0.5, 0.3]) + 0.02 * rng.normal(size=(1000, 3))
    >>> print(spread_of_choice(np.array([0.5, 0.5]), drawn[:, :2], np.array([0.3]), drawn[:, 2:]))
    0.2 (0.1382 to 0.257)
    """
    d = transfers[:, None] - baselines
    gap = d - (drawn_transfers[:, :, None] - drawn_baselines[:, None, :])
    s = gap.std(axis=0)
    s = np.where(s > 0, s, 1.0)
    c_baseline = np.quantile((gap / s).max(axis=1), 0.5 + level / 2, axis=0)
    c_transfer = np.quantile((-gap / s).max(axis=2), 0.5 + level / 2, axis=0)
    low = (d - c_baseline * s).min(axis=1).max()
    high = (d + c_transfer[:, None] * s).max(axis=0).min()
    return Spread(float(transfers.max() - baselines.max()), float(low), float(high))


def verdict_of(difference: Spread) -> Literal["helps", "hurts", "no evidence"]:
    """Say helps or hurts when the interval of a gain leaves zero out, else no evidence."""
    return "helps" if difference.low > 0 else "hurts" if difference.high < 0 else "no evidence"
