"""Domain: the rows of one domain, with labels of which some or all may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from headstart.errors import InputError

#: Rows of a domain: an array, a sparse matrix or a DataFrame of shape (n, d).
Rows = Any
#: Classes; numbers; or which items come first, of events that happened.
Task = Literal["classification", "regression", "ranking"]
TASKS: tuple[Task, ...] = ("classification", "regression", "ranking")

#: Whole numbers with more distinct values than this are quantities, not classes.
MOST_NUMBERED_CLASSES = 20

#: What rows are called that are one thing each, by modality.
ITEMS = {"image": "pictures", "text": "texts"}
#: What rows are called that stand in a world of their own, which each part of them still knows: the facts around an
#: example, the graph around a node. Such rows have no columns in common with others.
#: Ratings are of users and items, whose ids mean something beside others only.
WORLDS = {"facts": "examples", "graph": "nodes", "ratings": "ratings"}


@dataclass(frozen=True, eq=False)
class Domain:
    """The rows of one domain.

    Parameters
    ----------
    X : array, sparse matrix or DataFrame of shape (n, d)
        The rows. Kept as given, never edited. Of pictures one column of paths, of texts one of texts; a plain list
        of these becomes such a column. Of facts `Examples`, of a graph `Nodes` (`headstart.relations`).
    y : array-like of shape (n,), optional
        The labels. A label that is not known is missing: NaN, None or pandas.NA. Without `y` none is known.
    name : str
        What the domain is called in tables, reports and messages.
    modality : {"table", "text", "image", "ratings", "facts", "graph"}
        What a row is.
    task : "classification", "regression" or "ranking", optional
        What is to be predicted; read off the labels when not given.
    origin : array of str of shape (n,), optional
        The domain that each row came from, when several were stacked.
    label : str, optional
        What the label is called: the column it came from.
    weight : array of shape (n,), optional
        How much each row counts when a learner is fitted; without, all count the same.
    pair : array of shape (n,), optional
        What was measured in each row: rows of two domains with the same value are a pair, the same thing seen from
        both sides. Missing (NaN, None) where a row has no partner.
    items : array of shape (n,), optional
        The picture or text of each row, where the rows are features of these: for methods that train a network.

    Raises
    ------
    InputError
        When rows, labels and weights differ in number, the labels mix numbers and text, or a weight is negative.

    Examples
    --------
    >>> import numpy as np
    >>> hungary = Domain(np.eye(3), y=[1, None, 0], name="hungary")
    >>> hungary
    Domain('hungary', 3 rows x 3 columns, 2 labelled, classification)
    >>> hungary.labelled
    array([ True, False,  True])
    >>> hungary.labels
    array([1, 0])
    """

    X: Rows
    y: np.ndarray | None = None
    name: str = "target"
    modality: str = "table"
    task: Task | None = None
    origin: np.ndarray | None = None
    label: str | None = None
    weight: np.ndarray | None = None
    pair: np.ndarray | None = None
    items: np.ndarray | None = None

    def __post_init__(self) -> None:
        rows = self.X
        if self.modality in ITEMS and (not hasattr(rows, "shape") or len(rows.shape) == 1):
            rows = as_column(rows)
            object.__setattr__(self, "X", rows)
        if not hasattr(rows, "shape"):
            rows = np.asarray(rows)
            object.__setattr__(self, "X", rows)
        if hasattr(rows, "modality"):
            # Examples and nodes know what they are.
            object.__setattr__(self, "modality", rows.modality)
        if len(rows.shape) != 2:
            raise InputError(f"{self.name}: rows must form a table of shape (n, d), not {tuple(rows.shape)}")
        if self.weight is not None:
            object.__setattr__(self, "weight", as_weights(self.weight, rows.shape[0], where=self.name))
        if self.pair is not None:
            object.__setattr__(self, "pair", as_pair(self.pair, rows.shape[0], where=self.name))
        if self.items is not None and len(self.items) != rows.shape[0]:
            raise InputError(f"{self.name}: {rows.shape[0]} rows but {len(self.items)} items")
        if self.y is not None:
            labels = as_labels(self.y, where=self.name)
            if len(labels) != rows.shape[0]:
                raise InputError(f"{self.name}: {rows.shape[0]} rows but {len(labels)} labels")
            object.__setattr__(self, "y", labels)
            if self.task is None and self.n_labelled:
                object.__setattr__(self, "task", task_of(self.labels))
        if self.task is not None and self.task not in TASKS:
            raise InputError(f"task must be 'classification', 'regression' or 'ranking', not {self.task!r}")
        if self.task == "regression" and self.n_labelled and self.labels.dtype.kind not in "fiub":
            raise InputError(f"{self.name}: the labels are not numbers; regression needs numbers")

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __repr__(self) -> str:
        what = {**ITEMS, **WORLDS}.get(self.modality, f"rows x {self.X.shape[1]} columns")
        return (
            f"Domain({self.name!r}, {len(self)} {what}, "
            f"{self.n_labelled} labelled{', ' + self.task if self.task else ''})"
        )

    @property
    def labelled(self) -> np.ndarray:
        """Mask of shape (n,): the rows whose label is known."""
        if self.y is None:
            return np.zeros(len(self), dtype=bool)
        return ~missing(self.y)

    @property
    def n_labelled(self) -> int:
        """How many rows have a label."""
        return int(self.labelled.sum())

    @property
    def labels(self) -> np.ndarray:
        """The known labels, in row order, in their own type (whole numbers, text or floats)."""
        if self.y is None:
            return np.empty(0)
        return known_labels(self.y, classes=self.task != "regression")

    @property
    def classes(self) -> np.ndarray:
        """The distinct known labels, sorted."""
        return np.unique(self.labels)

    @property
    def clusters(self) -> np.ndarray | None:
        """Whose each row is, as numbers from 0, where several rows may be one user's; an interval then counts users."""
        return getattr(self.X, "clusters", None)

    @property
    def held_together(self) -> np.ndarray | None:
        """What each row is held out together with, as numbers from 0, where rows are not held out one by one."""
        return getattr(self.X, "groups", None) if self.modality == "ratings" else None

    def rows(self, index: np.ndarray) -> Domain:
        """Return the domain of the rows at `index` (positions or a mask), in that order."""
        return replace(
            self,
            X=take(self.X, index),
            y=None if self.y is None else self.y[index],
            origin=None if self.origin is None else self.origin[index],
            weight=None if self.weight is None else self.weight[index],
            pair=None if self.pair is None else self.pair[index],
            items=None if self.items is None else self.items[index],
        )

    def labelled_rows(self) -> Domain:
        """Return the domain of the rows whose label is known."""
        return self if self.labelled.all() else self.rows(self.labelled)

    def with_rows(self, X: Rows) -> Domain:
        """Return this domain with other contents for the same rows (vectorised, say)."""
        return replace(self, X=X)

    def parts(self) -> list[Domain]:
        """Return the domains that were stacked into this one (itself, when it is one)."""
        if self.origin is None:
            return [self]
        origin = self.origin
        names = list(dict.fromkeys(origin.tolist()))
        return [replace(self.rows(origin == name), name=name, origin=None) for name in names]


