"""The kind of shift: covariate, label, concept or none, by tests; or that these rows can't tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from headstart.domain import Task, known_labels, missing, task_of
from headstart.evidence.conditional import components, held_out_probabilities
from headstart.evidence.measured import Measured, two_samples
from headstart.evidence.stability import (
    GIVEN_LABELS,
    GIVEN_ROWS,
    LABELS,
    PARTS,
    ROWS,
    SomeRows,
    effective_share,
    label_tests,
    rows_as_label_shift,
    rows_test,
)
from headstart.inputs import labels_of

#: Labelled rows of each domain below which labels are not compared, and rows below which "none" is not said.
LEAST_LABELLED, LEAST_FOR_NONE = 20, 200
#: A distribution differs at or below the first p-value and is taken for stable above the second.
DIFFERS, STABLE = 0.01, 0.05
#: Nothing is taken to differ when all tests together have a p-value above this.
NOTHING = 0.07
#: The share of random parts of the rows that must agree.
AGREEING = 0.5
#: Effective share of the source's rows below which the domains do not overlap.
LEAST_OVERLAP = 0.1
UNSEEN = "concept shift (the same row, another label) can't be seen without labels of the target"
ASSUMED = "label shift is told only under its assumption, that the rows of a class look alike in both domains"
FEW = f"fewer than {LEAST_LABELLED} labelled rows of a domain: too few to compare the labels"
TOO_SMALL = f"with fewer than {LEAST_FOR_NONE} rows of a domain, a shift that matters may stay unseen"
NO_OVERLAP = "the domains hardly overlap: whether the same row has the same label can hardly be tested"

SPEAKS_FOR: dict[str, tuple[str, tuple[str, ...]]] = {
    "covariate": ("instance-based", ("kmm", "rulsif", "domain-classifier-weighting")),
    "covariate, apart": ("feature-based", ("coral", "tca", "subspace-alignment")),
    "label": ("instance-based", ("bbse", "label-shift-em")),
    "concept": ("model-based", ("regular-transfer", "target-only")),
    "none": ("baseline", ("pooled",)),
}


@dataclass(frozen=True)
class Diagnosis:
    """What kind of shift there is.

    Attributes
    ----------
    kind : {"covariate", "label", "concept", "none", "unsure"}
        covariate: p(x) differs and p(y | x) is stable. label: p(y) differs and p(x | y) is stable. concept: p(y | x)
        differs, and not because of the labels' shares. none: no test sees a shift. unsure: these rows can't tell.
    sure : float
        The share of random parts, 70 % of the rows, for which the same tests give the same kind: 1 means that it
        does not hang on which rows were drawn. It is not the chance of being right.
    tests : dict of str to Measured
        p(x), p(y), p(x | y) and p(y | x), those that could be tested.
    overlap : float
        Share of the source's rows that would count if they were weighted to look like the target's: 1 without a
        shift, near 0 when the domains are apart.
    family, methods : str or None, and tuple of str
        The family that the kind speaks for, and some of its methods in the catalogue. None when unsure.
    unknown : tuple of str
        What these data can not say.
    """

    kind: str
    sure: float
    tests: dict[str, Measured] = field(default_factory=dict)
    overlap: float = 1.0
    family: str | None = None
    methods: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = {
            "unsure": "these rows can't tell what kind of shift there is",
            "none": "no shift is seen",
        }.get(self.kind, f"{self.kind} shift")
        tests = ", ".join(f"{name}: p = {test.p:.2g}" for name, test in self.tests.items())
        speaks = "" if self.family is None else f"; speaks for {self.family} methods ({', '.join(self.methods)})"
        unknown = "".join(f"; {line}" for line in self.unknown)
        return f"{said} (the same in {self.sure:.0%} of random parts of the rows; {tests}){speaks}{unknown}"

    def document(self) -> dict[str, Any]:
        """Return the diagnosis in plain types."""
        return {**asdict(self), "methods": list(self.methods), "unknown": list(self.unknown), "summary": str(self)}


def diagnose(
    Xs: Any,
    Xt: Any,
    ys: Any = None,
    yt: Any = None,
    *,
    task: Task | None = None,
    permutations: int = 499,
    random_state: int = 0,
) -> Diagnosis:
    r"""Tell the kind of shift from which distributions differ and which are stable.

    Four tests, each with its null hypothesis:

    - p(x): MMD of the rows, Gaussian kernel, permutations.
    - p(y): chi-squared for classes, Kolmogorov-Smirnov for quantities.
    - p(x | y): the sum of MMDs within classes, permutations within classes (within tenths of a quantity).
    - p(y | x): products of held-out residuals of the label and of the domain (see `residual_products`); the largest
      of their means in standard errors, beside random multipliers.

    With "differs" for p <= 0.01 and "stable" for p > 0.05:

    ========= =================================================================================================
    none      all tests combined have p > 0.07, and each domain has 200 rows (labelled ones, where labels are compared)
    covariate p(x) and p(x | y) differ, p(y | x) is stable
    label     p(y) and p(y | x) differ, p(x | y) is stable
    concept   p(y | x) and p(x | y) differ
    unsure    anything else, or fewer than half of random parts of the rows give that kind
    ========= =================================================================================================

    Tests are combined by Cauchy's distribution, :math:`\bar t = \frac{1}{4} \sum_j \tan((1/2 - p_j) \pi)`. Parts are
    judged by the null distribution of all rows, to scale.

    Without labels of the target, concept shift can't be seen. Label shift can, under its assumption: source rows
    drawn with other class shares, those that bring their mean embedding nearest to the target's, must look like the
    target.

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)
        At most 1,000 rows of each are looked at; columns are scaled.
    ys, yt : array of shape (n_s,) and (n_t,), optional
        Labels, some of which may be missing. Below 20 known ones of a domain they are not compared.
    task : {"classification", "regression"}, optional
        Read off the source's labels when not given.

    Raises
    ------
    InputError
        When the samples differ in columns or have fewer than two rows.

    References
    ----------
    Moreno-Torres, Raeder, Alaiz-Rodríguez, Chawla, Herrera: A unifying view on dataset shift in classification.
    Pattern Recognition 45, 2012. Combination: Liu & Xie: Cauchy Combination Test. Journal of the American Statistical
    Association 115, 2020. Class shares: Zhang, Schölkopf, Muandet, Wang: Domain Adaptation under Target and
    Conditional Shift. ICML 2013.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Xs, Xt = rng.normal(0, 1, (500, 2)), rng.normal([1, 0], 1, (500, 2))
    >>> ys, yt = ((X.sum(axis=1) + 0.5 * rng.normal(size=500) > 0).astype(int) for X in (Xs, Xt))
    >>> diagnose(Xs, Xt, ys, yt).kind
    'covariate'
    """
    Xs, Xt = two_samples(Xs, Xt, "diagnose")
    labels = [labels_of(y, X.shape[0], "diagnose", name) for y, X, name in ((ys, Xs, "ys"), (yt, Xt, "yt"))]
    known = [np.zeros(X.shape[0], bool) if y is None else ~missing(y) for y, X in zip(labels, (Xs, Xt), strict=True)]
    rows = SomeRows.drawn(Xs, Xt, random_state)
    test, of_parts = rows_test(rows, permutations, random_state)
    tests, parts = {ROWS: test}, {ROWS: of_parts}
    domain = held_out_probabilities(components(rows.X, random_state), rows.z, random_state)[:, 1]
    overlap = effective_share(domain, rows.z)
    unknown: list[str] = [NO_OVERLAP] if overlap < LEAST_OVERLAP else []
    if labels[0] is not None and task is None and known[0].any():
        task = task_of(known_labels(labels[0], classes=True))
    if min(k.sum() for k in known) >= LEAST_LABELLED:
        assert labels[0] is not None and labels[1] is not None  # noqa: PT018, S101  (labels are known)
        y = [known_labels(of, classes=task != "regression") for of in labels if of is not None]
        labelled = (
            rows if known[0].all() and known[1].all() else SomeRows.drawn(Xs[known[0]], Xt[known[1]], random_state)
        )
        F = components(labelled.X, random_state)
        # The rows' domains are modelled once where all rows have labels.
        told = domain if labelled is rows else held_out_probabilities(F, labelled.z, random_state)[:, 1]
        more, theirs = label_tests(labelled, F, told, y[0], y[1], task, permutations, random_state)
        tests, parts = {**tests, **more}, {**parts, **theirs}
        kind, of_part = _kind(tests), [_kind_of({name: p[h] for name, p in parts.items()}) for h in range(PARTS)]
    else:
        unknown = [*unknown, *([FEW] if known[1].any() else []), UNSEEN]
        classes = task == "classification" and known[0].sum() >= LEAST_LABELLED and labels[0] is not None
        as_shares = None
        if classes and test.p is not None and test.p <= DIFFERS:
            assert labels[0] is not None  # noqa: S101  (that is what `classes` says)
            ys = known_labels(labels[0], classes=True)
            as_shares = rows_as_label_shift(Xs[known[0]], Xt, ys, permutations, random_state)
            tests[GIVEN_LABELS] = as_shares
            unknown.append(ASSUMED)
        given = None if as_shares is None else as_shares.p
        kind, of_part = _unlabelled_kind(test.p, given), [_unlabelled_kind(p, given) for p in of_parts]
    sure = float(np.mean([each == kind for each in of_part]))
    if sure < AGREEING:
        kind = "unsure"
        sure = float(np.mean([each == kind for each in of_part]))
    compared = known if LABELS in tests else [np.ones(X.shape[0], bool) for X in (Xs, Xt)]
    if kind == "none" and min(k.sum() for k in compared) < LEAST_FOR_NONE:
        kind, unknown = "unsure", [*unknown, TOO_SMALL]
    apart = kind == "covariate" and overlap < LEAST_OVERLAP
    family, methods = SPEAKS_FOR.get("covariate, apart" if apart else kind, (None, ()))
    return Diagnosis(kind, sure, tests, overlap, family, methods, tuple(unknown))


def _kind(tests: dict[str, Measured]) -> str:
    return _kind_of({name: 1.0 if test.p is None else test.p for name, test in tests.items()})


def _kind_of(p: dict[str, float]) -> str:
    """Read the kind off four p-values."""
    if combined(list(p.values())) > NOTHING:
        return "none"
    differs = {name for name, value in p.items() if value <= DIFFERS}
    stable = {name for name, value in p.items() if value > STABLE}
    if {ROWS, GIVEN_LABELS} <= differs and GIVEN_ROWS in stable:
        return "covariate"
    if {LABELS, GIVEN_ROWS} <= differs and GIVEN_LABELS in stable:
        return "label"
    return "concept" if {GIVEN_ROWS, GIVEN_LABELS} <= differs else "unsure"


def _unlabelled_kind(rows: float | None, given: float | None) -> str:
    """Read the kind off the rows alone, and whether they are as a label shift would have them."""
    if rows is None or rows > NOTHING:
        return "none"
    if rows > DIFFERS or given is None or DIFFERS < given <= STABLE:
        return "unsure"
    return "label" if given > STABLE else "covariate"


def combined(p: list[float]) -> float:
    """Return one p-value for several that may hang together (Liu & Xie 2020).

    >>> round(combined([0.03, 0.03]), 3), round(combined([0.01, 0.5, 0.5, 0.5]), 3)
    (0.03, 0.04)
    """
    # p-values of 1 would be minus infinity, and one alone would outweigh the smallest of the others.
    inside = np.clip(p, 1e-15, 0.99)
    return float(0.5 - np.arctan(np.tan((0.5 - inside) * np.pi).mean()) / np.pi)
