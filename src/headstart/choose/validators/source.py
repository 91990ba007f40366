"""Validators that look at held-out source rows: plain, weighted to look like the target, and with a control variate."""

from __future__ import annotations

import numpy as np

from headstart.choose.validators.evidence import Unlabelled


def source_risk(evidence: Unlabelled) -> float:
    r"""Return the mean utility on held-out source rows, each counting the same.

    .. math:: \frac{1}{n_s} \sum_i u_i

    with u the hits, or minus the absolute error. Minus the source risk, in the words of the literature. Right where
    nothing shifts; of the target it knows nothing.

    >>> import numpy as np
    >>> source_risk(example_at_source(hits=[1, 1, 0, 0], weights=[1, 1, 1, 1]))
    0.5
    """
    return float(evidence.utility(evidence.source_predicted).mean())


def importance_weighted(evidence: Unlabelled) -> float:
    r"""Return the mean utility on held-out source rows, weighted to look like the target.

    .. math:: \frac{\sum_i w_i u_i}{\sum_i w_i}, \quad w_i = \frac{p_t(x_i)}{p_s(x_i)}

    Under covariate shift this estimates the utility on the target. If the concept shifts (the same row is labelled
    otherwise in the target) it speaks of the source's concept, and a model that learned just that looks perfect.
    Where the domains hardly overlap it rests on few rows.

    References
    ----------
    Sugiyama, Krauledat, Mueller: Covariate Shift Adaptation by Importance Weighted Cross Validation. JMLR 2007.

    Examples
    --------
    >>> importance_weighted(example_at_source(hits=[1, 1, 0, 0], weights=[3, 0, 1, 0]))
    0.75
    """
    return float(np.average(evidence.utility(evidence.source_predicted), weights=evidence.weights))


def deep_embedded(evidence: Unlabelled) -> float:
    r"""Return deep embedded validation (DEV): importance weighting with the weights' mean as a control variate.

    .. math:: \overline{w u} + \eta\,(\bar w - 1), \quad \eta = -\frac{\mathrm{Cov}(w u, w)}{\mathrm{Var}(w)}

    in each fold, and the mean over folds. The weights should have a mean of 1; where those of a fold do not, the
    estimate is moved by what that usually does to it. Known to be unstable (Musgrave, Belongie, Lim 2021): where a
    few rows carry the weight, eta is estimated from these few, and the result may lie outside the range of u.

    References
    ----------
    You, Wang, Long, Jordan: Towards Accurate Model Selection in Deep Unsupervised Domain Adaptation. ICML 2019.
    Musgrave, Belongie, Lim: Unsupervised Domain Adaptation: A Reality Check. arXiv 2021.

    Examples
    --------
    With a constant utility the control variate takes away all the noise of the weights:

    >>> deep_embedded(example_at_source(hits=[1, 1, 1, 1], weights=[3, 0, 1, 2]))
    1.0
    """
    u, w = evidence.utility(evidence.source_predicted), evidence.weights
    fold = np.zeros(len(w), dtype=int) if evidence.fold is None else evidence.fold
    return float(np.mean([_controlled(u[fold == f], w[fold == f]) for f in np.unique(fold)]))


def _controlled(u: np.ndarray, w: np.ndarray) -> float:
    weighted, centred = w * u, w - w.mean()
    variance = float(centred @ centred)
    # Equal weights leave nothing to control for; what is left of rounding must not pass for a variance.
    eta = 0.0 if variance <= 1e-20 * float(w @ w) else -float(centred @ weighted) / variance
    return float(weighted.mean() + eta * (w.mean() - 1))


def example_at_source(hits: list[int], weights: list[float]) -> Unlabelled:
    """Return evidence of source rows alone, of which some are predicted right."""
    right = np.array(hits)
    nothing = np.empty(0)
    return Unlabelled(
        "classification", np.ones(len(right), dtype=int), right, np.array(weights, dtype=float), nothing,
        np.empty((0, 1)), np.array([0, 1]),
    )  # fmt: skip
