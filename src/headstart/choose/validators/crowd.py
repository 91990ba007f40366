"""A validator that looks at the other candidates: who agrees with the crowd."""

from __future__ import annotations

import numpy as np

from headstart.choose.validators.evidence import Unlabelled


def agreement(evidence: Unlabelled) -> float:
    r"""Return how much of the crowd a target row's prediction agrees with, the mean over rows.

    .. math:: \frac{1}{n_t} \sum_i \frac{1}{m} \sum_{j=1}^{m} 1[\hat y_i = \hat y_i^{(j)}]

    over all m candidates, itself included; in regression minus the mean distance to their mean prediction. Where
    candidates err in different ways their vote is better than most of them, and the worst are the farthest from it.
    Where most err together, who is right looks wrong.

    References
    ----------
    Hu, Luo, Liang, Foo: Towards Reliable Model Selection for Unsupervised Domain Adaptation: An Empirical Study and a
    Certified Baseline. NeurIPS 2024 (datasets and benchmarks): the ensemble of the candidates as a role model.

    Examples
    --------
    Of three candidates two say 1 of the only row; one of them is this one.

    >>> one = np.array([1])
    >>> shares = np.array([[1 / 3, 2 / 3]])
    >>> round(agreement(Unlabelled("classification", one, one, one, one, one, np.array([0, 1]), crowd=shares)), 3)
    0.667
    """
    crowd = evidence.crowd
    assert crowd is not None  # noqa: S101  (the validator declares that it needs it)
    if evidence.task == "regression":
        return float(-np.abs(evidence.target_predicted - crowd).mean())
    at = np.searchsorted(evidence.classes, evidence.target_predicted)
    return float(crowd[np.arange(len(at)), at].mean())
