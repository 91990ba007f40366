"""Kernel mean matching."""

import warnings
from typing import Any, ClassVar

import numpy as np

from headstart.errors import InputError
from headstart.instances.base import InstanceMethod
from headstart.instances.box_sum_qp import solve_box_sum_qp
from headstart.instances.gram import DenseGram, Gram, LowRankGram
from headstart.instances.overlap import warn_when_apart
from headstart.kernels import median_gamma, nystroem_map, rbf, rbf_sums, squared_norms
from headstart.method import Needs

#: Source rows up to which the kernel is held whole (0.8 GB then), and the landmarks used beyond.
MOST_EXACT_ROWS = 10_000
AUTO_RANK = 500
BLOCK = 4096


class KMM(InstanceMethod):
    r"""Kernel mean matching: weight the source rows so that their mean in feature space is the target's.

    Solves, over all source rows at once,

    .. math:: \min_w \tfrac12 w^\top K w - \kappa^\top w
              \quad\text{s.t.}\quad 0 \le w_i \le B,\quad \bigl|\textstyle\sum_i w_i - n_s\bigr| \le n_s\varepsilon

    with :math:`K_{ij} = k(x_i, x_j)` over source rows and
    :math:`\kappa_i = \frac{n_s}{n_t}\sum_j k(x_i, x'_j)`. The weights estimate the density ratio
    :math:`p_t(x)/p_s(x)` without estimating either density.

    Parameters
    ----------
    gamma : float, optional
        Width of the kernel exp(-gamma ||x - x'||^2); by default 1 / median squared distance between the rows
        of both domains.
    B : float, default 1000
        Upper bound of a weight.
    eps : float, optional
        How far the mean weight may be from 1; by default (sqrt(n_s) - 1) / sqrt(n_s), as in the paper.
    rank : int, None or "auto", default "auto"
        Use a Nystroem approximation of the kernel with so many landmark rows: time and memory then grow with
        n_s * rank instead of n_s^2. Each row's likeness to itself stays exact. None keeps the whole kernel exact;
        "auto" does so up to 10,000 source rows and uses 500 landmarks beyond.
    tol : float, default 1e-5
        Stop when the Frank-Wolfe duality gap is below tol times the objective's size.
    max_iter : int, default 20000
        Stop after so many gradient steps in any case, with a warning.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Choice of the landmark rows; not used when the kernel is exact.

    Attributes
    ----------
    gamma_, rank_, objective_, gap_, n_iter_, effective_size_
        Kernel width and rank used, objective reached, duality gap there, iterations, and (sum w)^2 / sum w^2.

    References
    ----------
    Huang, Smola, Gretton, Borgwardt, Schoelkopf: Correcting Sample Selection Bias by Unlabeled Data. NIPS 2006.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(0, 1, (200, 1)), rng.normal(1, 0.5, (200, 1))
    >>> w = KMM().weigh(Xs, Xt)
    >>> bool(w[Xs[:, 0] > 0].mean() > 5 * w[Xs[:, 0] < 0].mean())
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True)

    def __init__(
        self,
        gamma: float | None = None,
        B: float = 1000.0,
        eps: float | None = None,
        rank: int | str | None = "auto",
        tol: float = 1e-5,
        max_iter: int = 20000,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.gamma = gamma
        self.B = B
        self.eps = eps
        self.rank = rank
        self.tol = tol
        self.max_iter = max_iter
        self.target_weight = target_weight
        self.random_state = random_state

    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> np.ndarray:
        """Return the weight of each source row.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
            Source and target rows. Labels are not used.

        Returns
        -------
        w : array of shape (n_s,), between 0 and B.
        """
        Xs, Xt = self.rows_of_both(Xs, Xt)
        warn_when_apart("KMM", Xs, Xt)
        n_s = Xs.shape[0]
        eps = (np.sqrt(n_s) - 1) / np.sqrt(n_s) if self.eps is None else self.eps
        if 1 - eps > self.B:
            raise InputError(f"KMM: B={self.B} leaves no weights with a mean of at least {1 - eps:.3g}; raise B")
        self.gamma_ = median_gamma(Xs, Xt) if self.gamma is None else self.gamma
        self.rank_ = self._rank(n_s)
        K, kappa = _kernel_terms(Xs, Xt, self.gamma_, self.rank_, self.random_state)
        w, self.objective_, self.gap_, self.n_iter_ = solve_box_sum_qp(
            K,
            kappa,
            self.B,
            (n_s * (1 - eps), n_s * (1 + eps)),
            tol=self.tol,
            max_iter=self.max_iter,
        )
        if self.gap_ > self.tol * abs(self.objective_):
            warnings.warn(
                f"KMM stopped after {self.n_iter_} iterations with a duality gap of {self.gap_:.2g} "
                f"(objective {self.objective_:.6g}); raise max_iter",
                stacklevel=2,
            )
        return self.finished(w, Xs)

    def _rank(self, n_s: int) -> int | None:
        if isinstance(self.rank, str):
            if self.rank != "auto":
                raise InputError(f"KMM: rank must be a number, None or 'auto', not {self.rank!r}")
            return AUTO_RANK if n_s > MOST_EXACT_ROWS else None
        return self.rank


def _kernel_terms(
    Xs: Any, Xt: Any, gamma: float, rank: int | None, random_state: int | None
) -> tuple[Gram, np.ndarray]:
    """Return the kernel of the source rows, exact or of low rank, and the vector kappa of shape (n_s,)."""
    scale = Xs.shape[0] / Xt.shape[0]
    # The weights hang on small differences of kernel sums, so these are formed in double precision.
    Xs, Xt = Xs.astype(float), Xt.astype(float)
    if rank is None:
        return DenseGram(rbf(Xs, Xs, gamma)), scale * rbf_sums(Xs, Xt, gamma)
    features = nystroem_map(Xs, Xt, gamma, rank, random_state)
    F = np.concatenate([features(Xs[start : start + BLOCK]) for start in range(0, Xs.shape[0], BLOCK)])
    mean_t = sum(features(Xt[start : start + BLOCK]).sum(axis=0) for start in range(0, Xt.shape[0], BLOCK))
    # What the landmarks miss of a row is mostly its likeness to itself: that is kept, on the diagonal.
    return LowRankGram(F, np.maximum(1.0 - squared_norms(F), 0.0)), scale * (F @ mean_t)
