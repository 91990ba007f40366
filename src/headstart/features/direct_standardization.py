"""Direct standardization: one instrument's spectra as another would have measured them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import InputError
from headstart.features.instruments import (
    checked_components,
    components_by_held_out_pairs,
    enough_pairs,
    means,
    principal_components,
)
from headstart.features.paired import PairedMethod
from headstart.mapping import IdentityMap, Map


@dataclass(frozen=True, eq=False)
class FactoredMap:
    """The map x -> (x - center) W Q + shift, of low rank: W Q is never formed.

    Examples
    --------
    >>> import numpy as np
    >>> W, Q = np.array([[2.0], [0.0]]), np.array([[1.0, 3.0]])
    >>> FactoredMap(center=np.zeros(2), W=W, Q=Q, shift=np.ones(2)).transform(np.array([[1.0, 7.0]]))
    array([[3., 7.]])
    """

    center: np.ndarray
    W: np.ndarray
    Q: np.ndarray
    shift: np.ndarray

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, columns of Q)."""
        return (X - self.center) @ self.W @ self.Q + self.shift


class DirectStandardization(PairedMethod):
    r"""Direct standardization: map the target instrument's spectra to the source instrument's, all channels at once.

    From samples measured on both instruments, :math:`X_t` and :math:`X_s` (one row a sample, centred),

    .. math:: F = X_t^{+} X_s,\qquad x_t \mapsto (x_t - \mu_t)\,F + \mu_s

    so that a calibration made on the source instrument serves the target's spectra. Source rows stay where they are.
    The instruments may have different channels.

    Parameters
    ----------
    n_components : int, None or "cv", default None
        Components kept of the target's paired spectra: F is then that of principal component regression. None keeps
        all of them, the pseudo-inverse of the paper, which reproduces the pairs exactly where they are fewer than the
        channels; "cv" takes the fewest that reproduce held-out pairs about as well as the best number does.
    reg : float, default 0
        Ridge penalty, as a share of the largest squared singular value of the centred :math:`X_t`; the larger, the
        nearer is F to zero.
    background : bool, default True
        Take the mean spectra away before, and add the source's after: the additive background correction of the 1995
        paper. With False the map is :math:`x_t F`, as in 1991.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Deals more than 10 pairs out to the 10 folds of "cv".

    Attributes
    ----------
    n_components_ : int
        Components used.
    errors_ : array of shape (most,)
        Root mean squared error on held-out pairs with 1, 2, ... components; empty unless chosen by "cv".

    References
    ----------
    Wang, Veltkamp, Kowalski: Multivariate Instrument Standardization. Analytical Chemistry 63, 1991.
    Wang, Dean, Kowalski: Additive Background Correction in Multivariate Instrument Standardization. Analytical
    Chemistry 67, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> master = rng.normal(size=(10, 3))
    >>> slave = master @ rng.normal(size=(3, 3)) + 0.5         # the same samples on another instrument
    >>> method = DirectStandardization().fit(master[:6], slave[:6])
    >>> bool(np.allclose(method.transform(slave[6:]), master[6:]))
    True
    """

    def __init__(
        self,
        n_components: int | str | None = None,
        reg: float = 0.0,
        background: bool = True,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_components = n_components
        self.reg = reg
        self.background = background
        self.target_weight = target_weight
        self.random_state = random_state

    def align_pairs(self, Xs: np.ndarray, Xt: np.ndarray) -> tuple[Map, Map]:
        """Return the identity for source rows, and the map of target rows to the source instrument."""
        name, dtype = "DirectStandardization", Xt.dtype
        n_components = checked_components(self.n_components, name)
        if not self.reg >= 0:
            raise InputError(f"{name}: reg must be zero or more, not {self.reg}")
        enough_pairs(len(Xs), self.background, name)
        Xs, Xt = Xs.astype(np.float64), Xt.astype(np.float64)
        self.errors_ = np.zeros(0)
        if n_components == "cv":
            n_components, self.errors_ = components_by_held_out_pairs(
                Xs,
                Xt,
                lambda C, Y: [(slice(None), slice(None), *principal_components(C, Y, self.reg))],
                self.background,
                self.random_state,
            )
        mean_s, mean_t = means(Xs, self.background), means(Xt, self.background)
        W, Q = principal_components(Xt - mean_t, Xs - mean_s, self.reg)
        W, Q = W[:, :n_components], Q[:n_components]
        self.n_components_ = W.shape[1]
        return IdentityMap(), FactoredMap(*(array.astype(dtype) for array in (mean_t, W, Q, mean_s)))
