"""Validators that look at the probabilities of target rows: sure of each row, and not of one class only."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from headstart.choose.validators.evidence import Unlabelled


def _probabilities(evidence: Unlabelled) -> np.ndarray:
    P = evidence.target_probabilities
    assert P is not None  # noqa: S101  (the validator declares that it needs them)
    return P


def mean_entropy(P: np.ndarray) -> float:
    """Return the mean entropy of the rows of P, in nats.

    >>> round(mean_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])), 3)  # half of log 2
    0.347
    """
    return float(-xlogy(P, P).sum(axis=1).mean())


def entropy(evidence: Unlabelled) -> float:
    r"""Return minus the mean entropy of the target's probabilities.

    .. math:: \frac{1}{n_t} \sum_i \sum_c p_{ic} \log p_{ic}

    Best (0) where each row is surely of some class. A model that is sure that all rows are of one class is best too,
    and so is one whose learner is too sure of everything: never choose by it alone.

    References
    ----------
    Morerio, Cavazza, Murino: Minimal-Entropy Correlation Alignment for Unsupervised Deep Domain Adaptation. ICLR 2018.
    """
    return -mean_entropy(_probabilities(evidence))


def information_maximisation(evidence: Unlabelled) -> float:
    r"""Return the mutual information of row and predicted class: sure of each row, and of many classes.

    .. math:: H\Bigl(\frac{1}{n_t}\sum_i p_i\Bigr) - \frac{1}{n_t} \sum_i H(p_i)

    Between 0 (all rows the same probabilities, collapsed models too) and log k. Blind to which row is of which
    class, and best for classes of equal size, whatever the target's are.

    References
    ----------
    Shi, Sha: Information-Theoretical Learning of Discriminative Clusters for Unsupervised Domain Adaptation. ICML 2012.
    """
    P = _probabilities(evidence)
    return mean_entropy(P.mean(axis=0, keepdims=True)) - mean_entropy(P)


def nuclear_norm(evidence: Unlabelled) -> float:
    r"""Return the nuclear norm of the target's probabilities (BNM), as a share of the largest possible.

    .. math:: \frac{\|P\|_*}{\sqrt{n_t \min(n_t, k)}}

    It is 1 for certain predictions of classes of equal size, and :math:`1 / \sqrt{\min(n_t, k)}` for a collapsed
    model.

    References
    ----------
    Cui, Wang, Zhuo, Li, Huang, Tian: Towards Discriminability and Diversity: Batch Nuclear-norm Maximization under
    Label Insufficient Situations. CVPR 2020.
    """
    P = _probabilities(evidence)
    return float(np.linalg.svd(P, compute_uv=False).sum() / np.sqrt(P.shape[0] * min(P.shape)))
