"""Mixed columns into numbers: what kind each column is, and the vectoriser fitted on the rows it may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from headstart.domain import Domain, stack_rows
from headstart.errors import InputError, listed, unknown_name

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "category", "date"]
#: What columns a run works with: those that all domains share, or each domain's own. "auto": see `no_shared_columns`.
SPACES = ("auto", "same", "different")

#: Rarer categories of a column share one output column beyond this many.
MOST_CATEGORIES = 50
MISSING_CATEGORY = "(missing)"
DATE_PARTS = ("day", "month", "weekday")


#: What a domain is, by modality, as it is said in a message.
CALLED = {"facts": "facts", "graph": "a graph", "ratings": "ratings"}


@dataclass(frozen=True)
class Aligned:
    """Domains brought to the same columns, or each side to its own.

    Attributes
    ----------
    sources : list of Domain
    target : Domain
    kinds : dict or None
        What the target's columns hold; None for arrays.
    notes : list of str
    tests : list of Domain
        More rows in the target's columns.
    different : bool
        Whether source and target keep columns of their own.
    source_kinds : dict or None
        What the sources' columns hold, where they are others.
    """

    sources: list[Domain]
    target: Domain
    kinds: dict[str, Kind] | None
    notes: list[str] = field(default_factory=list)
    tests: list[Domain] = field(default_factory=list)
    different: bool = False
    source_kinds: dict[str, Kind] | None = None


def align_spaces(sources: Sequence[Domain], target: Domain, tests: Sequence[Domain], spaces: str) -> Aligned:
    """Keep the shared columns (spaces="same"), or each side's own ("different"); "auto" lets the domains decide.

    With different columns the sources agree among themselves, and the test rows with the target, as `align` does it.

    Raises
    ------
    InputError
        When domains that must have the same columns share none, or `spaces` is unknown.

    Examples
    --------
    >>> here, there = Domain(np.eye(3), [0, 1, 0], name="here"), Domain(np.ones((2, 4)), [0, 1], name="there")
    >>> apart = align_spaces([there], here, [], "auto")
    >>> apart.different, apart.notes
    (True, ['here and there share no columns, so each keeps its own; there is no shift to measure between them'])
    """
    if spaces not in SPACES:
        raise InputError(unknown_name("spaces", spaces, SPACES))
    unshared = no_shared_columns(sources, target)
    if spaces == "same" or (spaces == "auto" and not unshared):
        aligned = align([*sources, *tests], target)
        return replace(aligned, sources=aligned.sources[: len(sources)], tests=aligned.sources[len(sources) :])
    there, here = align(sources[:-1], sources[-1]), align(tests, target)
    names = " and ".join([target.name, *(source.name for source in sources)])
    why = f"{names} share no columns, so" if unshared else "spaces='different':"
    return Aligned(
        sources=[*there.sources, there.target],
        target=here.target,
        kinds=here.kinds,
        notes=[
            f"{why} each keeps its own; there is no shift to measure between them",
            *there.notes,
            *here.notes,
        ],
        tests=here.sources,
        different=True,
        source_kinds=there.kinds,
    )


def in_worlds(sources: Sequence[Domain], target: Domain, tests: Sequence[Domain]) -> Aligned:
    """Return domains whose rows stand in worlds of their own as they are: there are no columns to agree on.

    Raises
    ------
    InputError
        When they are of different kinds, or there are several sources.
    """
    for domain in (*sources, *tests):
        if domain.modality != target.modality:
            raise InputError(
                f"{domain.name} is {CALLED.get(domain.modality, 'a table')} and {target.name} "
                f"{CALLED.get(target.modality, 'a table')}; give two of one kind"
            )
    if target.modality == "ratings":
        return _of_ratings(sources, target, tests)
    if len(sources) > 1:
        raise InputError(f"{listed(s.name for s in sources)}: several worlds can't be one source; give one")
    what = "facts" if target.modality == "facts" else "graph"
    return Aligned(
        sources=list(sources),
        target=target,
        kinds=None,
        notes=[f"each side keeps its own {what}; there is no shift of columns to measure"],
        tests=list(tests),
        # Nodes of two graphs have the same attributes; facts have other predicates.
        different=target.modality == "facts",
    )


#: What is said of ratings whose users, items, both or neither are the same on both sides.
MEETING = {
    "users": "a user of one domain is the user of the same id in another",
    "items": "an item of one domain is the item of the same id in another",
    "both": "users and items of the same id are the same in every domain",
    "none": "no user and no item is known to stand in two domains",
}


def _of_ratings(sources: Sequence[Domain], target: Domain, tests: Sequence[Domain]) -> Aligned:
    """Return domains of ratings as they are, if their ids mean the same and all or none have ratings."""
    shared = target.X.shared
    for domain in (*sources, *tests):
        if domain.X.shared != shared:
            raise InputError(
                f"{domain.name} shares {domain.X.shared} and {target.name} {shared}; say the same of all (shared=...)"
            )
        if domain.n_labelled and target.n_labelled and domain.task != target.task:
            rated, other = (domain, target) if domain.task == "regression" else (target, domain)
            raise InputError(
                f"{rated.name} has ratings and {other.name} has none; leave the ratings out, or give both sides some"
            )
    return Aligned(
        sources=list(sources),
        target=target,
        kinds=None,
        notes=[f"{MEETING[shared]}; there is no shift of columns to measure"],
        tests=list(tests),
    )


def no_shared_columns(sources: Sequence[Domain], target: Domain) -> bool:
    """Tell whether no source shares a column with the target: a name of tables, or the number of columns of arrays.

    A table and an array can't be compared: that is for the caller to say.

    >>> [no_shared_columns([Domain(np.eye(2))], Domain(np.eye(d))) for d in (2, 3)]
    [False, True]
    """
    framed = [hasattr(domain.X, "columns") for domain in (*sources, target)]
    if all(framed):
        return all(set(source.X.columns).isdisjoint(target.X.columns) for source in sources)
    return not any(framed) and all(source.X.shape[1] != target.X.shape[1] for source in sources)


def align(sources: Sequence[Domain], target: Domain) -> Aligned:
    """Keep the columns that all domains share, in the target's order, and agree on the kind of each.

    Raises
    ------
    InputError
        When no column is shared, or a column holds numbers here and text there.

    Examples
    --------
    >>> import pandas as pd
    >>> here = Domain(pd.DataFrame({"age": [63, 41], "town": ["Ulm", None]}), [0, 1], name="here")
    >>> there = Domain(pd.DataFrame({"town": ["Bonn"], "age": [50], "fax": [1]}), [1], name="there")
    >>> both = align([there], here)
    >>> both.kinds, both.notes
    ({'age': 'number', 'town': 'category'}, ["left out, not in every domain: 'fax'"])
    """
    domains = [*sources, target]
    frames = [hasattr(domain.X, "columns") for domain in domains]
    if not any(frames):
        _require_equal_width(domains)
        return Aligned(list(sources), target, None)
    if not all(frames):
        arrays = next(domain.name for domain, framed in zip(domains, frames, strict=True) if not framed)
        raise InputError(
            f"{arrays} has no column names and the others do; give all as tables, or all as arrays, or say that the "
            "columns are others with spaces='different' (--spaces)"
        )
    columns = [name for name in target.X.columns if all(name in source.X.columns for source in sources)]
    if not columns:
        raise InputError(
            f"no shared columns: {sources[0].name} has {listed(sources[0].X.columns, 4)}, "
            f"{target.name} has {listed(target.X.columns, 4)}; rename them alike"
        )
    kinds = {name: _agreed_kind(name, domains) for name in columns}
    dropped = dict.fromkeys(name for domain in domains for name in domain.X.columns if name not in kinds)
    notes = [f"left out, not in every domain: {listed(dropped)}"] if dropped else []
    narrowed = [domain.with_rows(domain.X[columns]) for domain in domains]
    return Aligned(narrowed[:-1], narrowed[-1], kinds, notes)


def _require_equal_width(domains: Sequence[Domain]) -> None:
    width = domains[-1].X.shape[1]
    for domain in domains[:-1]:
        if domain.X.shape[1] != width:
            raise InputError(
                f"{domain.name} has {domain.X.shape[1]} columns and {domains[-1].name} {width}; "
                "give both the same columns"
            )


def _agreed_kind(column: str, domains: Sequence[Domain]) -> Kind:
    kinds = {domain.name: kind_of(domain.X[column]) for domain in domains}
    known = {kind for kind in kinds.values() if kind is not None}
    if len(known) <= 1:
        return next(iter(known), "number")
    if "number" in known:
        numeric = next(name for name, kind in kinds.items() if kind == "number")
        other = next(domain for domain in domains if kinds[domain.name] not in (None, "number"))
        row, cell = first_not_a_number(other.X[column])
        raise InputError(
            f"{other.name}: column {column!r}, row {row}: {cell!r} is not a number, but the column is numeric in "
            f"{numeric}; mend the cell, or read the column as text (--category {column})"
        )
    return "category"


def kind_of(values: pd.Series) -> Kind | None:
    """Tell what a column holds; None when it holds nothing.

    >>> import pandas as pd
    >>> [kind_of(pd.Series(v)) for v in ([1, 2], ["1", None], ["2024-05-01", None], ["a", "b"], [None])]
    ['number', 'number', 'date', 'category', None]
    """
    import pandas as pd

    known = values.dropna()
    if not len(known):
        return None
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "date"
    if pd.to_numeric(known, errors="coerce").notna().all():
        return "number"
    text = known.astype(str)
    if text.str.match(r"\d{4}-\d{2}-\d{2}").all() and _dates(text).notna().all():
        return "date"
    return "category"


def _dates(values: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True)


def first_not_a_number(values: pd.Series) -> tuple[int, str]:
    """Return row (from 1) and content of the first cell that is neither empty nor a number."""
    import pandas as pd

    bad = pd.to_numeric(values, errors="coerce").isna() & values.notna()
    row = int(np.flatnonzero(bad)[0]) if bad.any() else 0
    return row + 1, str(values.iloc[row])


@dataclass(frozen=True)
class Vectorizer:
    """Rows into a matrix of floats (n, d), as fitted.

    Numbers are imputed by the median, marked where they were missing, and standardised (the marks too);
    categories become 0/1 columns; a date becomes its day count, month and weekday. Arrays of numbers are imputed
    and standardised.

    Parameters
    ----------
    spec : "auto", "passthrough" or a scikit-learn transformer
        "passthrough" takes numeric arrays as they are; a transformer is cloned and fitted instead.
    kinds : dict of column name to kind, optional
        The columns of a table, as `align` found them; None for arrays.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"age": [40.0, 60.0, None], "town": ["Ulm", "Bonn", "Ulm"]})
    >>> fitted = Vectorizer(kinds={"age": "number", "town": "category"}).fit([rows])
    >>> fitted.transform(rows).round(1)
    array([[-1.2, -0.7,  0. ,  1. ],
           [ 1.2, -0.7,  1. ,  0. ],
           [ 0. ,  1.4,  0. ,  1. ]])
    """

    spec: Any = "auto"
    kinds: dict[str, Kind] | None = None
    numbers: Any = None
    categories: Any = None

    def fit(self, blocks: Sequence[Any]) -> Vectorizer:
        """Return a vectoriser fitted on these blocks of rows together."""
        from sklearn.base import clone

        if any(hasattr(block, "stack_rows") for block in blocks):
            return self
        if not isinstance(self.spec, str):
            rows = stack_rows(blocks) if len(blocks) > 1 else blocks[0]
            return replace(self, numbers=clone(self.spec).fit(rows))
        if self.spec not in ("auto", "passthrough"):
            raise InputError(f"vectorizer must be 'auto', 'passthrough' or a transformer, not {self.spec!r}")
        if self.spec == "passthrough" and self.kinds and set(self.kinds.values()) != {"number"}:
            raise InputError("vectorizer='passthrough' takes numbers only, and this table has other columns")
        if self.spec == "passthrough":
            return self
        numbers, categories = zip(*(self._split(block) for block in blocks), strict=True)
        return replace(self, numbers=_fit_numbers(numbers), categories=_fit_categories(categories))

    def transform(self, X: Any) -> Any:
        """Return the rows as floats of shape (n, d); float32 stays float32, sparse stays sparse."""
        if hasattr(X, "stack_rows"):
            # Examples of facts and nodes of a graph are not numbers and become none.
            return X
        if not isinstance(self.spec, str):
            return self.numbers.transform(X)
        numbers, categories = self._split(X)
        if self.spec == "passthrough":
            _require_no_gaps(numbers)
            return numbers
        blocks = []
        if self.numbers is not None:
            blocks.append(self.numbers.transform(numbers))
        if self.categories is not None:
            blocks.append(self.categories.transform(categories))
        return blocks[0] if len(blocks) == 1 else np.hstack(blocks)

    def _split(self, X: Any) -> tuple[Any, np.ndarray]:
        """Return the numbers (n, p), dates taken apart among them, and the categories (n, q) as text."""
        if self.kinds is None:
            return _as_floats(X), np.empty((X.shape[0], 0), dtype=object)
        columns: list[np.ndarray] = []
        texts: list[np.ndarray] = []
        for name, kind in self.kinds.items():
            if kind == "number":
                columns.append(_numbers(X[name], name))
            elif kind == "date":
                columns.extend(_date_parts(X[name]))
            else:
                texts.append(_texts(X[name]))
        n = len(X)
        return (
            np.column_stack(columns) if columns else np.empty((n, 0)),
            np.column_stack(texts) if texts else np.empty((n, 0), dtype=object),
        )

    def names(self) -> list[str] | None:
        """Return the name of each output column, where the columns have names."""
        if self.kinds is None or not isinstance(self.spec, str):
            return None
        plain: list[str] = []
        for name, kind in self.kinds.items():
            if kind == "number":
                plain.append(name)
            elif kind == "date":
                plain.extend(f"{name} ({part})" for part in DATE_PARTS)
        if self.numbers is not None:
            plain = list(self.numbers.get_feature_names_out(plain))
        if self.categories is not None:
            texts = [name for name, kind in self.kinds.items() if kind == "category"]
            plain += list(self.categories.get_feature_names_out(texts))
        return plain


def _require_no_gaps(numbers: Any) -> None:
    if isinstance(numbers, np.ndarray) and np.isnan(numbers).any():
        row, column = np.argwhere(np.isnan(numbers))[0]
        raise InputError(f"column {column}, row {row + 1}: NaN; vectorizer='auto' imputes what is missing")


def _fit_numbers(blocks: Sequence[Any]) -> Any:
    from scipy.sparse import issparse
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = stack_rows(blocks) if len(blocks) > 1 else blocks[0]
    if not rows.shape[1]:
        return None
    if issparse(rows):
        return make_pipeline(StandardScaler(with_mean=False)).fit(rows)
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler()).fit(rows)


def _fit_categories(blocks: Sequence[np.ndarray]) -> Any:
    from sklearn.preprocessing import OneHotEncoder

    rows = np.concatenate(blocks)
    if not rows.shape[1]:
        return None
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False)
    return encoder.fit(rows)


def _as_floats(X: Any) -> Any:
    from scipy.sparse import issparse

    if issparse(X):
        return X.tocsr() if X.dtype.kind == "f" else X.tocsr().astype(float)
    rows = np.asarray(X)
    if rows.dtype.kind == "O":
        try:
            rows = rows.astype(float)
        except (TypeError, ValueError) as error:
            raise InputError(f"arrays must hold numbers ({error}); give text columns as a DataFrame") from error
    if rows.dtype.kind not in "fiub":
        raise InputError("arrays must hold numbers; give text columns as a DataFrame")
    rows = rows if rows.dtype.kind == "f" else rows.astype(float)
    if np.isinf(rows).any():
        row, column = np.argwhere(np.isinf(rows))[0]
        raise InputError(f"column {column}, row {row + 1}: infinite; mend or remove the row")
    return rows


def _numbers(values: pd.Series, name: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if (np.isnan(numbers) & values.notna().to_numpy()).any():
        row, cell = first_not_a_number(values)
        raise InputError(f"column {name!r}, row {row}: {cell!r} is not a number, and the column is numeric")
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0]) + 1
        raise InputError(f"column {name!r}, row {row}: infinite; mend or remove the row")
    return numbers


def _texts(values: pd.Series) -> np.ndarray:
    known = values.notna().to_numpy()
    texts = values.astype(str).to_numpy(dtype=object)
    texts[~known] = MISSING_CATEGORY
    return texts


def _date_parts(values: pd.Series) -> list[np.ndarray]:
    days = _dates(values.astype(object).where(values.notna(), None))
    count = (days - _epoch()).dt.total_seconds() / 86400.0
    return [part.to_numpy(dtype=float) for part in (count, days.dt.month, days.dt.day_of_week)]


def _epoch() -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp("1970-01-01", tz="UTC")
