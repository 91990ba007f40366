"""Joint distribution optimal transport: find the coupling and the target's predictor together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import is_classifier
from sklearn.linear_model import LogisticRegression, Ridge

from headstart.domain import Domain, Task
from headstart.draws import pick
from headstart.errors import InputError
from headstart.features.base import AlignedPredictor, AlignedRows, FeatureMethod
from headstart.features.ot_mapping import barycenters, shift_of
from headstart.fitting import counts_each, fit_learner, is_linear, is_plain, to_mean_one
from headstart.inputs import rows_of_both
from headstart.mapping import IdentityMap, Map
from headstart.mapping.measures import MOST_EXACT_ROWS, Labels, Measure, costs, measures, numbered, with_labels
from headstart.mapping.transport import Plan, entropic, exact
from headstart.method import Knowledge, Needs

#: The least probability that the logarithmic loss knows, and the least share of a row that is fitted.
LEAST_PROBABILITY = 1e-6
LEAST_SHARE = 1e-6
#: Rows that are drawn of each domain where there are many.
AUTO_ROWS = 4000


class JDOT(FeatureMethod):
    r"""Joint distribution optimal transport: couple source rows and labels with target rows and their predictions.

    .. math:: \min_{f,\,\gamma} \sum_{ij} \gamma_{ij}
              \Bigl(\alpha \|x_i - x'_j\|^2 / s + L\bigl(y_i, f(x'_j)\bigr)\Bigr) + \lambda\,\Omega(f)
              \quad s.t.\quad \gamma 1 = a,\;\; \gamma^\top 1 = b,\;\; \gamma \ge 0

    In turn, the coupling is solved for the predictions, and f is fitted by the learner on the target rows with the
    labels that the coupling brings: a copy of a row for each class, weighted by the mass that comes from it, or the
    mean of the source labels where those are quantities. The loss L is the logarithmic one (0 or 1 for learners without
    probabilities), or the squared error divided by twice the labels' variance. Known target labels steer the coupling
    as in `OTMapping`, and f is fitted on them as well. In `Transfer` f is the predictor.

    On its own the method is a transformer: source rows go to the barycenter of the target rows that the last coupling
    sends them to, new ones as their nearest did; target rows stay.

    Parameters
    ----------
    alpha : float, default 1.0
        Weight of the rows' distances; larger relies less on labels and predictions.
    reg : float, default 0.0
        Weight of an entropy of the coupling; larger spreads it out. 0, as in the paper, is exact transport.
    labeler : estimator, optional
        What f is where the method is used on its own; by default logistic regression, or ridge regression. In
        `Transfer` its learner is taken.
    label_weight : float, default 1.0
        Weight of the squared distance to known target labels, for quantities; see `OTMapping`.
    cost_scale : {"spread", "median", "max"}, optional, default "spread"
        What s is; see `OTMapping`. The paper's choice is alpha=1 with "max".
    n_rows : int, None or "auto", default "auto"
        Draw so many rows of each domain, and couple those; f is fitted on the target's among them, and on all labelled
        target rows. None takes all; "auto" does so up to 10,000 rows of both domains, and draws 4,000 of each beyond.
    max_iter : int, default 20
        Stop after so many rounds in any case, with a warning.
    tol : float, default 1e-3
        Stop when a round lowers the objective by less than this share.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts, beside the 1 that each target row counts with the labels that were brought;
        "balanced" lets them together count as much as all target rows do.
    random_state : int, optional, default 0
        Choice of the rows that are drawn.

    Attributes
    ----------
    objectives_ : array of shape (n_iter_,)
        The objective after each round, the penalty of plain linear learners included.
    n_iter_, scale_
        Rounds, and s.

    References
    ----------
    Courty, Flamary, Habrard, Rakotomamonjy: Joint Distribution Optimal Transportation for Domain Adaptation. NIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart import Transfer
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 50)
    >>> Xs = rng.normal(size=(100, 2)) + 4 * y[:, None]
    >>> Xt = Xs @ [[0.6, 0.8], [-0.8, 0.6]] + 50           # the target is turned, and far away
    >>> X, labels = np.vstack([Xs, Xt]), np.append(y, np.full(100, np.nan))
    >>> model = Transfer(JDOT(), LogisticRegression()).fit(X, labels, domain=np.repeat(["source", "target"], 100))
    >>> bool(np.mean(model.predict(Xt) == y) > 0.9)
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any", dense=True)

    def __init__(
        self,
        alpha: float = 1.0,
        reg: float = 0.0,
        labeler: Any = None,
        label_weight: float = 1.0,
        cost_scale: str | None = "spread",
        n_rows: int | str | None = "auto",
        max_iter: int = 20,
        tol: float = 1e-3,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.alpha = alpha
        self.reg = reg
        self.labeler = labeler
        self.label_weight = label_weight
        self.cost_scale = cost_scale
        self.n_rows = n_rows
        self.max_iter = max_iter
        self.tol = tol
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of source rows by the coupling, and the identity for target rows."""
        labeler = self.labeler
        if labeler is None:
            quantities = numbered(ys, yt, len(Xt), "JDOT").classes is None
            labeler = Ridge() if quantities else LogisticRegression(max_iter=1000)
        task: Task = "classification" if is_classifier(labeler) else "regression"
        _, source_map = self._alternate(Xs, ys, None, Domain(Xt, yt, task=task), labeler)
        return source_map, IdentityMap()

    def carry(self, knowledge: Knowledge, target: Domain) -> AlignedRows:
        """Step 3: bring the source rows as they are; the coupling is found together with the predictor."""
        Xs, Xt = rows_of_both(knowledge.arrays["X"], target.X, "JDOT", dense=True)
        self.columns_ = Xs.shape[1], Xt.shape[1]
        return AlignedRows(Xs, knowledge.arrays["y"], knowledge.arrays["weight"], IdentityMap(), IdentityMap())

    def learn_target(self, carried: AlignedRows, target: Domain, learner: Any) -> AlignedPredictor:
        """Step 4: find the coupling and the predictor in turn."""
        Xs, Xt = rows_of_both(carried.X, target.X, "JDOT", dense=True)
        weight = to_mean_one(carried.weight)
        model, self.source_map_ = self._alternate(Xs, carried.y, weight, target.with_rows(Xt), learner)
        self.target_map_ = IdentityMap()
        return AlignedPredictor(model, self.source_map_, self.target_map_)

    def _alternate(self, Xs: np.ndarray, ys: Any, ws: Any, target: Domain, learner: Any) -> tuple[Any, Map]:
        labels = numbered(ys, target.y, len(target), "JDOT", classes=target.task == "classification")
        s, t = self._drawn(Xs, target, labels)
        source, reached = measures(
            Xs[s],
            target.X[t],
            replace(labels, source=labels.source[s], target=labels.target[t]),
            None,
            self.random_state,
            weights=(None if ws is None else ws[s], None if target.weight is None else target.weight[t]),
        )
        C, self.scale_ = costs(source, reached, self.cost_scale)
        C *= self.alpha
        C, reached = with_labels(C, source, reached, labels, self.label_weight)
        if not (reached.mass > 0).all():
            C, reached = C[:, reached.mass > 0], reached.only(reached.mass > 0)
        step = _Predictor(source, reached, labels, target, learner, self.target_weight)
        loss, start, best, trace = np.zeros((1, 1)), None, np.inf, []
        for _ in range(self.max_iter):
            plan = self._couple(C + loss, source.mass, reached.mass, start)
            model, before, start = step.fit(plan.coupling), loss, plan.g
            loss = step.losses(model)
            trace.append(plan.objective + along(plan.coupling, loss - before) + step.rest(model))
            if trace[-1] < best:
                best, kept, coupling = trace[-1], model, plan.coupling
            if len(trace) > 1 and trace[-2] - trace[-1] <= self.tol * abs(trace[-2]):
                break
        else:
            warnings.warn(f"JDOT stopped after {self.max_iter} rounds, still improving; raise max_iter", stacklevel=3)
        self.objectives_, self.n_iter_ = np.array(trace), len(trace)
        images, _ = barycenters(coupling, source.rows, reached.rows)
        return kept, shift_of(source, images, Xs.dtype)

    def _drawn(self, Xs: np.ndarray, target: Domain, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the rows that are coupled, of each domain."""
        most = self.n_rows
        if most == "auto":
            most = AUTO_ROWS if len(Xs) + len(target) > MOST_EXACT_ROWS else None
        if most is None:
            return np.arange(len(Xs)), np.arange(len(target))
        if not isinstance(most, int) or most < 1:
            raise InputError(f"JDOT: n_rows must be a whole number, None or 'auto', not {most!r}")
        group = labels.source if labels.classes is not None else np.zeros(len(Xs))
        of_source = []
        for name in np.unique(group):
            # Every class keeps a row.
            own = np.flatnonzero(group == name)
            share = max(1, round(most * len(own) / len(Xs)))
            of_source.append(own[pick(Xs[own], share, self.random_state)])
        return np.concatenate(of_source), pick(target.X, most, self.random_state)

    def _couple(self, C: np.ndarray, a: np.ndarray, b: np.ndarray, start: np.ndarray | None) -> Plan:
        plan = exact(C, a, b) if self.reg == 0 else entropic(C, a, b, self.reg, start=start)
        if not plan.converged:
            warnings.warn(
                f"JDOT: the coupling stopped after {plan.n_iter} iterations with a residual of {plan.residual:.2g}; "
                "raise reg",
                stacklevel=4,
            )
        return plan


def along(coupling: Any, M: np.ndarray) -> float:
    """Return sum_ij P_ij M_ij, for a coupling that is dense or sparse."""
    return float(coupling.multiply(M).sum() if isinstance(coupling, csr_matrix) else np.vdot(coupling, M))


@dataclass(frozen=True, eq=False)
class _Predictor:
    """The step that fits f: on target rows with the labels that come along a coupling, and on the known ones."""

    source: Measure
    target: Measure
    labels: Labels
    domain: Domain
    learner: Any
    target_weight: float | str

    @property
    def known(self) -> Domain:
        return self.domain.labelled_rows()

    @property
    def known_weight(self) -> np.ndarray:
        """The weight of each labelled row, beside the 1 of each row with the labels that were brought."""
        n, known = len(self.domain), self.known
        each = counts_each(self.target_weight, n, len(known), least=1.0)
        own = to_mean_one(known.weight)
        return np.full(len(known), each) * (1.0 if own is None else own)

    @property
    def unit(self) -> float:
        """What a squared error is divided by."""
        y, a = self.source.label, self.source.mass
        variance = float(a @ np.square(y - a @ y))
        return 2 * variance if variance > 0 else 1.0

    def fit(self, coupling: Any) -> Any:
        """Return the learner, fitted."""
        rows, n = self.target.rows.astype(self.domain.X.dtype), len(self.domain)
        classes = self.labels.classes
        if classes is None:
            X, y, w = rows, np.asarray(self.source.label @ coupling) / self.target.mass, n * self.target.mass
        else:
            shares = _of_classes(self.source.label, len(classes)) @ coupling
            shares = shares.toarray() if isinstance(shares, csr_matrix) else np.asarray(shares)
            code, j = np.nonzero(shares > LEAST_SHARE * self.target.mass)
            X, y, w = rows[j], classes[code], n * shares[code, j]
        if self.target_weight != 0 and len(self.known):
            X = np.concatenate([X, self.known.X])
            y = np.concatenate([y, self.known.labels])
            w = np.concatenate([w, self.known_weight])
        return fit_learner(self.learner, X, y, w)

    def losses(self, model: Any) -> np.ndarray:
        """Return L(y_i, f(x'_j)), shape (m_s, m_t)."""
        rows = self.target.rows.astype(self.domain.X.dtype)
        if self.labels.classes is None:
            return np.square(self.source.label[:, None] - model.predict(rows)) / self.unit
        return class_losses(model, rows, self.labels.classes)[self.source.label.astype(int)]

    def rest(self, model: Any) -> float:
        """Return what the objective holds beyond the coupling: the losses of known labels, and the penalty."""
        total, known, classes = penalty(model), self.known, self.labels.classes
        if classes is None:
            if len(known):
                total += float(self.known_weight @ np.square(known.labels - model.predict(known.X)))
            return total / (self.unit * len(self.domain))
        if len(known):
            codes = self.labels.target[self.labels.known].astype(int)
            total += float(self.known_weight @ class_losses(model, known.X, classes)[codes, np.arange(len(known))])
        return total / len(self.domain)


def class_losses(model: Any, X: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the loss of each class at each row, shape (k, n)."""
    if not hasattr(model, "predict_proba"):
        return (classes[:, None] != model.predict(X)).astype(float)
    losses = np.full((len(classes), len(X)), -np.log(LEAST_PROBABILITY))
    losses[np.searchsorted(classes, model.classes_)] = -np.log(np.maximum(model.predict_proba(X).T, LEAST_PROBABILITY))
    return losses


def penalty(model: Any) -> float:
    """Return the squared penalty of a plain linear learner, on the scale of its summed losses; 0 for others."""
    if not (is_linear(model) and is_plain(model)):
        return 0.0
    squares = float(np.square(model.coef_).sum())
    settings = model.get_params()
    if "alpha" in settings:
        return float(settings["alpha"]) * squares
    return 0.5 * squares / float(settings["C"]) if "C" in settings else 0.0


def _of_classes(codes: np.ndarray, k: int) -> csr_matrix:
    """Return the matrix, shape (k, m), that sums rows by class."""
    m = len(codes)
    return csr_matrix((np.ones(m), (codes.astype(int), np.arange(m))), shape=(k, m))
