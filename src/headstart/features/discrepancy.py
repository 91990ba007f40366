"""Differences of means between domains, as vectors e: the mean discrepancy of a representation Z is ||e'Z||^2."""

import numpy as np

from headstart.inputs import Coded


def marginal(n_s: int, n_t: int) -> np.ndarray:
    """Return e, shape (n_s + n_t, 1), such that e'Z is the difference of the domains' means.

    Gretton et al.: A Kernel Two-Sample Test. JMLR 2012; the matrix L or M_0 of TCA and JDA is e e'.
    """
    return np.concatenate([np.full(n_s, 1 / n_s), np.full(n_t, -1 / n_t)])[:, None]


def conditional(source: np.ndarray, target: np.ndarray, k: int) -> np.ndarray:
    """Return E, shape (n_s + n_t, c), one column a class that both domains have: the difference of its means.

    Parameters
    ----------
    source, target : int arrays of shape (n_s,) and (n_t,)
        Classes 0 ... k - 1; a target row with -1 belongs to none.
    """
    columns = []
    for c in range(k):
        of_s, of_t = source == c, target == c
        if of_s.any() and of_t.any():
            columns.append(np.concatenate([of_s / of_s.sum(), -(of_t / of_t.sum())]))
    return np.column_stack(columns) if columns else np.zeros((len(source) + len(target), 0))


def joint_differences(of_all: np.ndarray, of_classes: np.ndarray, k: int, balance: float) -> np.ndarray:
    """Return E such that E E' = (1 - balance) k M_0 + balance sum_c M_c; M_0 alone where no class is common.

    >>> E = joint_differences(np.array([[1.0], [-1.0]]), np.array([[1.0, 0.0], [0.0, -1.0]]), 2, balance=0.5)
    >>> (E @ E.T).round(12).tolist()
    [[1.5, -1.0], [-1.0, 1.5]]
    """
    if not of_classes.shape[1]:
        return of_all
    return np.hstack([np.sqrt((1 - balance) * k) * of_all, np.sqrt(balance) * of_classes])


def to_unit_norm(E: np.ndarray) -> np.ndarray:
    """Scale E such that the Frobenius norm of E E' is 1, as the authors of JDA do.

    >>> bool(np.isclose(np.linalg.norm(to_unit_norm(marginal(3, 4)) @ to_unit_norm(marginal(3, 4)).T), 1))
    True
    """
    return E / np.sqrt(np.linalg.norm(E.T @ E))


def balanced_discrepancy(labels: Coded, guessed: np.ndarray, mu: float) -> np.ndarray:
    """Return V with V V' proportional to (1 - mu) k M_0 + mu sum_c M_c, of Frobenius norm 1.

    M_0 is the difference of the domains' means, times the number k of classes, as the authors weigh it; M_c that of the
    means of class c. Where no class is in both domains, M_0 is all there is.
    """
    k = len(labels.classes)
    of_means = marginal(len(labels.source), len(guessed))
    of_classes = conditional(labels.source, guessed, k)
    return to_unit_norm(joint_differences(of_means, of_classes, k, mu))