def stack(domains: Sequence[Domain]) -> Domain:
    """Put several domains of the same columns on top of each other, remembering where each row came from.

    Examples
    --------
    >>> import numpy as np
    >>> both = stack([Domain(np.eye(2), [0, 1], name="a"), Domain(np.ones((1, 2)), name="b")])
    >>> both.name, both.n_labelled, [part.name for part in both.parts()]
    ('a+b', 2, ['a', 'b'])
    """
    if len(domains) == 1:
        return domains[0]
    widths = {domain.X.shape[1] for domain in domains}
    if len(widths) > 1:
        counts = ", ".join(f"{domain.name} {domain.X.shape[1]}" for domain in domains)
        raise InputError(f"domains have different numbers of columns ({counts}); give them the same columns")
    origins = [
        domain.origin if domain.origin is not None else np.full(len(domain), domain.name, dtype=object)
        for domain in domains
    ]
    return Domain(
        X=stack_rows([domain.X for domain in domains]),
        y=stack_labels([domain.y for domain in domains], [len(domain) for domain in domains]),
        name="+".join(domain.name for domain in domains),
        modality=domains[0].modality,
        task=next((domain.task for domain in domains if domain.task), None),
        label=next((domain.label for domain in domains if domain.label), None),
        origin=np.concatenate(origins),
        weight=stack_weights([domain.weight for domain in domains], [len(domain) for domain in domains]),
        pair=stack_labels([domain.pair for domain in domains], [len(domain) for domain in domains]),
        items=stack_items([domain.items for domain in domains]),
    )


