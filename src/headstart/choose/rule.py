"""The rule of choice: what candidates scored here, held together with what their methods did elsewhere.

With twenty labelled rows, the best of ten candidates by cross-validation is mostly the luckiest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

#: Rows that the standing elsewhere counts for.
WORTH = 40.0


def choose_by(utilities: np.ndarray, standing: np.ndarray | None = None, worth: float = WORTH) -> int:
    r"""Return the position of the best candidate, by its scores here and its method's standing elsewhere.

    .. math:: \hat\theta_c = \frac{\sum_i (u_{ci} - \bar u_i) + m\,\mu_c}{n + m}

    is the posterior mean of candidate c's advantage over the candidates' mean, where the prior is normal with mean
    :math:`\mu_c` and counts for m rows (Efron & Morris, Stein's Estimation Rule and Its Competitors, JASA 1973, with
    a mean for each). Of equals the first is taken. With few rows the standing decides, with many the rows do.

    Parameters
    ----------
    utilities : array of shape (candidates, rows)
        Out of fold, larger is better.
    standing : array of shape (candidates,), optional
        The advantage expected of each over the mean of all, in the utility's unit; by default none of any, and the
        best mean utility is the choice.
    worth : float
        m; 0 trusts the rows alone.

    Examples
    --------
    >>> import numpy as np
    >>> hits = np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
    >>> choose_by(hits), choose_by(hits, np.array([-0.05, 0.05])), choose_by(np.tile(hits, 10), np.array([-0.05, 0.05]))
    (0, 1, 0)
    """
    return int(np.argmax(advantages(utilities, standing, worth)))


def advantages(utilities: np.ndarray, standing: np.ndarray | None = None, worth: float = WORTH) -> np.ndarray:
    """Return each candidate's expected advantage over the candidates' mean, shape (candidates,).

    >>> advantages(np.array([[1.0, 1.0], [0.0, 0.0]]), worth=2.0).tolist()
    [0.25, -0.25]
    """
    utilities = np.asarray(utilities, float)
    n = utilities.shape[1]
    here = utilities.mean(axis=1) - utilities.mean()
    if standing is None:
        standing = np.zeros(len(utilities))
    found: np.ndarray = (n * here + worth * np.asarray(standing, float)) / (n + worth)
    return found


def standing_of(names: Sequence[str], elsewhere: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Return each candidate's mean advantage over the mean of these candidates, on data sets elsewhere.

    A method that is known nowhere counts as the mean.

    Parameters
    ----------
    names : sequence of str
    elsewhere : sequence of mapping
        For each data set, the score of each method tried there.

    Examples
    --------
    >>> standing_of(["a", "b", "new"], [{"a": 0.5, "b": 0.7}, {"a": 0.4, "b": 0.4}]).round(3).tolist()
    [-0.05, 0.05, 0.0]
    """
    found: list[list[float]] = [[] for _ in names]
    for scores in elsewhere:
        known = [scores[name] for name in names if name in scores]
        for of_name, name in zip(found, names, strict=True):
            if name in scores:
                of_name.append(scores[name] - float(np.mean(known)))
    return np.array([float(np.mean(values)) if values else 0.0 for values in found])
