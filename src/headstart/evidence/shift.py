"""How far apart source and target are: all columns together, each column, and the labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency, false_discovery_control, ks_2samp
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from headstart.domain import Domain, stack_rows
from headstart.errors import InputError
from headstart.readers import Vectorizer
from headstart.readers.columns import Kind

#: Rows of each domain that the classifier test looks at.
MOST_ROWS = 2000
MOST_COLUMNS = 200


@dataclass(frozen=True)
class ColumnShift:
    """How one column differs: size between 0 and 1, p-value, and the p-value with false discoveries controlled."""

    column: str
    kind: str
    size: float
    p: float
    q: float
    note: str


@dataclass(frozen=True)
class LabelShift:
    """How the labels differ: size between 0 and 1, p-value, and the shares (or means) in each domain."""

    size: float
    p: float
    source: dict[str, float]
    target: dict[str, float]


@dataclass(frozen=True)
class Shift:
    """The distance between two domains.

    Attributes
    ----------
    auc : float
        How well a classifier tells held-out source rows from target rows: 0.5 not at all, 1 always.
    p : float
        Permutation p-value of that.
    columns : list of ColumnShift
        Most different first.
    labels : LabelShift or None
        Where both domains have labels.
    """

    auc: float
    p: float
    columns: list[ColumnShift] = field(default_factory=list)
    labels: LabelShift | None = None

    def __str__(self) -> str:
        apart = (
            f"a classifier tells source from target with AUC {self.auc:.2f} (p = {self.p:.3g})"
            if self.p <= 0.05
            else f"source and target can't be told apart (AUC {self.auc:.2f}, p = {self.p:.2g})"
        )
        differing = [column.column for column in self.columns if column.q <= 0.05]
        columns = f"; {len(differing)} of {len(self.columns)} columns differ" if self.columns else ""
        first = f" (most: {', '.join(differing[:3])})" if differing else ""
        labels = ""
        if self.labels is not None:
            labels = f"; labels {'differ' if self.labels.p <= 0.05 else 'do not differ'} (p = {self.labels.p:.2g})"
        return apart + columns + first + labels

    def document(self) -> dict[str, Any]:
        """Return the shift in plain types."""
        return {**asdict(self), "summary": str(self)}


def measure_shift(
    source: Domain,
    target: Domain,
    *,
    kinds: dict[str, Kind] | None = None,
    vectorizer: Any = "auto",
    permutations: int = 999,
    random_state: int = 0,
) -> Shift:
    """Measure how far source and target are apart.

    Parameters
    ----------
    source, target : Domain
        With the same columns.
    kinds : dict, optional
        What the columns of tables hold, as `headstart.readers.align` found out.
    permutations : int
        Permutations behind the p-value.

    Raises
    ------
    InputError
        When the domains have different columns: there is no distance then.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> far = measure_shift(Domain(rng.normal(0, 1, (100, 2))), Domain(rng.normal(2, 1, (100, 2))))
    >>> far.auc > 0.9, far.p < 0.01
    (True, True)
    """
    if source.X.shape[1] != target.X.shape[1]:
        raise InputError(
            f"{source.name} has {source.X.shape[1]} columns and {target.name} {target.X.shape[1]}; a shift is measured "
            "in the same columns"
        )
    fitted = Vectorizer(vectorizer, kinds).fit([source.X, target.X])
    auc, p = classifier_two_sample_test(
        fitted.transform(source.X), fitted.transform(target.X), permutations, random_state
    )
    return Shift(auc, p, column_shifts(source.X, target.X, kinds), label_shift(source, target))


def classifier_two_sample_test(Xs: Any, Xt: Any, permutations: int = 999, random_state: int = 0) -> tuple[float, float]:
    """Return AUC and permutation p-value of a classifier that tells source rows from target rows.

    A random forest is fitted on a random half of the rows and scored on the other half. Given the forest, the
    domains of the held-out rows are exchangeable when there is no shift, so the p-value is the share of
    permutations of them (the identity included) with an AUC at least as high: exact, without refitting.

    References
    ----------
    Lopez-Paz & Oquab: Revisiting Classifier Two-Sample Tests. ICLR 2017.
    """
    rng = np.random.default_rng(random_state)
    Xs, Xt = (X[rng.permutation(X.shape[0])[:MOST_ROWS]] for X in (Xs, Xt))
    X = stack_rows([Xs, Xt])
    z = np.repeat([0, 1], [Xs.shape[0], Xt.shape[0]])
    if min(np.bincount(z)) < 4:
        return 0.5, 1.0
    train = np.zeros(len(z), dtype=bool)
    for domain in (0, 1):
        rows = rng.permutation(np.flatnonzero(z == domain))
        train[rows[: len(rows) // 2]] = True
    forest = RandomForestClassifier(200, min_samples_leaf=3, class_weight="balanced", random_state=random_state)
    score = forest.fit(X[train], z[train]).predict_proba(X[~train])[:, 1]
    held = z[~train]
    auc = float(roc_auc_score(held, score))
    # The AUC is the rank sum of the target rows, so a permutation is one sum.
    ranks = _midranks(score)
    n_t = int(held.sum())
    observed = ranks[held == 1].sum()
    sums = np.array([ranks[rng.permutation(len(ranks))[:n_t]].sum() for _ in range(permutations)])
    p = (1 + int((sums >= observed - 1e-9).sum())) / (1 + permutations)
    return auc, float(p)


def _midranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values))


def column_shifts(Xs: Any, Xt: Any, kinds: dict[str, Kind] | None) -> list[ColumnShift]:
    """Test each column: Kolmogorov-Smirnov for numbers and dates, chi-squared for categories.

    p-values are adjusted over the columns (Benjamini & Hochberg 1995) into q. Empty cells count as a category of
    their own; for numbers a difference in their share is named in the note.
    """
    tested = []
    if kinds is None:
        if not isinstance(Xs, np.ndarray) or not isinstance(Xt, np.ndarray):
            return []
        for j in range(min(Xs.shape[1], MOST_COLUMNS)):
            tested.append((f"column {j}", "number", *_number_shift(Xs[:, j], Xt[:, j])))
    else:
        for name, kind in list(kinds.items())[:MOST_COLUMNS]:
            if kind == "category":
                tested.append((name, kind, *_category_shift(Xs[name], Xt[name])))
            else:
                tested.append((name, kind, *_number_shift(_floats(Xs[name], kind), _floats(Xt[name], kind))))
    if not tested:
        return []
    adjusted = false_discovery_control([p for _, _, _, p, _ in tested])
    shifts = [
        ColumnShift(name, kind, size, p, float(q), note)
        for (name, kind, size, p, note), q in zip(tested, adjusted, strict=True)
    ]
    return sorted(shifts, key=lambda shift: (shift.q, -shift.size))


def _floats(values: Any, kind: str) -> np.ndarray:
    import pandas as pd

    if kind == "date":
        days = pd.to_datetime(values.astype(object).where(values.notna(), None), errors="coerce", utc=True)
        return np.asarray((days - pd.Timestamp("1970-01-01", tz="UTC")).dt.total_seconds(), dtype=float)
    return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=float)


def _number_shift(a: np.ndarray, b: np.ndarray) -> tuple[float, float, str]:
    known_a, known_b = a[~np.isnan(a)], b[~np.isnan(b)]
    lost_a, lost_b = 1 - len(known_a) / len(a), 1 - len(known_b) / len(b)
    note = f"missing {lost_a:.0%} and {lost_b:.0%}" if abs(lost_a - lost_b) > 0.05 else ""
    if not len(known_a) or not len(known_b):
        return 0.0, 1.0, note or "empty"
    test = ks_2samp(known_a, known_b)
    mean = f"mean {known_a.mean():.4g} and {known_b.mean():.4g}"
    return float(test.statistic), float(test.pvalue), f"{mean}; {note}" if note else mean


def _category_shift(a: Any, b: Any) -> tuple[float, float, str]:
    return _count_shift(a.astype(object).where(a.notna(), "(missing)"), b.astype(object).where(b.notna(), "(missing)"))


def _count_shift(a: Any, b: Any) -> tuple[float, float, str]:
    """Return total variation distance, chi-squared p-value, and the value whose share differs most."""
    values, codes = np.unique(np.concatenate([np.asarray(a, dtype=str), np.asarray(b, dtype=str)]), return_inverse=True)
    counts = np.stack(
        [
            np.bincount(codes[: len(a)], minlength=len(values)),
            np.bincount(codes[len(a) :], minlength=len(values)),
        ]
    )
    if len(values) < 2:
        return 0.0, 1.0, ""
    shares = counts / counts.sum(axis=1, keepdims=True)
    most = int(np.abs(shares[0] - shares[1]).argmax())
    note = f"{values[most]!s}: {shares[0, most]:.0%} and {shares[1, most]:.0%}"
    distance = 0.5 * float(np.abs(shares[0] - shares[1]).sum())
    return distance, float(chi2_contingency(counts).pvalue), note


def label_shift(source: Domain, target: Domain) -> LabelShift | None:
    """Compare the known labels of both domains: chi-squared for classes, Kolmogorov-Smirnov for numbers."""
    if not source.n_labelled or not target.n_labelled:
        return None
    ys, yt = source.labels, target.labels
    if source.task == "regression":
        size, p, _ = _number_shift(ys.astype(float), yt.astype(float))
        return LabelShift(size, p, {"mean": float(ys.mean())}, {"mean": float(yt.mean())})
    size, p, _ = _count_shift(ys, yt)
    return LabelShift(size, p, _shares(ys), _shares(yt))


def _shares(labels: np.ndarray) -> dict[str, float]:
    values, counts = np.unique(labels, return_counts=True)
    return {str(value): float(count / len(labels)) for value, count in zip(values, counts, strict=True)}
