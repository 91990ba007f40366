"""A map of both domains in two dimensions, before and after a method: the data of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from headstart.domain import as_labels, missing
from headstart.draws import pick
from headstart.errors import InputError

#: Rows of each domain that are drawn.
MOST_ROWS = 400
#: Decimals of a coordinate in a document.
DECIMALS = 3


@dataclass(frozen=True, eq=False)
class Plane:
    """Rows of both domains on two axes.

    Attributes
    ----------
    source, target : arrays of shape (m_s, 2) and (m_t, 2)
    share : tuple of float
        Share of the variance that lies along each axis.
    apart : float
        Distance of the domains' centres in the plane, in standard deviations of the rows around their own centre along
        the line from one to the other.
    """

    source: np.ndarray
    target: np.ndarray
    share: tuple[float, float]
    apart: float

    def document(self) -> dict[str, Any]:
        """Return coordinates and shares in plain types."""
        rounded = {name: np.round(getattr(self, name), DECIMALS).tolist() for name in ("source", "target")}
        return {**rounded, "share": [round(part, 4) for part in self.share], "apart": round(self.apart, 4)}


@dataclass(frozen=True, eq=False)
class DomainMap:
    """Both domains on principal axes that they share, before and after a method.

    Attributes
    ----------
    before : Plane
    after : Plane or None
        Where the method moved rows.
    same_axes : bool
        Whether `after` has the axes of `before`: the target's rows did not move, so the pictures can be laid on top of
        each other.
    source_rows, target_rows : arrays of shape (m_s,) and (m_t,)
        Positions of the rows that were drawn.
    source_labels, target_labels : lists
        Their labels, None where not known.
    size : array of shape (m_s,) or None
        What each drawn source row counts, for instance-based methods: as an area, with a mean of 1 over all rows.
    how : str
    """

    before: Plane
    after: Plane | None
    same_axes: bool
    source_rows: np.ndarray
    target_rows: np.ndarray
    source_labels: list[Any]
    target_labels: list[Any]
    size: np.ndarray | None
    how: str

    def __str__(self) -> str:
        told = f"the plane shows {sum(self.before.share):.0%} of the variance; the domains' centres lie "
        told += f"{self.before.apart:.2f} sd apart"
        if self.after is not None:
            told += f", and {self.after.apart:.2f} sd after ({sum(self.after.share):.0%} of the variance)"
        return told

    def document(self) -> dict[str, Any]:
        """Return the map in plain types."""
        return {
            "summary": str(self),
            "before": self.before.document(),
            "after": None if self.after is None else self.after.document(),
            "same_axes": self.same_axes,
            "source_rows": (self.source_rows + 1).tolist(),
            "target_rows": (self.target_rows + 1).tolist(),
            "source_labels": self.source_labels,
            "target_labels": self.target_labels,
            "size": None if self.size is None else np.round(self.size, DECIMALS).tolist(),
            "how": self.how,
        }


def domain_map(
    Xs: Any,
    Xt: Any,
    ys: Any = None,
    yt: Any = None,
    *,
    after: tuple[Any, Any] | None = None,
    weight: Any = None,
    most: int = MOST_ROWS,
    random_state: int = 0,
) -> DomainMap:
    """Lay both domains on two principal axes that they share.

    The axes are those along which the drawn rows of both domains together vary most, with each domain counting the
    same, however many rows it has; so a shift between the domains is one of the things that they show. Columns of
    arrays are scaled to one standard deviation within the domains first, sparse rows are taken as they are;
    the axes are not scaled after (no whitening), so distances in the plane are distances. Two dimensions show what they
    show: domains that lie on top of each other here may lie apart elsewhere.

    Parameters
    ----------
    Xs, Xt : arrays or sparse matrices of shape (n_s, d_s) and (n_t, d_t)
        With the same columns; with different ones there is no plane before.
    ys, yt : arrays of shape (n_s,) and (n_t,), optional
        Labels; missing ones are NaN or None.
    after : tuple of arrays of shape (n_s, d') and (n_t, d'), optional
        The same rows after a feature-based method. Where the target's rows are the same as before, so are the axes.
    weight : array of shape (n_s,), optional
        What an instance-based method lets each source row count.
    most : int
        Rows drawn from each domain, at random, whatever their order.
    random_state : int

    Raises
    ------
    InputError
        When the domains have different columns or rows don't fit each other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(size=(50, 3)), rng.normal(size=(80, 3)) + [4.0, 0.0, 0.0]
    >>> found = domain_map(Xs, Xt, after=(Xs + [4.0, 0.0, 0.0], Xt))
    >>> found.before.apart > 3, found.after.apart < 1, found.same_axes
    (True, True, True)
    """
    if Xs.shape[1] != Xt.shape[1]:
        raise InputError(
            f"source rows have {Xs.shape[1]} columns and target rows {Xt.shape[1]}; "
            "a map shows both in the same columns"
        )
    if min(Xs.shape[0], Xt.shape[0]) < 1:
        raise InputError("a map takes a row of each domain at least")
    s, t = pick(Xs, most, random_state), pick(Xt, most, random_state)
    A, B = _dense(Xs[s], Xt[t])
    middle, spread = _units(A, B, sparse=issparse(Xs))
    axes = _axes((A - middle) / spread, (B - middle) / spread)
    before = _plane((A - middle) / spread, (B - middle) / spread, axes)
    plane, same = None, False
    if after is not None:
        Zs, Zt = after
        if Zs.shape[0] != Xs.shape[0] or Zt.shape[0] != Xt.shape[0] or Zs.shape[1] != Zt.shape[1]:
            raise InputError(f"rows after have the shapes {Zs.shape} and {Zt.shape}; give the same rows, mapped")
        C, D = _dense(Zs[s], Zt[t])
        same = D.shape == B.shape and np.allclose(D, B)
        if same:
            plane = _plane((C - middle) / spread, (D - middle) / spread, axes)
        else:
            plane = _plane_of_its_own(C, D, before, sparse=issparse(Zs))
    size = None
    if weight is not None:
        weight = np.asarray(weight, dtype=float)
        if weight.shape != (Xs.shape[0],):
            raise InputError(f"{Xs.shape[0]} source rows but weights of shape {weight.shape}")
        size = weight[s] / weight.mean() if weight.any() else weight[s]
    scaled = (
        "columns as they are (sparse)"
        if issparse(Xs)
        else "columns scaled to one standard deviation within the domains"
    )
    return DomainMap(
        before,
        plane,
        same,
        s,
        t,
        _told(ys, s),
        _told(yt, t),
        size,
        f"principal axes of {len(s)} source and {len(t)} target rows together, each domain counting the same; "
        f"{scaled}, axes not whitened",
    )


def _dense(A: Any, B: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as arrays; of sparse ones only the columns in which something stands."""
    if issparse(A):
        used = np.flatnonzero(np.asarray(abs(A).sum(axis=0)).ravel() + np.asarray(abs(B).sum(axis=0)).ravel())
        A, B = A.tocsc()[:, used].toarray(), B.tocsc()[:, used].toarray()
    return np.asarray(A, dtype=float), np.asarray(B, dtype=float)


