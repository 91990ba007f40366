"""A validator that looks at how much the predictions hang on the source rows that happened to be there."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from headstart.choose.validators.evidence import Unlabelled


def stability(evidence: Unlabelled) -> float:
    r"""Return how often models that learned from different parts of the source agree on a target row.

    .. math:: \frac{2}{m (m - 1)} \sum_{a < b} \frac{1}{n_t} \sum_i 1[\hat y_i^{(a)} = \hat y_i^{(b)}]

    over the m folds' models; in regression minus their mean distance. Under shift too, models that agree more with
    their likes were found to be the more accurate ones; but models with common errors agree and are wrong, and a
    collapsed model is perfectly stable.

    References
    ----------
    Lange, Roth, Braun, Buhmann: Stability-Based Validation of Clustering Solutions. Neural Computation 2004.
    Baek, Jiang, Raghunathan, Kolter: Agreement-on-the-Line: Predicting the Performance of Neural Networks under
    Distribution Shift. NeurIPS 2022.

    Examples
    --------
    >>> none = np.empty(0)
    >>> answers = np.array([[0, 1, 1, 0], [0, 1, 0, 0]])
    >>> stability(Unlabelled("classification", none, none, none, none, none, none, by_fold=answers))
    0.75
    """
    answers = evidence.by_fold
    assert answers is not None  # noqa: S101  (the validator declares that it needs it)
    pairs = list(combinations(answers, 2))
    if evidence.task == "regression":
        return -float(np.mean([np.abs(a - b).mean() for a, b in pairs]))
    return float(np.mean([(a == b).mean() for a, b in pairs]))
