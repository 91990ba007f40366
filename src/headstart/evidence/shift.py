"""How far apart source and target are: all columns together, each column, the labels, and what kind of shift it is.

The measures can be had from here one by one::

    from headstart.evidence import shift
    shift.mmd(Xs, Xt)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from headstart.domain import Domain
from headstart.draws import pick
from headstart.errors import InputError
from headstart.evidence.columns import ColumnShift, LabelShift, column_shifts, label_shift
from headstart.evidence.diagnosis import Diagnosis, diagnose
from headstart.evidence.distances import (
    coral_distance,
    energy_distance,
    frechet_distance,
    sliced_wasserstein,
    wasserstein,
)
from headstart.evidence.measured import Measured
from headstart.evidence.mmd import mmd
from headstart.evidence.otdd import otdd
from headstart.evidence.two_sample import classifier_two_sample_test, proxy_a_distance
from headstart.readers import Vectorizer
from headstart.readers.columns import Kind

__all__ = [
    "ColumnShift",
    "Diagnosis",
    "LabelShift",
    "Measured",
    "Shift",
    "classifier_two_sample_test",
    "column_shifts",
    "coral_distance",
    "diagnose",
    "energy_distance",
    "frechet_distance",
    "label_shift",
    "measure_shift",
    "mmd",
    "otdd",
    "proxy_a_distance",
    "sliced_wasserstein",
    "wasserstein",
]

#: Rows of each domain that distances are measured on, and of the optimal transport.
MOST_ROWS, MOST_TRANSPORTED = 2000, 500


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
    distances : dict of str to Measured
        The other distances, on rows made numbers and scaled: MMD, energy, sliced Wasserstein, CORAL, Fréchet, proxy A,
        and OTDD where both domains have classes.
    diagnosis : Diagnosis or None
        The kind of shift.
    """

    auc: float
    p: float
    columns: list[ColumnShift] = field(default_factory=list)
    labels: LabelShift | None = None
    distances: dict[str, Measured] = field(default_factory=dict)
    diagnosis: Diagnosis | None = None

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
        diagnosis = None if self.diagnosis is None else self.diagnosis.document()
        return {**asdict(self), "diagnosis": diagnosis, "summary": str(self)}


def measure_shift(
    source: Domain,
    target: Domain,
    *,
    kinds: dict[str, Kind] | None = None,
    vectorizer: Any = "auto",
    permutations: int = 999,
    transport: bool = False,
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
    transport : bool
        Measure the OT dataset distance too, where both have classes: it loads an optimal transport library.

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
    Xs, Xt = fitted.transform(source.X), fitted.transform(target.X)
    told = classifier_two_sample_test(Xs, Xt, permutations, random_state)
    task = source.task or target.task
    return Shift(
        auc=told.value,
        p=1.0 if told.p is None else told.p,
        columns=column_shifts(source.X, target.X, kinds),
        labels=label_shift(source.y, target.y, task=task),
        distances=_distances(Xs, Xt, source, target, permutations, transport, random_state),
        diagnosis=diagnose(Xs, Xt, source.y, target.y, task=task, permutations=permutations, random_state=random_state),
    )


def _distances(
    Xs: Any, Xt: Any, source: Domain, target: Domain, permutations: int, transport: bool, random_state: int
) -> dict[str, Measured]:
    """Measure the other distances on at most `MOST_ROWS` rows of each domain."""
    rows = [X[pick(X, MOST_ROWS, [random_state, domain])] for domain, X in enumerate((Xs, Xt))]
    on = f"{rows[0].shape[0]} and {rows[1].shape[0]} rows"
    found = {
        "MMD": mmd(*rows, permutations=permutations, random_state=random_state),
        "energy": energy_distance(*rows, permutations=permutations, random_state=random_state),
        "sliced Wasserstein": sliced_wasserstein(*rows, random_state=random_state),
        "CORAL": Measured(coral_distance(*rows), None, on),
        "Fréchet": Measured(frechet_distance(*rows), None, on),
        "proxy A": proxy_a_distance(*rows, permutations=permutations, random_state=random_state),
    }
    if transport and source.task == target.task == "classification" and source.n_labelled and target.n_labelled:
        found["OTDD"] = otdd(Xs, Xt, source.y, target.y, most=MOST_TRANSPORTED, random_state=random_state)
    return found
