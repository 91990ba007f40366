"""Scores that compare which rows are alike by their features with which are alike by their labels: LFC and PARC."""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from headstart.domain import Task
from headstart.draws import pick
from headstart.evidence.transferability.features import as_classes, as_features, as_quantities

PARC_COMPONENTS = 32


def lfc(F: Any, y: Any, *, task: Task = "classification") -> float:
    r"""Label-feature correlation: the cosine of the centred kernel of the features and that of the labels.

    .. math:: \frac{\langle HFF^\top H,\ HYY^\top H \rangle}{\|HFF^\top H\|\ \|HYY^\top H\|}, \quad
        H = I - \frac{1}{n} 11^\top

    where (YY')_ij is 1 for rows of one class and -1 for others; for regression Y is the column of labels. It lies
    between 0 and 1. Both kernels are centred by rows and columns, as in Cortes et al. (2012). Directions with much
    variance dominate it, whether or not they say anything about the labels.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    task : "classification" or "regression"

    Raises
    ------
    InputError
        When features or labels can't be read, or all labels are the same.

    References
    ----------
    Deshpande, Achille, Ravichandran, Li, Zancato, Fowlkes, Bhotika, Soatto & Perona: A linearized framework and a new
    benchmark for model selection for fine-tuning. arXiv:2102.00084, 2021.
    Cortes, Mohri & Rostamizadeh: Algorithms for learning kernels based on centered alignment. JMLR 2012.

    Examples
    --------
    >>> round(lfc([[0.0], [0.0], [2.0], [2.0]], [0, 0, 1, 1]), 6)
    1.0
    """
    features = as_features(F)
    Y = as_quantities(y, features.n)[:, None] if task == "regression" else as_classes(y, features.n).one_hot
    if not features.rank:
        return 0.0
    # The kernel of +1 and -1 is twice that of one-hot labels less a constant, which centring removes.
    Y = Y - Y.mean(axis=0)
    Y = Y / np.abs(Y).max()
    s = features.singular_values / features.singular_values[0]
    together = np.sum((s[:, None] * (features.left.T @ Y)) ** 2)
    return float(together / (np.linalg.norm(s**2) * np.linalg.norm(Y.T @ Y)))


def parc(F: Any, y: Any, *, most: int = 2000) -> float:
    r"""Pairwise annotation representation comparison: whether rows with like features have like labels.

    The Spearman correlation, times 100, over all pairs of rows, of 1 less the correlation of their features with 1
    less the correlation of their one-hot labels. The features are the first 32 principal components, each divided by
    its standard deviation, as in the authors' code. 100 can't be reached, because the labels' distances are tied.

    With one direction rows have no correlation, and the score is 0. The correlation of two rows subtracts each row's
    mean over the components, so it depends on the components' signs; here each is turned so that the row farthest from
    the mean is positive. The authors add a bonus for deep networks over the candidates; this is the score without.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    most : int
        Rows looked at; the number of pairs grows with the square. More rows are drawn from, with a fixed seed.

    Raises
    ------
    InputError
        When features or labels can't be read, or there is one class only.

    References
    ----------
    Bolya, Mittapalli & Hoffman: Scalable diverse model selection for accessible transfer learning. NeurIPS 2021.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1, 2], 30)
    >>> bool(parc(rng.normal(size=(90, 8)) + 5 * np.eye(3, 8)[y], y) > 40 > parc(rng.normal(size=(90, 8)), y))
    True
    """
    features = as_features(F)
    classes = as_classes(y, features.n)
    if features.rank < 2:
        return 0.0
    Z = features.principal(PARC_COMPONENTS)
    rows = pick(Z, most, 0)
    Z, codes = Z[rows], classes.codes[rows]
    spread = Z.std(axis=0)
    Z = np.divide(Z, spread, out=np.zeros_like(Z), where=spread > 0)
    Z -= Z.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(Z, axis=1, keepdims=True)
    # Rows that are the same in every component have no correlation with others: rounding must not give them one.
    Z = np.divide(Z, lengths, out=np.zeros_like(Z), where=lengths > 1e-12 * lengths.max())
    upper = np.triu_indices(len(Z), 1)
    distances = 1 - (Z @ Z.T)[upper]
    differ = (codes[:, None] != codes)[upper]
    if differ.all() or not differ.any() or np.ptp(distances) == 0:
        return 0.0
    # All pairs of unlike labels are equally far apart, whatever the number of classes: two ranks, so Spearman's
    # correlation is that of the features' ranks with a yes or no.
    ranks = rankdata(distances)
    ranks -= ranks.mean()
    share = differ.mean()
    return float(100 * ranks[differ].sum() / np.sqrt(len(ranks) * share * (1 - share) * (ranks @ ranks)))