def as_column(items: Any) -> np.ndarray:
    """Return pictures or texts as one column of objects, shape (n, 1).

    >>> as_column(["good", "bad"]).shape
    (2, 1)
    """
    items = list(items)
    column = np.empty((len(items), 1), dtype=object)
    # One by one: numpy would take pictures apart into their pixels.
    for row, item in enumerate(items):
        column[row, 0] = item
    return column


def take(X: Any, index: np.ndarray) -> Any:
    """Return the rows of `X` at `index`, whatever `X` is."""
    if hasattr(X, "iloc"):
        return X.iloc[index].reset_index(drop=True) if index.dtype != bool else take(X, np.flatnonzero(index))
    return X[index]


def stack_rows(blocks: Sequence[Any]) -> Any:
    """Put blocks of rows on top of each other, whatever they are."""
    if hasattr(blocks[0], "iloc"):
        import pandas as pd

        return pd.concat(blocks, ignore_index=True)
    if hasattr(blocks[0], "stack_rows"):
        return blocks[0].stack_rows(blocks)
    if all(isinstance(block, np.ndarray) for block in blocks):
        return np.concatenate(blocks)
    from scipy.sparse import vstack

    return vstack(blocks).tocsr()


def stack_labels(labels: Sequence[np.ndarray | None], lengths: Sequence[int]) -> np.ndarray | None:
    """Concatenate label arrays, where None stands for labels that are all missing."""
    if all(y is None for y in labels):
        return None
    numeric = all(y is None or y.dtype.kind in "fiu" for y in labels)
    filler = (float, np.nan) if numeric else (object, None)
    return np.concatenate(
        [
            np.full(n, filler[1], dtype=filler[0]) if y is None else y.astype(y.dtype if numeric else object)
            for y, n in zip(labels, lengths, strict=True)
        ]
    )


def stack_weights(weights: Sequence[np.ndarray | None], lengths: Sequence[int]) -> np.ndarray | None:
    """Concatenate row weights, where None stands for ones; None when there are none at all."""
    if all(w is None for w in weights):
        return None
    return np.concatenate([np.ones(n) if w is None else w for w, n in zip(weights, lengths, strict=True)])


