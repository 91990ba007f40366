"""Coupling: how much each source row belongs to each target row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_matrix, issparse

from headstart.errors import InputError, unknown_name
from headstart.mapping.anchors import anchor_costs
from headstart.mapping.co_optimal import co_optimal
from headstart.mapping.gromov import gromov
from headstart.mapping.low_rank import LowRank
from headstart.mapping.transport import Plan, entropic, exact, partial

KINDS = ("exact", "entropic", "unbalanced", "partial")


@dataclass(frozen=True, eq=False)
class Coupling:
    """A measure on pairs of rows: entry (i, j) is the mass that source row i and target row j share.

    Parameters
    ----------
    matrix : array, CSR matrix or LowRank of shape (n_s, n_t)
        Not negative.
    objective : float, optional
        What was minimised to find it.
    converged : bool

    Raises
    ------
    InputError
        When an entry is negative or not finite.

    Examples
    --------
    >>> coupling = Coupling.from_costs(np.array([[1.0, 9.0], [9.0, 1.0]]))
    >>> coupling
    Coupling(2 x 2, sparse, mass 1, 2 pairs with mass)
    >>> coupling.barycenters(np.array([[5.0], [7.0]])).ravel(), coupling.source_mass
    (array([5., 7.]), array([0.5, 0.5]))
    """

    matrix: Any
    objective: float | None = None
    converged: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.matrix, LowRank):
            return
        entries = self.matrix.data if issparse(self.matrix) else self.matrix
        if entries.size and not (np.isfinite(entries).all() and entries.min() >= 0):
            raise InputError("a coupling holds masses: finite numbers, zero or more")

    def __repr__(self) -> str:
        n_s, n_t = self.shape
        if isinstance(self.matrix, LowRank):
            kind = f"low rank ({' x '.join(map(str, self.matrix.core.shape))})"
        elif issparse(self.matrix):
            kind = f"sparse, mass {self.mass:.3g}, {self.matrix.nnz} pairs with mass"
            return f"Coupling({n_s} x {n_t}, {kind})"
        else:
            kind = "dense"
        return f"Coupling({n_s} x {n_t}, {kind}, mass {self.mass:.3g})"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows of the source and of the target."""
        n_s, n_t = self.matrix.shape
        return n_s, n_t

    @cached_property
    def source_mass(self) -> np.ndarray:
        """The mass of each source row, shape (n_s,): what it shares with all target rows."""
        return np.asarray(self.matrix.sum(axis=1)).ravel()

    @cached_property
    def target_mass(self) -> np.ndarray:
        """The mass of each target row, shape (n_t,)."""
        return np.asarray(self.matrix.sum(axis=0)).ravel()

    @property
    def mass(self) -> float:
        """The mass of all pairs."""
        return float(self.source_mass.sum())

    def transposed(self) -> Coupling:
        """Return the coupling seen from the target."""
        return Coupling(self.matrix.T, self.objective, self.converged)

    def toarray(self) -> np.ndarray:
        """Return the whole matrix, shape (n_s, n_t)."""
        return np.asarray(self.matrix) if isinstance(self.matrix, np.ndarray) else np.asarray(self.matrix.toarray())

    def barycenters(self, Xt: np.ndarray) -> np.ndarray:
        """Return where each source row is sent: sum_j P_ij x'_j / sum_j P_ij, shape (n_s, d_t).

        A row without mass is sent nowhere: NaN.
        """
        # From the mean, so that rows far from zero lose no digits.
        center = Xt.mean(axis=0)
        sent = self.matrix @ (Xt - center)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(center + sent / self.source_mass[:, None])

    def joint(self, Ys: np.ndarray, Yt: np.ndarray) -> np.ndarray:
        """Return sum_ij P_ij y_i y'_j^T, shape (k_s, k_t): the joint law of labels given one column a class."""
        return np.asarray(Ys.T @ (self.matrix @ Yt))

    def require_marginals(self, a: np.ndarray, b: np.ndarray, tol: float = 1e-6) -> None:
        """Refuse a coupling whose rows and columns do not sum to given masses.

        Raises
        ------
        InputError
            When the absolute deviations, of rows or of columns, sum to more than `tol`.
        """
        for mass, wanted, where in ((self.source_mass, a, "source"), (self.target_mass, b, "target")):
            if mass.shape != np.shape(wanted):
                raise InputError(f"the coupling has {len(mass)} {where} rows, and {len(wanted)} masses are given")
            off = float(np.abs(mass - wanted).sum())
            if not off <= tol:
                raise InputError(f"the coupling's {where} masses are off by {off:.2g} in all")

    @classmethod
    def from_pairs(cls, pairs: Any, n_s: int, n_t: int) -> Self:
        """Return the coupling of paired rows, with a mass of 1 in all.

        Parameters
        ----------
        pairs : int array of shape (p, 2)
            Positions of source rows and of target rows.
        n_s, n_t : int
            Rows of the domains.

        Raises
        ------
        InputError
            When pairs are no positions.
        """
        pairs = as_pairs(pairs, n_s, n_t)
        mass = np.full(len(pairs), 1 / len(pairs))
        return cls(csr_matrix((mass, (pairs[:, 0], pairs[:, 1])), shape=(n_s, n_t)))

    @classmethod
    def independent(cls, n_s: int, n_t: int) -> Self:
        """Return the coupling in which every source row belongs to every target row alike."""
        one = np.ones((1, 1))
        return cls(LowRank(np.full((n_s, 1), 1 / n_s), one, np.full((n_t, 1), 1 / n_t)))

    @classmethod
    def from_costs(
        cls,
        C: np.ndarray,
        a: np.ndarray | None = None,
        b: np.ndarray | None = None,
        *,
        kind: str = "exact",
        reg: float = 0.05,
        reg_mass: float = 1.0,
        mass: float = 0.9,
    ) -> Self:
        """Return the coupling that moves mass at the least cost.

        Parameters
        ----------
        C : array of shape (n_s, n_t)
        a, b : arrays of shape (n_s,) and (n_t,), optional
            Masses that sum to 1; by default the same for all rows.
        kind : {"exact", "entropic", "unbalanced", "partial"}
            "exact": nothing else; few pairs have mass. "entropic": with an entropy, so that all have. "unbalanced":
            and masses need not be kept exactly. "partial": only the cheapest part of the mass is moved.
        reg : float
            Weight of the entropy, in units of C.
        reg_mass : float
            Price of mass that is left or made, for "unbalanced".
        mass : float
            How much is moved, for "partial".
        """
        a = np.full(C.shape[0], 1 / C.shape[0]) if a is None else np.asarray(a, dtype=float)
        b = np.full(C.shape[1], 1 / C.shape[1]) if b is None else np.asarray(b, dtype=float)
        if kind not in KINDS:
            raise InputError(unknown_name("kind of coupling", kind, KINDS))
        if kind == "exact":
            return cls.of(exact(C, a, b))
        if kind == "partial":
            return cls.of(partial(C, a, b, mass))
        return cls.of(entropic(C, a, b, reg, reg_mass if kind == "unbalanced" else np.inf))

    @classmethod
    def from_anchors(
        cls,
        Xs: np.ndarray,
        Xt: np.ndarray,
        pairs: Any,
        *,
        kind: str = "exact",
        reg: float = 0.005,
        temperature: float = 0.1,
    ) -> Self:
        """Return the coupling of rows that stand in the same relation to some paired rows; spaces may differ.

        Paired rows keep to one another. Every other row is described by how near it is to each pair's row of its own
        domain, and rows with like descriptions belong together (Gu, Yang, Zeng, Sun, Xu: Keypoint-Guided Optimal
        Transport. NeurIPS 2022).

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d_s) and (n_t, d_t)
        pairs : int array of shape (p, 2)
        kind, reg
            As in `from_costs`; costs lie between 0 and log 2.
        temperature : float
            How far a row looks, in the largest distance of its domain.
        """
        pairs = as_pairs(pairs, len(Xs), len(Xt))
        C = anchor_costs(Xs, Xt, Xs[pairs[:, 0]], Xt[pairs[:, 1]], temperature)
        return cls.around_pairs(
            pairs, len(Xs), len(Xt), lambda s, t: cls.from_costs(C[np.ix_(s, t)], kind=kind, reg=reg)
        )

    @classmethod
    def around_pairs(cls, pairs: np.ndarray, n_s: int, n_t: int, solve: Any) -> Self:
        """Return the coupling in which pairs keep to one another, and `solve(rows of source, of target)` the others.

        A pair's mass is the mean of what its two rows would have alone; all others of a domain share the rest evenly.
        """
        rest_s = np.setdiff1d(np.arange(n_s), pairs[:, 0])
        rest_t = np.setdiff1d(np.arange(n_t), pairs[:, 1])
        paired = cls.from_pairs(pairs, n_s, n_t).matrix
        if not len(rest_s) or not len(rest_t):
            return cls(paired)
        share = min(1.0, len(pairs) * (1 / n_s + 1 / n_t) / 2)
        rest = solve(rest_s, rest_t)
        inner = csr_matrix(rest.matrix).tocoo()
        outer = csr_matrix((inner.data, (rest_s[inner.row], rest_t[inner.col])), shape=(n_s, n_t))
        return cls((share * paired + (1 - share) / rest.mass * outer).tocsr(), rest.objective, rest.converged)

    @classmethod
    def gromov(cls, Ds: np.ndarray, Dt: np.ndarray, **settings: Any) -> Self:
        """Return the coupling that keeps distances within the domains, see `headstart.mapping.gromov.gromov`.

        Spaces may differ; with `cost`, rows must also be near to each other (fused).
        """
        return cls.of(gromov(Ds, Dt, **settings))

    @classmethod
    def co_optimal(cls, Xs: np.ndarray, Xt: np.ndarray, **settings: Any) -> tuple[Self, Self]:
        """Return the couplings of rows and of columns that belong together, see `headstart.mapping.co_optimal`."""
        rows, columns = co_optimal(Xs, Xt, **settings)
        return cls.of(rows), cls.of(columns)

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Return the coupling of a solver's plan."""
        return cls(plan.coupling, plan.objective, plan.converged)


def as_pairs(pairs: Any, n_s: int, n_t: int) -> np.ndarray:
    """Return pairs of positions as an array of shape (p, 2).

    Raises
    ------
    InputError
        When they are no whole numbers, name rows that are not there, or a row twice.
    """
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu" or not len(pairs):
        raise InputError(f"pairs must be whole numbers of shape (p, 2), not {pairs.dtype} {pairs.shape}")
    if pairs.min() < 0 or (pairs.max(axis=0) >= (n_s, n_t)).any():
        raise InputError(f"pairs name rows beyond the {n_s} source rows or {n_t} target rows")
    if any(len(np.unique(column)) < len(column) for column in pairs.T):
        raise InputError("pairs name a row twice; each row has one partner")
    return pairs
