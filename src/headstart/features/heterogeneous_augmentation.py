"""Heterogeneous augmentation: what domains with different columns share, beside what each has for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.class_means import class_means, shared_classes
from headstart.features.moments import total_variance
from headstart.mapping import Map
from headstart.mapping.measures import numbered
from headstart.method import Needs

#: Share of the largest spread of class means below which a direction is rounding.
LEAST_SHARE = 1e-9


@dataclass(frozen=True, eq=False)
class AugmentedMap:
    """The map x -> ((x - center) P, 0, scale (x - center), 0): a shared block, and one for each domain.

    Parameters
    ----------
    center : array of shape (d,)
    P : array of shape (d, r)
    scale : float
    before, after : int
        Columns of the blocks of other domains.

    Examples
    --------
    >>> beside = AugmentedMap(np.array([1.0]), np.array([[2.0]]), scale=10.0, before=0, after=2)
    >>> beside.transform(np.array([[4.0]]))
    array([[ 6., 30.,  0.,  0.]])
    """

    center: np.ndarray
    P: np.ndarray
    scale: float
    before: int
    after: int

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, r + before + d + after)."""
        Z = X - self.center
        none = np.zeros((len(Z), self.before), Z.dtype), np.zeros((len(Z), self.after), Z.dtype)
        return np.hstack([Z @ self.P, none[0], self.scale * Z, none[1]])


class HeterogeneousAugmentation(FeatureMethod):
    r"""Heterogeneous augmentation: a block of columns that both domains share, and a block for each domain.

    .. math:: x \mapsto (x P,\; x,\; 0),\qquad x' \mapsto (x' Q,\; 0,\; x')

    A linear learner has weights for what the domains share and weights for what is the domain's own, each with a
    penalty, as in feature augmentation. P and Q make the shared block from rows with different columns. The paper
    learns them together with a support vector machine; here they have a closed form, from the means of the classes:
    P leads to the axes along which the source's class means :math:`m_k` vary most, and

    .. math:: Q = \arg\min_Q \sum_k p_k \|(m'_k - \bar m') Q - (m_k - \bar m) P\|^2 + \alpha \|Q\|^2

    brings the target's class means to where the source's are. Rows are centred, at the mean of their domain's class
    means, and source rows are scaled to the target's total variance.

    Parameters
    ----------
    n_components : int, optional
        Columns of the shared block; by default one less than the classes that both domains have.
    alpha : float, default 0.1
        The ridge penalty of Q, in units of the mean variance of the target's class means in the directions they span.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.

    Raises
    ------
    NeedsError
        When no class has labelled rows in both domains.

    Notes
    -----
    The few target labels are all that joins the domains: unlabelled target rows have no say but in the scale.

    References
    ----------
    Duan, Xu, Tsang: Learning with Augmented Features for Heterogeneous Domain Adaptation. ICML 2012.

    Examples
    --------
    >>> import numpy as np
    >>> Xs, ys = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]]), np.array([0, 0, 1, 1])
    >>> Xt, yt = np.array([[-1.0], [1.0]]), np.array([0, 1])
    >>> method = HeterogeneousAugmentation(alpha=0).fit(Xs, Xt, ys, yt)
    >>> np.abs(method.transform(Xt)).round(3)         # shared, then the source's own two columns, then the target's
    array([[0.894, 0.   , 0.   , 1.   ],
           [0.894, 0.   , 0.   , 1.   ]])
    """

    needs: ClassVar[Needs] = Needs(
        target_labels=True,
        target_rows=True,
        same_features=False,
        dense=True,
        learner="any",
        tasks=("classification",),
    )

    def __init__(
        self, n_components: int | None = None, alpha: float = 0.1, target_weight: float | str = "balanced"
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.target_weight = target_weight

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the maps of source and of target rows into the augmented space."""
        name, dtype = "HeterogeneousAugmentation", Xs.dtype
        if not self.alpha >= 0 or (self.n_components is not None and self.n_components < 1):
            raise InputError(
                f"{name}: alpha must be zero or more and n_components 1 or more, not {self.alpha} and "
                f"{self.n_components}"
            )
        labels = numbered(ys, yt, len(Xt), name, classes=True)
        shared = shared_classes(labels, name)
        Xs, Xt = Xs.astype(float), Xt.astype(float)
        share = np.array([(labels.source == k).mean() for k in shared])
        share /= share.sum()
        # In the target's scale, so that a penalty means for the source's weights what it means for the target's.
        spread_s, spread_t = total_variance(Xs), total_variance(Xt)
        scale = np.sqrt(spread_t / spread_s) if spread_s > 0 and spread_t > 0 else 1.0
        Ms, Mt = scale * class_means(Xs, labels.source, shared), class_means(Xt, labels.target, shared)
        center_s, center_t = share @ Ms, share @ Mt
        P, Q = projections(Ms - center_s, Mt - center_t, share, self.n_components, self.alpha)
        source_map = AugmentedMap(
            (center_s / scale).astype(dtype), (scale * P).astype(dtype), float(scale), before=0, after=Xt.shape[1]
        )
        return source_map, AugmentedMap(center_t.astype(dtype), Q.astype(dtype), 1.0, before=Xs.shape[1], after=0)


def projections(
    Ms: np.ndarray, Mt: np.ndarray, share: np.ndarray, n_components: int | None, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return P, the leading principal axes of centred class means Ms, and the ridge Q that brings Mt to Ms P."""
    root = np.sqrt(share)[:, None]
    _, s, Vt = np.linalg.svd(root * Ms, full_matrices=False)
    r = min(max(len(Ms) - 1, 1) if n_components is None else n_components, len(s))
    # The sign is not to hang on rounding: the largest entry is positive.
    P = Vt[:r].T * (s[:r] > LEAST_SHARE * s[0])
    P *= np.where(P[np.abs(P).argmax(axis=0), np.arange(r)] < 0, -1.0, 1.0)
    U, s, Vt = np.linalg.svd(root * Mt, full_matrices=False)
    kept = s > LEAST_SHARE * s[0]
    if not kept.any():
        return P, np.zeros((Mt.shape[1], r))
    U, s, Vt = U[:, kept], s[kept], Vt[kept]
    shrunk = s / (np.square(s) + alpha * np.mean(np.square(s)))
    return P, Vt.T @ (shrunk[:, None] * (U.T @ (root * (Ms @ P))))
