"""Scatter component analysis."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from headstart.domain import stack_rows
from headstart.draws import canonical_order
from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.discrepancy import marginal
from headstart.features.scatter import (
    Damped,
    Directions,
    KernelMatrix,
    Scatter,
    between_classes,
    directions,
    features,
    kernel_directions,
    kernel_settings,
    warn_when_rough,
)
from headstart.inputs import coded
from headstart.kernels import median_gamma, rbf
from headstart.mapping import KernelMap, Map
from headstart.method import Needs


class SCA(FeatureMethod):
    r"""Scatter component analysis: components that spread rows and classes, not the domains nor a class's rows.

    .. math:: \max_w \frac{(1 - \beta)\,\Psi_{total} + \beta\,\Psi_{between}}
                          {\delta\,\Psi_{domains} + \Psi_{within} + \varrho\|w\|^2}

    with the scatters of :math:`z = \langle w, \phi(x)\rangle`, each a mean of squares: of all rows about their mean;
    of the class means about the mean of the labelled rows; of the two domains' means about the middle between them;
    and of the labelled rows about their class means. Labelled are all source rows, and the target rows whose label is
    known.

    With :math:`\beta = \delta = 0` and a large :math:`\varrho` it is kernel PCA, with :math:`\beta = 1, \delta = 0`
    the kernel Fisher discriminant.

    Parameters
    ----------
    n_components : int, default 20
        Number of components; fewer where the rows vary in fewer directions.
    kernel : {"linear", "rbf"}, default "rbf"
        The inner product, or exp(-gamma ||x - x'||^2) as in the paper.
    gamma : float, optional
        By default 1 / median squared distance between the rows of both domains.
    rank : int, None or "auto", default "auto"
        Landmark rows of a Nystroem approximation of the rbf kernel. None: exact; "auto": exact up to 10,000 rows of
        both domains together, 300 landmarks beyond.
    beta : float, default 0.5
        :math:`\beta`, 0 to 1; larger counts the spread of classes for more, and that of all rows for less.
    delta : float, default 1.0
        :math:`\delta`; larger brings the domains nearer to each other.
    reg : float, default 1e-3
        :math:`\varrho`, more than zero; larger makes smoother functions. The paper sums over rows where scatters here
        are means: its :math:`K` in the denominator is about 1 / (number of labelled rows).
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the landmark rows.

    Attributes
    ----------
    values_, residual_, gamma_, rank_
        Eigenvalues, the eigenproblem's relative residual, kernel width, and landmarks used (None: none).

    References
    ----------
    Ghifary, Balduzzi, Kleijn, Zhang: Scatter Component Analysis: A Unified Framework for Domain Adaptation and Domain
    Generalization. IEEE Transactions on Pattern Analysis and Machine Intelligence 2017.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys = np.repeat([0, 1], 100)
    >>> Xs = rng.normal(size=(200, 2)) + np.outer(ys, [4.0, 0.0])
    >>> Xt = rng.normal(size=(200, 2)) + np.outer(ys, [4.0, 0.0]) + [0.0, 3.0]
    >>> method = SCA(n_components=1, delta=10.0).fit(Xs, Xt, ys)
    >>> Zs, Zt = method.transform_source(Xs), method.transform(Xt)
    >>> bool(abs(Zs.mean() - Zt.mean()) < 0.2 * Zs.std())
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any", tasks=("classification",))

    def __init__(
        self,
        n_components: int = 20,
        kernel: str = "rbf",
        gamma: float | None = None,
        rank: int | str | None = "auto",
        beta: float = 0.5,
        delta: float = 1.0,
        reg: float = 1e-3,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.rank = rank
        self.beta = beta
        self.delta = delta
        self.reg = reg
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of rows, twice, by source labels and the target labels that are known."""
        name = type(self).__name__
        if not 0 <= self.beta <= 1 or self.delta < 0 or self.reg <= 0:
            raise InputError(f"{name}: beta must be between 0 and 1, delta not less than zero, and reg more")
        n_s, n_t = Xs.shape[0], Xt.shape[0]
        labels = coded(ys, yt, n_t, name)
        y = np.concatenate([labels.source, np.where(labels.known, labels.target, -1)])
        self.rank_ = kernel_settings(self.kernel, self.rank, n_s + n_t, name)
        spread, drawn = scatters(y, n_s, self.beta, self.delta)
        if self.kernel == "rbf" and self.rank_ is None:
            found, mapped = self._on_rows(Xs, Xt, spread, drawn)
        else:
            space = features(Xs, Xt, self.kernel, self.gamma, self.rank_, self.random_state)
            self.gamma_ = space.gamma
            right = drawn.gram(space.Phi) + self.reg * np.eye(space.Phi.shape[1])
            found = directions(spread.gram(space.Phi), right, self.n_components, name)
            mapped = space.map_of(found.w)
        self.values_, self.residual_ = found.values, found.residual
        warn_when_rough(self.residual_, name)
        return mapped, mapped

    def _on_rows(self, Xs: Any, Xt: Any, spread: Scatter, drawn: Scatter) -> tuple[Directions, Map]:
        X = stack_rows([Xs, Xt]).astype(np.float64)
        self.gamma_ = median_gamma(Xs, Xt) if self.gamma is None else self.gamma
        K = rbf(X, X, self.gamma_)
        matrix = KernelMatrix(lambda rows, columns, z: K[rows, columns] @ z, lambda rows: K[np.ix_(rows, rows)])
        damped, order = Damped(matrix, drawn, self.reg), canonical_order(X)
        found = kernel_directions(damped, drawn.E, spread, self.n_components, order, type(self).__name__)
        return found, KernelMap(X, found.w, self.gamma_)


def scatters(y: np.ndarray, n_s: int, beta: float, delta: float) -> tuple[Scatter, Scatter]:
    """Return the scatter that is to be large, and the one that is to be small but for the penalty of w.

    y holds the classes of all rows, source rows first; -1 where they are not known.
    """
    n, labelled = len(y), int((y >= 0).sum())
    spread = Scatter((1 - beta) / n, np.zeros(n, dtype=int), between_classes(y, beta / labelled))
    # Each of two means is half their difference away from the middle.
    drawn = Scatter(1 / labelled, y, marginal(n_s, n - n_s) * np.sqrt(delta) / 2)
    return spread, drawn
