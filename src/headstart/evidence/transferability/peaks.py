"""Where smooth functions of one number are highest, many functions at once."""

from collections.abc import Callable

import numpy as np

GOLDEN = (np.sqrt(5) - 1) / 2


def highest(f: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, steps: int = 40) -> np.ndarray:
    """Return where each of c functions is highest between its bounds, shape (c,), by golden-section search.

    `f` takes one point for each function, shape (c,), and returns their values. Each function must have one peak only.

    >>> highest(lambda x: -((x - np.array([1.0, 2.0])) ** 2), np.zeros(2), np.full(2, 3.0)).round(6)
    array([1., 2.])
    """
    low, high = np.array(low, dtype=float), np.array(high, dtype=float)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = f(left), f(right)
    for _ in range(steps):
        leftwards = at_left > at_right
        low, high = np.where(leftwards, low, left), np.where(leftwards, right, high)
        new = np.where(leftwards, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        at_new = f(new)
        left, right = np.where(leftwards, new, right), np.where(leftwards, left, new)
        at_left, at_right = np.where(leftwards, at_new, at_right), np.where(leftwards, at_left, at_new)
    return (low + high) / 2
