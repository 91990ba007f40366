"""TransRate: how many fewer bits the features need when the classes are known."""

import warnings
from typing import Any

import numpy as np
from scipy.linalg import cholesky

from headstart.errors import InputError
from headstart.evidence.transferability.features import as_classes, as_features


def transrate(F: Any, y: Any, *, distortion: float = 1e-4) -> float:
    r"""TransRate: the coding rate of all rows less the mean coding rate within the classes.

    .. math:: R(Z) - \sum_c \frac{n_c}{n} R(Z_c), \quad
        R(Z) = \frac{1}{2} \log\det\Bigl(I + \frac{1}{n\epsilon} Z^\top Z\Bigr)

    The rows of Z are the centred features, each scaled to length one; a class counts by its share. Both are as in the
    authors' code; scaling makes the score the same for rescaled features. It still depends on the distortion
    :math:`\epsilon`, and it has no best value. Where classes have fewer rows than the features have directions, each
    class spans less than all rows do whatever the labels, and noise can score higher than knowledge: it warns then.
    Since classes are coded around the mean of all rows, two classes that lie opposite each other look alike to it,
    however far apart they are.

    Parameters
    ----------
    F : array-like of shape (n, d), or Features
    y : array-like of shape (n,)
    distortion : float
        The :math:`\epsilon` of the formula.

    Raises
    ------
    InputError
        When features or labels can't be read, there is one class only, or the distortion is not positive.

    References
    ----------
    Huang, Huang, Rong, Yang & Wei: Frustratingly easy transferability estimation. ICML 2022.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1, 2], 50)
    >>> apart = transrate(rng.normal(size=(150, 4)) + 5 * np.eye(3, 4)[y], y)
    >>> round(apart, 1), round(transrate(rng.normal(size=(150, 4)), y), 1)
    (0.8, 0.0)
    """
    if distortion <= 0:
        raise InputError(f"distortion must be more than zero, not {distortion:g}")
    features = as_features(F)
    classes = as_classes(y, features.n)
    if features.rank * classes.k > features.n:
        warnings.warn(
            f"TransRate: a class has {features.n / classes.k:.3g} rows for {features.rank} directions; noise can score "
            "higher than knowledge then; use ridge or lda",
            UserWarning,
            stacklevel=2,
        )
    Z = features.coordinates
    lengths = np.linalg.norm(Z, axis=1, keepdims=True)
    Z = np.divide(Z, lengths, out=np.zeros_like(Z), where=lengths > 0)
    within = [coding_rate(Z[classes.codes == c], distortion) for c in range(classes.k)]
    return coding_rate(Z, distortion) - float(classes.shares @ within)


def coding_rate(Z: np.ndarray, distortion: float) -> float:
    r"""Return :math:`\frac{1}{2} \log\det(I + Z^\top Z / (n\epsilon))` of rows Z, shape (n, d)."""
    gram = (Z @ Z.T if len(Z) <= Z.shape[1] else Z.T @ Z) / (len(Z) * distortion)
    if not len(gram):
        return 0.0
    gram.flat[:: len(gram) + 1] += 1.0
    return float(np.log(np.diag(cholesky(gram, lower=True, overwrite_a=True, check_finite=False))).sum())
