"""Transfer component analysis."""

from typing import Any, ClassVar

from headstart.features.base import FeatureMethod
from headstart.features.components import components
from headstart.features.discrepancy import marginal
from headstart.features.representation import representation
from headstart.mapping import Map
from headstart.method import Needs


class TCA(FeatureMethod):
    r"""Transfer component analysis: the directions in which the rows vary, and in which the domains' means agree.

    .. math:: \min_W\; \operatorname{tr}(W^\top K L K W) + \mu \operatorname{tr}(W^\top W)
              \quad\text{s.t.}\quad W^\top K H K W = I

    with K the kernel matrix of the rows of both domains, H the centring matrix and L = e e', where e takes the
    difference of the domains' means. W is made of the leading vectors of
    :math:`K H K\,w = \theta\,(K L K + \mu I)\,w`, and the representation is K W. No label is used.

    The product e e' is never formed, nor is the kernel where it has few dimensions.

    Parameters
    ----------
    n_components : int, default 20
        Columns of the representation; fewer where the rows vary in fewer directions.
    kernel : {"linear", "primal", "rbf"}, default "linear"
        The inner product; the inner product, where the weights of the linear map are penalised instead of W (what many
        implementations call TCA on raw features); or exp(-gamma ||x - x'||^2).
    gamma : float, optional
        Width of the rbf kernel; by default 1 / median squared distance between the rows of both domains.
    reg : float, default 1.0
        :math:`\mu`, more than zero; 1 in the paper. Larger means less adaptation: the components tend to those of
        kernel principal component analysis.
    whiten : bool, default False
        Give every component variance 1, as the paper's constraint has it. Otherwise its variance is proportional to
        :math:`\theta`, with a mean of 1 over the components: what tells the domains apart is small in all of them,
        even where no direction is left out.
    rank : int, None or "auto", default "auto"
        Landmark rows of a Nystroem approximation of the rbf kernel. None: exact; "auto": exact up to 10,000 rows of
        both domains together, 300 landmarks beyond.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the landmark rows.

    Attributes
    ----------
    values_, residual_, gamma_, rank_
        The values :math:`\theta`, the eigenproblem's relative residual, kernel width, and landmarks used (None:
        none).

    References
    ----------
    Pan, Tsang, Kwok, Yang: Domain Adaptation via Transfer Component Analysis. IEEE Transactions on Neural Networks
    2011.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(size=(200, 3)), rng.normal(size=(200, 3)) + [5.0, 0.0, 0.0]
    >>> method = TCA(n_components=2).fit(Xs, Xt)
    >>> Zs, Zt = method.transform_source(Xs), method.transform(Xt)
    >>> bool(np.abs(Zs.mean(axis=0) - Zt.mean(axis=0)).max() < 0.01)
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any")

    def __init__(
        self,
        n_components: int = 20,
        kernel: str = "linear",
        gamma: float | None = None,
        reg: float = 1.0,
        whiten: bool = False,
        rank: int | str | None = "auto",
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.reg = reg
        self.whiten = whiten
        self.rank = rank
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the one map of the rows of both domains, twice. Labels are not used."""
        space = representation(Xs, Xt, self.kernel, self.gamma, self.rank, self.random_state, "TCA")
        self.gamma_, self.rank_ = space.gamma, space.rank
        found = components(space.P, self.n_components, marginal(Xs.shape[0], Xt.shape[0]), self.reg, name="TCA")
        self.values_, self.residual_ = found.values, found.residual
        both = space.map_of(found.scaled(self.whiten))
        return both, both
