"""Piecewise direct standardization: every channel from its neighbours on the other instrument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from headstart.errors import InputError
from headstart.features.instruments import (
    checked_components,
    components_by_held_out_pairs,
    enough_pairs,
    means,
    partial_least_squares,
    principal_components,
)
from headstart.features.paired import PairedMethod
from headstart.mapping import IdentityMap, Map
from headstart.method import Needs

REGRESSIONS = ("pcr", "pls")


@dataclass(frozen=True, eq=False)
class BandedMap:
    """The map x -> (x - center) A + shift with a sparse A.

    Examples
    --------
    >>> import numpy as np
    >>> A = csr_matrix([[2.0, 0.0], [0.0, 3.0]])
    >>> BandedMap(center=np.zeros(2), A=A, shift=np.ones(2)).transform(np.array([[1.0, 1.0]]))
    array([[3., 4.]])
    """

    center: np.ndarray
    A: csr_matrix
    shift: np.ndarray

    def transform(self, X: Any) -> np.ndarray:
        """Return the mapped rows, shape (n, columns of A)."""
        return np.asarray((X - self.center) @ self.A) + self.shift


class PiecewiseDirectStandardization(PairedMethod):
    r"""Piecewise direct standardization: map each channel of the source instrument from a window of the target's.

    From samples measured on both instruments (one row a sample, columns centred), channel j of the source is regressed
    on the target's channels j - w to j + w, fewer at the ends of the spectrum:

    .. math:: x_{s,j} \approx \mu_{s,j} + (x_{t,\,j-w:j+w} - \mu_{t,\,j-w:j+w})\,b_j

    The :math:`b_j` are the columns of a banded matrix F, and :math:`x_t \mapsto (x_t - \mu_t)\,F + \mu_s`. Few samples
    suffice, for each regression has few unknowns; `DirectStandardization` is the case of a window of all channels.
    Source rows stay where they are. Columns have an order here: neighbouring channels measure about the same.

    Parameters
    ----------
    window : int, default 2
        w, the half-width: 2 w + 1 channels take part.
    n_components : int, None or "cv", default "cv"
        Components of each window's regression; None: all. "cv" takes the fewest, the same for all windows,
        that reproduce held-out pairs about as well as the best number does: within one standard error. Smooth spectra
        and few samples want very few: channels of one window hardly differ, and what is fitted to their differences
        is noise.
    regression : {"pcr", "pls"}, default "pcr"
        Principal component regression, or partial least squares.
    reg : float, default 0
        Ridge penalty of "pcr", as a share of each window's largest squared singular value; the larger, the nearer is
        F to zero. With `n_components=None` this is ridge regression.
    background : bool, default True
        Take the mean spectra away before, and add the source's after (additive background correction).
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Deals more than 10 pairs out to the 10 folds of "cv".

    Attributes
    ----------
    n_components_ : int
        Components used, at most.
    errors_ : array of shape (most,)
        Root mean squared error on held-out pairs with 1, 2, ... components; empty unless chosen by "cv".

    References
    ----------
    Wang, Veltkamp, Kowalski: Multivariate Instrument Standardization. Analytical Chemistry 63, 1991.
    Wang, Dean, Kowalski: Additive Background Correction in Multivariate Instrument Standardization. Analytical
    Chemistry 67, 1995.

    Examples
    --------
    Forty samples on the source instrument, eight of them on the target instrument too, which sees every channel
    weaker and smeared into the next, over a background; no label is known at the target.

    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from headstart import Transfer
    >>> rng = np.random.default_rng(0)
    >>> content = rng.uniform(size=(60, 3))
    >>> bands = np.exp(-((np.arange(30) - np.array([[5], [14], [22]])) ** 2) / 20)
    >>> spectra = content @ bands
    >>> smeared = 0.6 * spectra + 0.2 * np.roll(spectra, 1, axis=1) + 0.3
    >>> X = np.vstack([spectra[:40], smeared[:8]])
    >>> y = np.append(content[:40, 0], np.full(8, np.nan))
    >>> domain = np.repeat(["source", "target"], [40, 8])
    >>> sample = np.append(np.arange(40), np.arange(8))
    >>> fitted = Transfer(PiecewiseDirectStandardization(), Ridge(1e-3)).fit(X, y, domain=domain, pair=sample)
    >>> bool(np.abs(fitted.predict(smeared[40:]) - content[40:, 0]).max() < 0.02)
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, dense=True, pairs=True, learner="any")

    def __init__(
        self,
        window: int = 2,
        n_components: int | str | None = "cv",
        regression: str = "pcr",
        reg: float = 0.0,
        background: bool = True,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.window = window
        self.n_components = n_components
        self.regression = regression
        self.reg = reg
        self.background = background
        self.target_weight = target_weight
        self.random_state = random_state

    def align_pairs(self, Xs: np.ndarray, Xt: np.ndarray) -> tuple[Map, Map]:
        """Return the identity for source rows, and the banded map of target rows to the source instrument."""
        name, dtype = "PiecewiseDirectStandardization", Xt.dtype
        n_components = checked_components(self.n_components, name)
        self._check(name)
        enough_pairs(len(Xs), self.background, name)
        Xs, Xt = Xs.astype(np.float64), Xt.astype(np.float64)
        self.errors_ = np.zeros(0)
        if n_components == "cv":
            n_components, self.errors_ = components_by_held_out_pairs(
                Xs, Xt, self._regressions, self.background, self.random_state
            )
        mean_s, mean_t = means(Xs, self.background), means(Xt, self.background)
        self.n_components_ = 0
        values, rows, starts = [], [], [0]
        for channels, _, W, Q in self._regressions(Xt - mean_t, Xs - mean_s):
            b = W[:, :n_components] @ Q[:n_components, 0]
            self.n_components_ = max(self.n_components_, W[:, :n_components].shape[1])
            values.append(b.astype(dtype))
            rows.append(np.arange(channels.start, channels.stop))
            starts.append(starts[-1] + len(rows[-1]))
        # Column by column is the transpose row by row.
        F = csr_matrix((np.concatenate(values), np.concatenate(rows), starts), (len(rows), Xt.shape[1])).T.tocsr()
        return IdentityMap(), BandedMap(mean_t.astype(dtype), F, mean_s.astype(dtype))

    def _check(self, name: str) -> None:
        if not self.window >= 0:
            raise InputError(f"{name}: window must be zero or more channels, not {self.window}")
        if self.regression not in REGRESSIONS:
            raise InputError(f"{name}: regression must be 'pcr' or 'pls', not {self.regression!r}")
        if not self.reg >= 0:
            raise InputError(f"{name}: reg must be zero or more, not {self.reg}")
        if self.regression == "pls" and self.reg > 0:
            raise InputError(f"{name}: reg is a penalty of 'pcr'; leave it at 0 with 'pls'")

    def _regressions(self, C: np.ndarray, Y: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray, np.ndarray]]:
        """Yield each channel's window, itself, and its regression on the window's components."""
        d = C.shape[1]
        for j in range(d):
            channels = slice(max(0, j - self.window), min(d, j + self.window + 1))
            y = Y[:, j : j + 1]
            if self.regression == "pls":
                W, Q = partial_least_squares(C[:, channels], y)
            else:
                W, Q = principal_components(C[:, channels], y, self.reg)
            yield channels, slice(j, j + 1), W, Q