def _units(A: np.ndarray, B: np.ndarray, *, sparse: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of both domains, which count the same, and what each column is divided by.

    A column in which no row differs from another is divided by infinity: it shows nothing.
    """
    middle = (A.mean(axis=0) + B.mean(axis=0)) / 2
    if sparse:
        return middle, np.ones(len(middle))
    # Scaled by how rows differ within the domains, a column in which the domains lie apart varies more than others.
    within = np.sqrt((A.var(axis=0) + B.var(axis=0)) / 2)
    between = np.abs(A.mean(axis=0) - middle)
    least = 1e-9 * np.maximum(np.abs(middle), np.finfo(float).tiny)
    spread = np.where(within > least, within, between)
    return middle, np.where(spread > least, spread, np.inf)


def _axes(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the two directions, shape (d, 2), along which centred rows vary most, each domain counting the same."""
    C = np.vstack([A / np.sqrt(2 * len(A)), B / np.sqrt(2 * len(B))])
    if C.shape[1] > C.shape[0]:
        values, U = np.linalg.eigh(C @ C.T)
        power = np.sqrt(np.maximum(values[:-3:-1], 0.0))
        V = C.T @ U[:, :-3:-1] / np.where(power > 1e-9 * max(power.max(), 1e-300), power, np.inf)
    else:
        V = np.linalg.eigh(C.T @ C)[1][:, :-3:-1]
    if V.shape[1] < 2:
        V = np.hstack([V, np.zeros((len(V), 2 - V.shape[1]))])
    # An axis points to where its largest entry is above zero, so that pictures don't flip by chance.
    sign = np.sign(V[np.abs(V).argmax(axis=0), np.arange(2)])
    return np.asarray(V * np.where(sign == 0, 1.0, sign))


def _plane(A: np.ndarray, B: np.ndarray, axes: np.ndarray) -> Plane:
    source, target = A @ axes, B @ axes
    power = ((source**2).mean(axis=0) + (target**2).mean(axis=0)) / 2
    whole = float((A**2).sum() / len(A) + (B**2).sum() / len(B)) / 2
    first, second = (power / whole).tolist() if whole > 0 else (0.0, 0.0)
    between = target.mean(axis=0) - source.mean(axis=0)
    distance = float(np.linalg.norm(between))
    if distance > 0:
        along = [(P - P.mean(axis=0)) @ between / distance for P in (source, target)]
        spread = float(np.sqrt(sum(float((a**2).mean()) for a in along) / 2))
        # Where rows of a domain don't differ from each other, the distance is told as it is.
        distance /= spread if spread > 1e-9 * distance else 1.0
    return Plane(source, target, (first, second), distance)


def _plane_of_its_own(C: np.ndarray, D: np.ndarray, before: Plane, *, sparse: bool) -> Plane:
    """Return the plane of mapped rows, each axis turned so that the target's rows run the way they did."""
    middle, spread = _units(C, D, sparse=sparse)
    C, D = (C - middle) / spread, (D - middle) / spread
    axes = _axes(C, D)
    turn = np.sign(((D @ axes) * (before.target - before.target.mean(axis=0))).sum(axis=0))
    return _plane(C, D, axes * np.where(turn == 0, 1.0, turn))


def _told(y: Any, rows: np.ndarray) -> list[Any]:
    """Return labels in plain types, None where not known."""
    if y is None:
        return [None] * len(rows)
    labels = as_labels(y)[rows]
    gone = missing(labels)
    plain = [None if lost else label for label, lost in zip(labels.tolist(), gone, strict=True)]
    return [int(label) if isinstance(label, float) and label.is_integer() else label for label in plain]
