"""Validators that go back: the target's predicted labels teach, and the source's known labels judge."""

from __future__ import annotations

from headstart.choose.validators.evidence import Unlabelled


def reverse(evidence: Unlabelled) -> float:
    r"""Return reverse validation: how well the target's predicted labels, learned alone, predict the source.

    .. math:: \frac{1}{n_s} \sum_i u(y_i, g(x_i)), \quad g \text{ learned from } (x_j, \hat y_j)_{j \in T}

    The learner learns the candidate's labels of the target rows and is asked about source rows that the candidate
    has not seen. It costs one fit of the learner a fold. Wrong labels of the target often do not lead back; but a
    candidate that leaves the domains apart, as they are, may find back best, and where the concept shifts the right
    labels do not lead back at all.

    References
    ----------
    Zhong, Fan, Yang, Verscheure, Ren: Cross Validation Framework to Choose amongst Models and Datasets for Transfer
    Learning. ECML PKDD 2010.
    """
    assert evidence.way_back is not None  # noqa: S101  (the validator declares that it needs it)
    return float(evidence.utility(evidence.way_back).mean())


def circular(evidence: Unlabelled) -> float:
    r"""Return circular validation: as `reverse`, but the way back is the candidate's own method.

    .. math:: \frac{1}{n_s} \sum_i u(y_i, g(x_i)), \quad g = \text{method}\bigl((x_j, \hat y_j)_{j \in T} \to S\bigr)

    It costs one more fit of the method a fold, as much as all the rest together. The errors of both ways may undo
    each other: a method that turns the classes round, and turns them back, looks perfect.

    References
    ----------
    Bruzzone, Marconcini: Domain Adaptation Problems: A DASVM Classification Technique and a Circular Validation
    Strategy. IEEE TPAMI 2010. Ganin et al.: Domain-Adversarial Training of Neural Networks. JMLR 2016 (section 5.1.2).
    """
    assert evidence.way_back_by_method is not None  # noqa: S101  (the validator declares that it needs it)
    return float(evidence.utility(evidence.way_back_by_method).mean())
