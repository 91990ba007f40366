"""Canonical correlation analysis: directions of both domains along which paired rows agree."""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError, unknown_name
from headstart.features.paired import PairedMethod
from headstart.kernels import median_gamma, rbf
from headstart.mapping import AffineMap, KernelMap, Map

KERNELS = ("linear", "rbf")
#: Singular values below this share of the largest are rounding.
LEAST_SHARE = 1e-10


class CCA(PairedMethod):
    r"""Canonical correlation analysis: map both domains to the directions along which paired rows agree.

    .. math:: \max_{A, B}\; tr\, A^\top C_{st} B \quad s.t.\quad
              A^\top (C_{ss} + \rho_s I) A = B^\top (C_{tt} + \rho_t I) B = I

    Its solution are the singular vectors of the whitened cross-covariance
    :math:`(C_{ss} + \rho_s I)^{-1/2}\, C_{st}\, (C_{tt} + \rho_t I)^{-1/2}`, its singular values the canonical
    correlations. With a kernel the rows are first taken to the kernel's own space (KCCA). The domains may have
    different columns; what is learned there from labelled source rows holds for target rows, new ones too.

    Parameters
    ----------
    n_components : int, optional
        Directions; by default as many as there are.
    kernel : {"linear", "rbf"}, default "linear"
    reg : float, default 0.01
        :math:`\rho`, in units of a domain's mean variance a direction; with "rbf", of the variance in all directions.
        The larger, the more do directions of large variance count. 0 is plain CCA, for many more pairs than columns.
    gamma_source, gamma_target : float, optional
        Widths exp(-gamma ||x - x'||^2) of "rbf"; by default 1 / median squared distance between the domain's pairs.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.

    Attributes
    ----------
    correlations_ : array of shape (n_components,)
        The canonical correlations (with `reg`, somewhat below those of the pairs), from the largest.

    Raises
    ------
    InputError
        When the paired rows of a domain do not vary, or "rbf" is to do without `reg`: it then reproduces any pairs.

    References
    ----------
    Hotelling: Relations Between Two Sets of Variates. Biometrika 1936. Vinod: Canonical Ridge and Econometrics of Joint
    Production. Journal of Econometrics 1976. Hardoon, Szedmak, Shawe-Taylor: Canonical Correlation Analysis: An
    Overview with Application to Learning Methods. Neural Computation 2004.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> latent = rng.normal(size=(50, 2))
    >>> Xs, Xt = latent @ rng.normal(size=(2, 4)), latent @ rng.normal(size=(2, 3))
    >>> method = CCA(n_components=2, reg=0).fit(Xs, Xt)
    >>> method.correlations_.round(6)
    array([1., 1.])
    >>> bool(np.allclose(method.transform_source(Xs), method.transform(Xt)))
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        kernel: str = "linear",
        reg: float = 0.01,
        gamma_source: float | None = None,
        gamma_target: float | None = None,
        target_weight: float | str = "balanced",
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.reg = reg
        self.gamma_source = gamma_source
        self.gamma_target = gamma_target
        self.target_weight = target_weight

    def align_pairs(self, Xs: np.ndarray, Xt: np.ndarray) -> tuple[Map, Map]:
        """Return the maps of source and of target rows to the canonical directions."""
        name, dtype = "CCA", Xs.dtype
        if self.kernel not in KERNELS:
            raise InputError(f"{name}: {unknown_name('kernel', self.kernel, KERNELS)}")
        if not self.reg >= 0 or (self.n_components is not None and self.n_components < 1):
            raise InputError(
                f"{name}: reg must be zero or more and n_components 1 or more, not {self.reg} and {self.n_components}"
            )
        if self.kernel == "rbf" and self.reg == 0:
            raise InputError(f"{name}: with kernel='rbf' reg must be positive: without, any pairs correlate by 1")
        Xs, Xt = Xs.astype(float), Xt.astype(float)
        if self.kernel == "linear":
            centers = Xs.mean(axis=0), Xt.mean(axis=0)
            A, B, self.correlations_ = canonical(Xs - centers[0], Xt - centers[1], self.reg, self.n_components, name)
            none = np.zeros(A.shape[1], dtype)
            return (
                AffineMap(centers[0].astype(dtype), A.astype(dtype), none),
                AffineMap(centers[1].astype(dtype), B.astype(dtype), none),
            )
        gammas = [
            median_gamma(X, X) if gamma is None else gamma
            for X, gamma in ((Xs, self.gamma_source), (Xt, self.gamma_target))
        ]
        grams = [rbf(X, X, gamma) for X, gamma in zip((Xs, Xt), gammas, strict=True)]
        (Fs, ways_s), (Ft, ways_t) = (kernel_coordinates(K) for K in grams)
        A, B, self.correlations_ = canonical(Fs, Ft, self.reg, self.n_components, name)
        return (
            _centred_kernel_map(Xs, grams[0], ways_s @ A, gammas[0]),
            _centred_kernel_map(Xt, grams[1], ways_t @ B, gammas[1]),
        )


def canonical(
    X: np.ndarray, Y: np.ndarray, reg: float, n_components: int | None, name: str = "CCA"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the directions A (d_s, k) and B (d_t, k) of centred paired rows, and their correlations (k,).

    Scores X A and Y B have variance 1 where reg is 0. Everything is done on the singular values of the rows
    themselves: covariances would square what rounding they carry.
    """
    (U, white_x), (V, white_y) = (_whitened(Z, reg, name) for Z in (X, Y))
    P, correlations, Qt = np.linalg.svd(U.T @ V, full_matrices=False)
    k = len(correlations) if n_components is None else min(n_components, len(correlations))
    A, B = white_x @ P[:, :k], white_y @ Qt[:k].T
    # The sign is not to hang on rounding: the longer tail of the source is on the right.
    sign = np.where(np.power(X @ A, 3).sum(axis=0) < 0, -1.0, 1.0)
    return A * sign, B * sign, np.minimum(correlations[:k], 1.0)


def _whitened(Z: np.ndarray, reg: float, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return Z W / sqrt(n), and W with W' (Z'Z / n + rho I) W = I, rho in units of the mean squared singular value."""
    U, s, Vt = np.linalg.svd(Z / np.sqrt(len(Z)), full_matrices=False)
    kept = s > LEAST_SHARE * s.max(initial=0.0)
    if not kept.any():
        raise InputError(f"{name}: the paired rows of a domain are all the same; give pairs that vary")
    U, s, Vt = U[:, kept], s[kept], Vt[kept]
    root = np.sqrt(np.square(s) + reg * np.mean(np.square(s)))
    return U * (s / root), Vt.T / root


def kernel_coordinates(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in the kernel's space, centred, shape (n, r), and the W with which H K W are those rows."""
    K = K - K.mean(axis=0)
    K = K - K.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(K)
    kept = values > max(values[-1], 0.0) * len(values) * np.finfo(float).eps
    root = np.sqrt(values[kept])
    # The centred kernel's total variance becomes 1 a direction on average, see `reg`.
    return vectors[:, kept] * root, vectors[:, kept] / root


def _centred_kernel_map(X: np.ndarray, K: np.ndarray, A: np.ndarray, gamma: float) -> KernelMap:
    """Return x -> (k(x) - mean_i k(x_i)) H A: the kernel, centred as that of the fit."""
    A = A - A.mean(axis=0)
    return KernelMap(X, A, gamma, -(K.mean(axis=0) @ A))
