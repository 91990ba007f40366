"""MappingLearner: map, label map and coupling, learned together."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from headstart.draws import canonical_order
from headstart.errors import InputError, unknown_name
from headstart.inputs import checked_rows
from headstart.mapping.coupling import KINDS as COUPLINGS
from headstart.mapping.coupling import as_pairs
from headstart.mapping.descent import Problem, Side, Solution
from headstart.mapping.families import WHOLE, Settings, Units, family_of, in_precision, rescaled, units_of
from headstart.mapping.label_ends import LabelEnds, label_ends, one_column_each
from headstart.mapping.label_maps import KINDS as LABEL_MAPS
from headstart.mapping.label_maps import LabelMap
from headstart.mapping.measures import clustered, distinct
from headstart.mapping.multistart import Start, StartSettings, best_of_starts, confidence
from headstart.mapping.transport import Plan, entropic, exact
from headstart.mapping.transport import partial as partial_transport
from headstart.mapping.whole_coupling import whole_coupling

PAIRINGS = ("paired", "partial", "unpaired")
#: Rows of a domain up to which every one looks for its own partner, and clusters beyond.
MOST_ROWS = 2000
AUTO_CLUSTERS = 1000
#: Entropies of an entropic descent, in units of the last.
ANNEALING = (8.0, 4.0, 2.0, 1.0)
#: Least share that pairs have in the fit, where there are others.
PAIRS_COUNT = 0.5
#: Share of the target's spread below which a map is said to have collapsed, and the confidence below which to warn.
COLLAPSED = 0.25
UNSURE = 0.7


class MappingLearner(BaseEstimator):
    r"""Learn a map f of rows and a map g of labels from source to target, and which row meets which.

    .. math:: \min_{f, g, \pi}\; \sum_{ij} \pi_{ij} \Bigl(\frac{\|f(x_i) - x'_j\|^2}{s_x}
              + \lambda \frac{\|g(y_i) - y'_j\|^2}{s_y}\Bigr) + \alpha\,\frac{\Omega(f)}{s_x},\qquad
              s_x = \operatorname{tr} \operatorname{Var}(x'),\;\; s_y = \operatorname{tr} \operatorname{Var}(y')

    With paired rows the coupling is known, and each map is a regression in closed form. Without, coupling, map and
    label map are fitted by turns, from several starts; the best objective is kept, and `confidence_` tells whether
    another start would have done as well. Rows of the two domains may have different columns. A label that is not known
    has no say.

    Read without a coupling, the objective has one solution: f is the target's mean whatever the source row, and g the
    target's class shares. `literal=True` shows that; otherwise nothing of the kind is returned without a warning.

    Parameters
    ----------
    f : str or callable, default "affine"
        The family of maps: "linear" (through zero), "affine", "orthogonal" (rotations and reflections; one scale for
        all columns), "covariance" (affine maps that give the source the target's covariance, so that none shrinks),
        "low-rank", "kernel", "bures" (the map between Gaussians; needs no coupling) or "perceptron". Or a function that
        takes rows X, rows Y and weights and returns an object with `transform`.
    g : {"confusion", "one-to-one", "smoothed", "identity"}, default "confusion"
        The label map where labels are classes: a row of probabilities for each source class; a partner for each; or
        the first, drawn towards the target's class shares. Labels that are quantities have a line. "identity": labels
        mean the same on both sides.
    pairing : {"paired", "partial", "unpaired"}, default "paired"
        Whether all rows, some, or none have a known partner.
    coupling : {"exact", "entropic", "unbalanced", "partial"}, default "exact"
        How rows without a partner are coupled, see `Coupling.from_costs`. The entropy is annealed.
    label_weight : float, default 1.0
        The weight lambda.
    alpha : float, default 0.0
        The penalty of the map, in units of scaled columns; with a larger one maps are flatter. With 0, "kernel" and
        "perceptron", which would only repeat the rows, have 0.001 and 0.0001.
    smoothing : float, default 1.0
        For "smoothed": how many rows the target's class shares are worth.
    reg : float, default 0.02
        The last entropy, in units of the objective.
    reg_mass, mass : float, default 1.0 and 0.9
        For "unbalanced" and "partial".
    pair_share : float or "auto", default "auto"
        What the pairs count beside all other rows together, between 0 and 1. "auto" is p / (p + d_s + 1) with p pairs,
        their share of the rows, or a half, whichever is most: pairs that would do alone are not drowned by rows whose
        partners are guesses.
    units : {"auto", "columns", "whole"} or None, default "auto"
        What is scaled to one: every column, the domain as a whole, or nothing. "auto" scales columns; and the whole
        where f turns it ("orthogonal", "covariance", "bures").
    distances : {"euclidean", "geodesic", "steps"}, default "euclidean"
        By which the shapes of the domains are compared, see `headstart.mapping.gromov.within`.
    n_neighbors : int, default 50
        Of the graph behind the last two.
    n_starts : int, default 8
        Starts from the shape of the domains; half of them from matchings of classes, where there are. Beside them stand
        those from pairs, and, with as many columns on both sides, from the rows as they stand; 0 leaves only these: for
        columns that mean the same.
    rank : int, default 2
        For "low-rank".
    gamma : float, optional
        For "kernel"; by default 1 / median squared distance.
    n_clusters : int, None or "auto", default "auto"
        Couple so many clusters of each domain instead of single rows. None couples rows; "auto" does so up to 2,000
        rows of a domain, and makes 1,000 clusters beyond.
    literal : bool, default False
        Take the objective literally, see above.
    max_iter : int, default 50
        Sweeps of a descent, at most.
    tol : float, default 1e-6
        Relative fall of the objective at which a descent ends.
    random_state : int, optional, default 0
        Starts by chance, clusters, landmarks.

    Attributes
    ----------
    map_ : Map
        f, as fitted.
    label_map_ : array of shape (k_s, k_t), or None
        g where labels are classes: P(target class | source class).
    g_ : LabelMap, LinearLabelMap or None
        g with its classes, or the line; None where no labels meet.
    coupling_ : Coupling
    objective_ : float
    trace_ : tuple of float
        The objective after every sweep; it never rises.
    confidence_ : float
        The smaller of `map_confidence_` and `label_confidence_`: between 0 and 1, how far the map and the label map
        would be the same had the next plausible start been taken. 1 with paired rows.
    starts_ : tuple of Start
        Every start, that of the answer first, and where it ended: with many rows, among their clusters. Empty with
        paired rows.
    spread_ : float
        Total variance of the mapped source rows, in that of the target's rows.

    Notes
    -----
    Without pairs, f is known only up to what maps the target onto itself: a round cloud can be turned at will. Labels,
    anchors, and clouds without symmetry decide it. The target's own scatter makes an affine map from unpaired rows a
    little too flat; `spread_` says how much.

    References
    ----------
    Perrot, Courty, Flamary, Habrard: Mapping Estimation for Discrete Optimal Transport. NIPS 2016. Grave, Joulin,
    Berthet: Unsupervised Alignment of Embeddings with Wasserstein Procrustes. AISTATS 2019.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Xs = rng.normal(size=(200, 2)) * [1.0, 3.0] + np.array([[0.0, 0.0], [4.0, 4.0]])[np.arange(200) % 2]
    >>> ys, yt = np.arange(200) % 2, np.array(["odd", "even"])[np.arange(200) % 2]
    >>> Xt = Xs @ [[0.0, -1.0], [1.0, 0.0]] + 10
    >>> learner = MappingLearner(f="orthogonal").fit(Xs, Xt, ys, yt)
    >>> learner.transform([[1.0, 0.0]]).round(6), learner.transform_labels([1, 0]).tolist()
    (array([[10.,  9.]]), ['even', 'odd'])
    """

    def __init__(
        self,
        f: Any = "affine",
        g: str = "confusion",
        pairing: str = "paired",
        *,
        coupling: str = "exact",
        label_weight: float = 1.0,
        alpha: float = 0.0,
        smoothing: float = 1.0,
        reg: float = 0.02,
        reg_mass: float = 1.0,
        mass: float = 0.9,
        pair_share: float | str = "auto",
        units: str | None = "auto",
        distances: str = "euclidean",
        n_neighbors: int = 50,
        n_starts: int = 8,
        rank: int = 2,
        gamma: float | None = None,
        n_clusters: int | str | None = "auto",
        literal: bool = False,
        max_iter: int = 50,
        tol: float = 1e-6,
        random_state: int | None = 0,
    ) -> None:
        self.f = f
        self.g = g
        self.pairing = pairing
        self.coupling = coupling
        self.label_weight = label_weight
        self.alpha = alpha
        self.smoothing = smoothing
        self.reg = reg
        self.reg_mass = reg_mass
        self.mass = mass
        self.pair_share = pair_share
        self.units = units
        self.distances = distances
        self.n_neighbors = n_neighbors
        self.n_starts = n_starts
        self.rank = rank
        self.gamma = gamma
        self.n_clusters = n_clusters
        self.literal = literal
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None, *, pairs: Any = None) -> Self:
        """Learn the maps and the coupling.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d_s) and (n_t, d_t)
        ys, yt : array-likes of shape (n_s,) and (n_t,), optional
            Labels, of which some may be missing (NaN, None): classes on both sides, with names of their own, or
            quantities on both.
        pairs : int array of shape (p, 2), optional
            Positions of paired rows: of the source, and of the target. With pairing="paired" and none given, row i of
            both is a pair.

        Raises
        ------
        InputError
            When rows, labels, pairs or settings do not go together.
        """
        Xs, Xt = (checked_rows(X, "MappingLearner", dense=True) for X in (Xs, Xt))
        pairs = self._pairs(pairs, len(Xs), len(Xt))
        ends = label_ends(ys, yt, len(Xs), len(Xt), same=self.g == "identity")
        units = self._units_of(Xs), self._units_of(Xt)
        scaled = units[0].of(Xs.astype(float)), units[1].of(Xt.astype(float))
        # Rows in an order of their own: that in which they are given makes no difference, to the last digit.
        orders = canonical_order(scaled[0], ends.source_codes), canonical_order(scaled[1], ends.target_codes)
        places = np.argsort(orders[0]), np.argsort(orders[1])
        pairs = np.stack([places[0][pairs[:, 0]], places[1][pairs[:, 1]]], axis=1)
        pairs = pairs[np.argsort(pairs[:, 0])]
        ends = replace(ends, source_codes=ends.source_codes[orders[0]], target_codes=ends.target_codes[orders[1]])
        problem = self._problem(scaled[0][orders[0]], scaled[1][orders[1]], ends, pairs)
        starts: tuple[Start, ...] = ()
        if problem.pair_share == 1:
            best = problem.solution_of_pairs()
        elif self.literal:
            best = problem.solution_without_coupling()
        else:
            settings = StartSettings(self.distances, self.n_neighbors, self.n_starts, self.random_state)
            best, starts = best_of_starts(problem, settings)
        self.columns_ = Xs.shape[1], Xt.shape[1]
        dtype = np.result_type(Xs.dtype, Xt.dtype)
        self.map_ = in_precision(rescaled(units[0], best.map, units[1]), dtype)
        self.g_ = ends.public(best.label_map)
        self.label_map_ = self.g_.matrix if isinstance(self.g_, LabelMap) else None
        self.coupling_ = whole_coupling(best, problem, pairs, places)
        self.objective_, self.trace_, self.starts_ = best.objective, best.trace, starts
        self.map_confidence_ = confidence(starts, "map_agreement")
        self.label_confidence_ = confidence(starts, "label_agreement")
        self.confidence_ = min(self.map_confidence_, self.label_confidence_)
        total = float(np.var(Xt, axis=0, dtype=float).sum())
        moved = float(np.var(self.map_.transform(Xs), axis=0, dtype=float).sum())
        self.spread_ = moved / total if total > 0 else 1.0
        self._warn_of(best)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return f(x) for source rows, shape (n, d_t)."""
        return np.asarray(self.map_.transform(self._rows(X, 0)))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the source rows that f takes nearest to target rows, shape (n, d_s).

        Raises
        ------
        InputError
            When the family's maps have no inverse.
        """
        X = self._rows(X, 1)
        if not hasattr(self.map_, "inverse_transform"):
            raise InputError(f"a map of f={self.f!r} has no inverse; learn one from target to source, or take 'affine'")
        return np.asarray(self.map_.inverse_transform(X))

    def transform_labels(self, ys: Any) -> np.ndarray:
        """Return g(y) for source labels, shape (n,): the likeliest target class, or the quantity.

        Raises
        ------
        InputError
            When there is no label map, or a label is none of the source's classes.
        """
        check_is_fitted(self, "map_")
        if self.g_ is None:
            raise InputError("no label map was learned: no labels were known on both sides")
        return self.g_.transform(ys)

    def _rows(self, X: Any, side: int) -> np.ndarray:
        check_is_fitted(self, "map_")
        X = checked_rows(X, "MappingLearner", dense=True)
        if X.shape[1] != self.columns_[side]:
            raise InputError(f"MappingLearner: rows have {X.shape[1]} columns; it was fitted on {self.columns_[side]}")
        return np.asarray(X)

    def _pairs(self, pairs: Any, n_s: int, n_t: int) -> np.ndarray:
        if self.pairing not in PAIRINGS:
            raise InputError(unknown_name("pairing", self.pairing, PAIRINGS))
        if self.coupling not in COUPLINGS:
            raise InputError(unknown_name("kind of coupling", self.coupling, COUPLINGS))
        if self.g not in LABEL_MAPS:
            raise InputError(unknown_name("label map", self.g, LABEL_MAPS))
        if self.pairing == "unpaired":
            if pairs is not None:
                raise InputError("pairs are given, and pairing is 'unpaired'; say 'partial' or 'paired'")
            return np.empty((0, 2), dtype=int)
        if pairs is None:
            if self.pairing == "partial":
                raise InputError("pairing='partial' needs pairs=..., positions of source rows and of target rows")
            if n_s != n_t:
                raise InputError(f"{n_s} source rows and {n_t} target rows are not pairs; give pairs=...")
            return np.repeat(np.arange(n_s)[:, None], 2, axis=1)
        return as_pairs(pairs, n_s, n_t)

    def _units_of(self, X: np.ndarray) -> Units:
        kind = self.units
        if kind == "auto":
            kind = "whole" if self.f in WHOLE else "columns"
        return units_of(X, kind, centered=self.f != "linear")

    def _problem(self, Xs: np.ndarray, Xt: np.ndarray, ends: LabelEnds, pairs: np.ndarray) -> Problem:
        settings = Settings(self.alpha, self.rank, self.gamma, random_state=self.random_state)
        share = self._share(pairs, len(Xs), len(Xt), Xs.shape[1])
        n_rows = (1 - share) / len(Xs) + share / max(len(pairs), 1)
        entropic_kind = self.coupling in ("entropic", "unbalanced")
        return Problem(
            source=self._side(Xs, ends.source_codes, ends.columns[0], pairs[:, 0], share),
            target=self._side(Xt, ends.target_codes, ends.columns[1], pairs[:, 1], share),
            family=family_of(self.f, settings, Xs, Xt),
            fit_labels=ends.step(self.g, self.smoothing * n_rows),
            s_x=_or_one(float(np.var(Xt, axis=0).sum())),
            s_y=ends.spread(),
            label_weight=self.label_weight,
            pair_share=share,
            couple=partial(_coupled, kind=self.coupling, reg_mass=self.reg_mass, mass=self.mass),
            levels=tuple(level * self.reg for level in ANNEALING) if entropic_kind else (0.0,),
            max_iter=self.max_iter,
            tol=self.tol,
        )

    def _share(self, pairs: np.ndarray, n_s: int, n_t: int, d_s: int) -> float:
        if self.pairing == "paired" or len(pairs) in (n_s, n_t):
            return 1.0
        if not len(pairs):
            return 0.0
        if self.pair_share == "auto":
            of_rows = len(pairs) * (1 / n_s + 1 / n_t) / 2
            return max(PAIRS_COUNT, of_rows, len(pairs) / (len(pairs) + d_s + 1))
        if isinstance(self.pair_share, str) or not 0 <= self.pair_share <= 1:
            raise InputError(f"pair_share must be 'auto' or between 0 and 1, not {self.pair_share!r}")
        return float(self.pair_share)

    def _side(self, X: np.ndarray, codes: np.ndarray, k: int, paired: np.ndarray, share: float) -> Side:
        free = np.setdiff1d(np.arange(len(X)), paired) if share < 1 else np.arange(0)
        measure = distinct(X[free], codes[free])
        few = self.n_clusters
        if few == "auto":
            few = AUTO_CLUSTERS if len(measure.rows) > MOST_ROWS else None
        if isinstance(few, str) or (few is not None and few < 1):
            raise InputError(f"n_clusters must be a whole number, None or 'auto', not {few!r}")
        if few is not None and len(measure.rows) > few:
            measure = clustered(measure, few, k > 0, self.random_state)
        return Side(measure, one_column_each(measure.label, k), X[paired], one_column_each(codes[paired], k))

    def _warn_of(self, best: Solution) -> None:
        if self.literal and self.pairing == "unpaired":
            _warn(
                "without a coupling, the best f is the target's mean and the best g its class shares: "
                "nothing is learned"
            )
        elif self.spread_ < COLLAPSED and self.pairing != "paired" and self.f not in WHOLE:
            _warn(
                f"the mapped rows have {self.spread_:.0%} of the target's spread: f has nearly collapsed to the mean; "
                "give pairs, or take f='covariance' or 'orthogonal'"
            )
        if self.confidence_ < UNSURE:
            _warn(
                f"another start ends elsewhere and nearly as well (confidence {self.confidence_:.2f}); "
                "a few pairs would decide"
            )
        if not best.converged:
            _warn(f"not converged after {len(best.trace)} sweeps; raise max_iter")


def _coupled(
    C: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    reg: float,
    start: np.ndarray | None,
    kind: str,
    reg_mass: float,
    mass: float,
) -> Plan:
    if kind == "exact":
        return exact(C, a, b, start)
    if kind == "partial":
        return partial_transport(C, a, b, mass)
    return entropic(C, a, b, reg, reg_mass if kind == "unbalanced" else np.inf, start=start)


def _or_one(variance: float) -> float:
    """Return a variance to divide by: 1, where rounding is all there is of it."""
    return variance if variance > np.finfo(float).eps ** 2 else 1.0


def _warn(line: str) -> None:
    warnings.warn(f"MappingLearner: {line}", stacklevel=4)
