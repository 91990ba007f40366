"""Geodesic flow kernel."""

from typing import Any, ClassVar

import numpy as np

from headstart.domain import stack_rows, task_of
from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.subspaces import dimension_of, least_squares_axes, principal_axes
from headstart.inputs import source_labels_of
from headstart.mapping import Map
from headstart.method import Needs

#: Axes that "auto" looks at, at most, and the disagreement that it takes for full.
MOST_AUTO, FULL = 100, 0.99


class GFK(FeatureMethod):
    r"""Geodesic flow kernel: compare rows in all subspaces on the way from the source's to the target's.

    .. math:: G = \int_0^1 \Phi(t)\,\Phi(t)^\top dt,\qquad k(x, x') = x\,G\,x'^\top

    where :math:`\Phi(t)` is the geodesic of subspaces with :math:`\Phi(0) = P_s` and :math:`\Phi(1) = P_t`. With
    principal vectors :math:`a_i, b_i` of the two subspaces and the angle :math:`\theta_i` between them,

    .. math:: G = \sum_i \Bigl(1 + \frac{\sin\theta_i}{\theta_i}\Bigr)\frac{u_i u_i^\top}{2}
                + \Bigl(1 - \frac{\sin\theta_i}{\theta_i}\Bigr)\frac{v_i v_i^\top}{2}

    with :math:`u_i` and :math:`v_i` the directions of :math:`a_i + b_i` and :math:`a_i - b_i`. So a row is mapped to
    at most two columns a principal vector, whose inner products are the kernel; no angle is too small, and the
    subspaces may share directions (any number of components up to the number of columns).

    Parameters
    ----------
    n_components : int or "auto", default "auto"
        Dimension of both subspaces; fewer where a domain varies in fewer directions. "auto" is the paper's: the
        smallest one at which a direction of the source and one of the target are as good as orthogonal to what spans
        both domains together (100 at most, and half the directions).
    source_subspace : {"pca", "pls"}, default "pca"
        The source's axes: principal ones, or those of partial least squares, which follow the labels.
    center : bool, default True
        Take its own mean from each domain, before the axes are found and in the maps. False for rows that are
        standardised within each domain already, or where zero means something.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.

    Attributes
    ----------
    n_components_, angles_
        Dimension of the subspaces, and the principal angles between them, smallest first.

    References
    ----------
    Gong, Shi, Sha, Grauman: Geodesic Flow Kernel for Unsupervised Domain Adaptation. CVPR 2012.

    Examples
    --------
    Two lines at a right angle: each direction counts 1/2, and the plane's two sides 1/pi.

    >>> import numpy as np
    >>> Xs, Xt = np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([[0.0, -1.0], [0.0, 1.0]])
    >>> method = GFK(n_components=1).fit(Xs, Xt)
    >>> np.round(method.transform(np.eye(2)) @ method.transform(np.eye(2)).T, 4)
    array([[0.5   , 0.3183],
           [0.3183, 0.5   ]])
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any")

    def __init__(
        self,
        n_components: int | str = "auto",
        source_subspace: str = "pca",
        center: bool = True,
        target_weight: float | str = "balanced",
    ) -> None:
        self.n_components = n_components
        self.source_subspace = source_subspace
        self.center = center
        self.target_weight = target_weight

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the maps of source and of target rows. Labels are used with source_subspace="pls" only."""
        name = type(self).__name__
        if self.source_subspace not in ("pca", "pls"):
            raise InputError(f"{name}: source_subspace must be 'pca' or 'pls', not {self.source_subspace!r}")
        source = principal_axes(Xs, self.center, name, "source")
        target = principal_axes(Xt, self.center, name, "target")
        k = dimension_of(self.n_components, min(len(source.values), len(target.values)), name)
        if k is None:
            both = principal_axes(stack_rows([Xs, Xt]), self.center, name, "both domains'")
            k = full_disagreement(source.vectors, target.vectors, both.vectors)
        Ps = source.vectors[:, :k]
        if self.source_subspace == "pls":
            Ps = least_squares_axes(Xs, _targets_of(ys, name), k, self.center)
            if not Ps.shape[1]:
                raise InputError(f"{name}: no column goes with the labels; take source_subspace='pca'")
        self.n_components_ = Ps.shape[1]
        F, self.angles_ = flow_factor(Ps, target.vectors[:, : self.n_components_])
        return source.map_by(F, Xs.dtype), target.map_by(F, Xs.dtype)


def _targets_of(ys: np.ndarray | None, name: str) -> np.ndarray:
    """Return what partial least squares explains: a column of 0 and 1 for each class, or the numbers."""
    labels = source_labels_of(ys, name, classes=False)
    if task_of(labels) == "classification":
        return (labels[:, None] == np.unique(labels)).astype(float)
    return labels.astype(float)[:, None]


def flow_factor(Ps: np.ndarray, Pt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return F, shape (d, 2k at most), with G = F F', and the principal angles (k,) between the subspaces.

    Ps and Pt have k orthonormal columns each.
    """
    U, _, Vt = np.linalg.svd(Ps.T @ Pt)
    A, B = Ps @ U, Pt @ Vt.T
    far = np.linalg.norm(A - B, axis=0)
    # The half angle by its tangent is exact for small angles, where the cosine is not.
    angles = 2 * np.arctan2(far, np.linalg.norm(A + B, axis=0))
    sinc = np.sinc(angles / np.pi)
    small = angles < 1e-3
    # ||A - B||^2 times this is (1 - sinc) / 2, without a division of rounding errors where the angle vanishes.
    rest = np.where(small, (1 + angles**2 / 30) / 12, (1 - sinc) / np.where(small, 1.0, 2 * far**2))
    F = np.hstack([(A + B) * np.sqrt((1 + sinc) / 2) / np.linalg.norm(A + B, axis=0), (A - B) * np.sqrt(rest)])
    return F[:, np.linalg.norm(F, axis=0) > 1e-10], angles


def full_disagreement(Vs: np.ndarray, Vt: np.ndarray, Vb: np.ndarray) -> int:
    """Return the smallest k at which the first k axes of source and of target leave those of both domains together.

    The measure is (sin a + sin b) / 2, with a the largest angle between the first k axes of the source and of both
    domains together, b that of the target; it is full at 1. Where that is not reached, k is where it is largest.
    """
    most = max(1, min(Vs.shape[1], Vt.shape[1], MOST_AUTO, Vs.shape[0] // 2))
    to_source, to_target = Vs[:, :most].T @ Vb[:, :most], Vt[:, :most].T @ Vb[:, :most]
    measured = []
    for k in range(1, most + 1):
        cosines = [np.linalg.svd(M[:k, :k], compute_uv=False)[-1] for M in (to_source, to_target)]
        measured.append(np.mean(np.sqrt(np.maximum(1 - np.square(cosines), 0.0))))
        if measured[-1] >= FULL:
            return k
    return int(np.argmax(measured)) + 1
