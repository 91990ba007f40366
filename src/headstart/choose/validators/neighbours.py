"""Validators that look at how target rows lie to each other: in the probabilities, and when two are mixed."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax, xlogy

from headstart.choose.validators.evidence import Probes, Unlabelled
from headstart.draws import pick

#: Temperature of the similarities, as in the paper.
TEMPERATURE = 0.05
#: Target rows whose similarities are looked at.
MOST_ROWS = 2000


def soft_neighbourhood_density(evidence: Unlabelled) -> float:
    r"""Return soft neighbourhood density (SND): how many soft neighbours a target row has, as an entropy.

    .. math:: \frac{1}{n} \sum_i H(q_i), \quad q_{ij} \propto \exp(f_i^\top f_j / \tau) \text{ for } j \ne i

    with f the probabilities scaled to length 1 and tau = 0.05. Dense clusters score high. The densest of all is one
    cluster: a collapsed model scores log(n - 1), the best there is. At most 2,000 rows are looked at.

    References
    ----------
    Saito, Kim, Teterwak, Sclaroff, Darrell, Saenko: Tune it the Right Way: Unsupervised Validation of Domain
    Adaptation via Soft Neighborhood Density. ICCV 2021.
    """
    P = evidence.target_probabilities
    assert P is not None  # noqa: S101  (the validator declares that it needs them)
    P = P[pick(P, MOST_ROWS, 0)]
    if len(P) < 2:
        return 0.0
    F = P / np.linalg.norm(P, axis=1, keepdims=True)
    S = F @ F.T / TEMPERATURE
    np.fill_diagonal(S, -np.inf)
    Q = softmax(S, axis=1)
    return float(-xlogy(Q, Q).sum(axis=1).mean())


def mixed_rows(evidence: Unlabelled) -> float:
    r"""Return MixVal: how often a mixture of two target rows is of the class of the one that leads.

    .. math:: \frac{1}{2}\,(a_\text{same} + a_\text{other}), \quad
        a = P\bigl(\hat y(\lambda x_i + (1 - \lambda) x_j) = \hat y(x_i)\bigr), \; \lambda = 0.55

    over pairs of the same predicted class (are clusters whole?), and of different ones (do boundaries run between
    rows, and not through them?). A side without pairs counts as 0, so that a collapsed model gets half at most. The
    paper ranks by both and takes the mean of the ranks; here the mean is of the shares, so that a score does not
    depend on the other candidates.

    References
    ----------
    Hu, Liang, Liew, Xue, Bai, Wang: Mixed Samples as Probes for Unsupervised Model Selection in Domain Adaptation.
    NeurIPS 2023.
    """
    probes = evidence.probes
    assert isinstance(probes, Probes)  # noqa: S101  (the validator declares that it needs them)
    hits = probes.predicted == probes.leading
    sides = [hits[side].mean() if side.any() else 0.0 for side in (probes.same, ~probes.same)]
    return float(np.mean(sides))
