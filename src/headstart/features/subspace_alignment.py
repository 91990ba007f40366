"""Subspace alignment."""

from typing import Any, ClassVar

import numpy as np

from headstart.features.base import FeatureMethod
from headstart.features.subspaces import PrincipalAxes, dimension_of, principal_axes
from headstart.mapping import Map
from headstart.method import Needs

#: The deviation that "auto" tolerates, and the probability with which it may be larger; those of the paper.
MOST_DEVIATION, RISK = 1e5, 0.1


class SubspaceAlignment(FeatureMethod):
    r"""Subspace alignment: turn the source's principal axes onto the target's.

    .. math:: x \mapsto (x - \mu_s)\,P_s P_s^\top P_t \quad\text{(source)},\qquad
              x \mapsto (x - \mu_t)\,P_t \quad\text{(target)}

    with the leading principal axes as columns of :math:`P_s` and :math:`P_t`. Of all matrices M,
    :math:`M = P_s^\top P_t` makes :math:`\|P_s M - P_t\|` smallest. With as many components as columns,
    :math:`P_s P_s^\top` is the identity and all that is left is to move both means to zero.

    Parameters
    ----------
    n_components : int or "auto", default "auto"
        Number of axes; fewer are used where a domain varies in fewer directions. "auto" takes the largest number
        that the paper's theorem calls stable: the axes of other samples of the same size would differ little, because
        the variance drops after the last one.
    center : bool, default True
        Take its own mean from each domain, before the axes are found and in the maps. False for rows that are
        standardised within each domain already, or where zero means something.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.

    Attributes
    ----------
    n_components_
        Number of axes used.

    References
    ----------
    Fernando, Habrard, Sebban, Tuytelaars: Unsupervised Visual Domain Adaptation Using Subspace Alignment. ICCV 2013.

    Examples
    --------
    A turn of the plane that rows lie in:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(500, 2)) * [3.0, 1.0]
    >>> Xs, Xt = np.column_stack([Z, 0 * Z]), np.column_stack([0.6 * Z, 0.8 * Z])
    >>> method = SubspaceAlignment(n_components=2).fit(Xs, Xt)
    >>> bool(np.allclose(method.transform_source(Xs), 0.6 * method.transform(Xt)))
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any")

    def __init__(
        self,
        n_components: int | str = "auto",
        center: bool = True,
        target_weight: float | str = "balanced",
    ) -> None:
        self.n_components = n_components
        self.center = center
        self.target_weight = target_weight

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the maps of source and of target rows. Labels are not used."""
        name = type(self).__name__
        source = principal_axes(Xs, self.center, name, "source")
        target = principal_axes(Xt, self.center, name, "target")
        k = dimension_of(self.n_components, min(len(source.values), len(target.values)), name)
        self.n_components_ = stable_dimension(source, target) if k is None else k
        Ps, Pt = source.vectors[:, : self.n_components_], target.vectors[:, : self.n_components_]
        return source.map_by(Ps @ (Ps.T @ Pt), Xs.dtype), target.map_by(Pt, Xs.dtype)


def stable_dimension(source: PrincipalAxes, target: PrincipalAxes) -> int:
    r"""Return the largest number of axes with a deviation of at most 1e5, by the theorem of the paper.

    With probability :math:`1 - \delta`, the aligned inner products of samples are as near to their expectation as

    .. math:: 8\,k^{3/2} B \Bigl(1 + \sqrt{\frac{\ln(2/\delta)}{2}}\Bigr)
              \Bigl(\frac{1}{\sqrt{n_s}\,(\lambda^s_k - \lambda^s_{k+1})}
                  + \frac{1}{\sqrt{n_t}\,(\lambda^t_k - \lambda^t_{k+1})}\Bigr)

    with B the largest squared norm of a row and :math:`\lambda` the variances along the axes.
    """
    most = min(len(source.values), len(target.values))
    k = np.arange(1, most + 1)
    B = max(source.reach, target.reach)
    # sqrt(n) times the gap between one variance and the next, in units of B; a gap of zero is never stable.
    of_s, of_t = (np.sqrt(axes.n) / B * -np.diff(np.append(axes.values, 0.0))[:most] for axes in (source, target))
    scale = 8 * k**1.5 * (1 + np.sqrt(np.log(2 / RISK) / 2))
    stable = np.flatnonzero(scale * (of_s + of_t) < MOST_DEVIATION * of_s * of_t)
    return int(k[stable[-1]]) if len(stable) else 1