def stack_items(items: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Concatenate the items of rows; None where some have none."""
    there = [each for each in items if each is not None]
    return np.concatenate(there) if len(there) == len(items) else None


def as_weights(weight: Any, n: int, where: str = "weights") -> np.ndarray:
    """Bring row weights into an array of floats, shape (n,).

    Raises
    ------
    InputError
        When there are not n of them, or one is negative or not finite.
    """
    weight = np.asarray(weight, dtype=float)
    if weight.shape != (n,):
        raise InputError(f"{where}: {n} rows but weights of shape {weight.shape}; give one weight a row")
    if not (np.isfinite(weight) & (weight >= 0)).all():
        row = int(np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))[0])
        raise InputError(f"{where}: row {row + 1}: weight {weight[row]}; weights are finite and zero or more")
    return weight


def as_pair(pair: Any, n: int, where: str = "pair") -> np.ndarray:
    """Bring the names of what was measured in each row into an array, shape (n,)."""
    names = as_labels(pair, where=f"{where}: pair")
    if len(names) != n:
        raise InputError(f"{where}: {n} rows but {len(names)} values of pair; give one a row")
    return names


def paired_rows(source: np.ndarray, target: np.ndarray, name: str) -> np.ndarray:
    """Return the positions of paired rows, shape (p, 2): of the source, and of the target; in the names' order.

    Raises
    ------
    InputError
        When a name stands twice in one domain.

    Examples
    --------
    >>> paired_rows(np.array([7.0, np.nan, 3.0]), np.array([3.0, 5.0, 7.0]), "example")
    array([[2, 0],
           [0, 2]])
    """
    positions = []
    for names, where in ((source, "source"), (target, "target")):
        known = np.flatnonzero(~missing(names))
        found: dict[Any, int] = {}
        for position in known.tolist():
            if names[position] in found:
                raise InputError(f"{name}: {names[position]!r} stands twice in the {where}; pair names a row only once")
            found[names[position]] = position
        positions.append(found)
    shared = sorted(positions[0].keys() & positions[1].keys())
    return np.array([[positions[0][key], positions[1][key]] for key in shared], dtype=int).reshape(-1, 2)


def missing(y: np.ndarray) -> np.ndarray:
    """Return the mask of the labels that are not known: NaN, None or pandas.NA."""
    if y.dtype.kind == "f":
        return np.isnan(y)
    if y.dtype.kind != "O":
        return np.zeros(len(y), dtype=bool)
    import pandas as pd

    return np.asarray(pd.isna(y))


def as_labels(y: Any, where: str = "labels") -> np.ndarray:
    """Bring labels into an array: numbers, text, or objects in which None stands for a missing label."""
    if hasattr(y, "to_numpy"):
        y = y.to_numpy(dtype=object) if getattr(y.dtype, "kind", "O") not in "fiub" else y.to_numpy()
    if not isinstance(y, np.ndarray):
        y = np.asarray(y, dtype=object) if any(not isinstance(item, int | float | str) for item in y) else np.asarray(y)
    if y.ndim != 1:
        raise InputError(f"{where}: labels must be one column, not an array of shape {y.shape}")
    if y.dtype.kind in "USfiub":
        if y.dtype.kind == "f" and np.isinf(y).any():
            raise InputError(f"{where}: row {int(np.flatnonzero(np.isinf(y))[0]) + 1}: the label is infinite")
        return y
    y = y.astype(object)
    gone = missing(y)
    kinds = {_kind(item) for item in y[~gone]}
    if len(kinds) > 1:
        raise InputError(f"{where}: the labels mix {' and '.join(sorted(kinds))}; write them one way")
    if kinds == {"numbers"}:
        return np.array([np.nan if lost else float(item) for item, lost in zip(y, gone, strict=True)])
    y = y.copy()
    y[gone] = None
    return y


def _kind(label: object) -> str:
    if isinstance(label, bool | np.bool_):
        return "true/false"
    return "numbers" if isinstance(label, int | float | np.number) else "text"


def known_labels(y: np.ndarray, *, classes: bool) -> np.ndarray:
    """Return the labels that are not missing, in their own type.

    Classes numbered 0, 1, ... become floats where some are missing; here they are whole numbers again.
    """
    known = y[~missing(y)]
    if y.dtype.kind == "O":
        return np.array(known.tolist())
    if classes and y.dtype.kind == "f" and (known == np.round(known)).all():
        return known.astype(np.int64)
    return known


def task_of(labels: np.ndarray) -> Task:
    """Read the task off the labels: text, true/false and few whole numbers are classes.

    >>> task_of(np.array([0, 1, 1])), task_of(np.array([0.5, 1.25]))
    ('classification', 'regression')
    """
    if labels.dtype.kind not in "fiu":
        return "classification"
    whole = labels.dtype.kind in "iu" or bool((labels == np.round(labels)).all())
    return "classification" if whole and len(np.unique(labels)) <= MOST_NUMBERED_CLASSES else "regression"


def require_learnable(source: Domain, target: Domain) -> None:
    """Refuse domains from which no method can learn.

    Raises
    ------
    InputError
        When no source label is known, there is one class only, or the target has fewer labelled rows than
        there are classes.
    """
    if not source.n_labelled:
        raise InputError(f"{source.name}: all labels are missing; name the column to predict with label=... (--label)")
    if target.n_labelled and source.task != target.task:
        raise InputError(
            f"{source.name} is a {source.task} task and {target.name} a {target.task} task; "
            "name one with task=... (--task)"
        )
    require_classes(source.task, source.labels, target)


def require_classes(task: Task | None, source_labels: np.ndarray, target: Domain) -> None:
    """Refuse labels that leave nothing to tell apart; `source_labels` may be the source's classes alone."""
    if task != "classification":
        return
    if target.n_labelled and (source_labels.dtype.kind in "US") != (target.labels.dtype.kind in "US"):
        raise InputError(
            f"{target.name}: labels are {listed_kind(target.labels)} but the source's are "
            f"{listed_kind(source_labels)}; write them one way"
        )
    classes = np.union1d(np.unique(source_labels), target.classes if target.n_labelled else source_labels[:0])
    if len(classes) < 2:
        raise InputError(f"one class only ({classes[0]}): there is nothing to tell apart; add rows of another class")
    if 0 < target.n_labelled < len(classes):
        raise InputError(
            f"{target.name}: {target.n_labelled} labelled rows for {len(classes)} classes; label at least one row "
            "a class, or none"
        )


def listed_kind(labels: np.ndarray) -> str:
    """Say what labels are, with an example."""
    return f"{'text' if labels.dtype.kind in 'US' else 'numbers'} ({labels[0]!s}, ...)"
