"""Tables into domains: CSV, TSV, Parquet, .npz, DataFrame."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.domain import Domain, Task
from headstart.errors import InputError, listed, unknown_name

if TYPE_CHECKING:
    import pandas as pd

#: Cells that mean "not known", beside the empty cell, NA, NaN, null and their kin.
MISSING_MARKS = ("?",)
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".npz")


def read(
    what: str | Path | pd.DataFrame,
    *,
    label: str | None = None,
    domain_column: str | None = None,
    domain: str | None = None,
    name: str | None = None,
    task: Task | None = None,
    categories: Sequence[str] = (),
    pair: str | None = None,
    label_optional: bool = False,
) -> Domain:
    """Read one domain from a file or a DataFrame.

    Parameters
    ----------
    what : path or DataFrame
        A CSV, TSV or Parquet file, an .npz file with arrays `X` and (optionally) `y`, or a DataFrame.
    label : str, optional
        The column to predict. Empty cells are labels that are not known. Without it no label is known.
    domain_column, domain : str, optional
        Take only the rows whose `domain_column` says `domain`; the column itself is left out.
    name : str, optional
        What to call the domain; by default `domain`, or the file's name.
    task : "classification" or "regression", optional
        What the labels are; read off them when not given.
    categories : sequence of str
        Columns to read as text although they look like numbers.
    pair : str, optional
        The column that names what was measured in each row, for methods that learn from pairs: rows of two domains
        with the same value are a pair. Empty cells are rows without a partner. The column itself is left out.
    label_optional : bool
        Take a label column that is not there to mean that no label is known. A column whose name differs in
        letters' case or spaces only is still an error.

    Returns
    -------
    Domain

    Raises
    ------
    InputError
        When the file can't be read, or a column or domain is not there.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"age": [63, 41, 58], "site": ["a", "b", "a"], "ill": [1, 0, None]})
    >>> read(rows, label="ill", domain_column="site", domain="a")
    Domain('a', 2 rows x 1 columns, 1 labelled, classification)
    """
    if domain_column is None:
        frame, where = _frame(what, categories)
        if label_optional and not isinstance(frame, dict) and _is_absent(label, frame):
            label = None
        return _domain(frame, label, name or _stem(what), task, where, pair)
    domains = read_domains(what, label=label, domain_column=domain_column, task=task, categories=categories, pair=pair)
    if domain is None:
        raise InputError(f"domain_column={domain_column!r} needs domain=...; there is {listed(domains)}")
    if str(domain) not in domains:
        raise InputError(unknown_name(f"domain (in column {domain_column!r})", domain, domains, _stem(what)))
    found = domains[str(domain)]
    return found if name is None else replace(found, name=name)


def read_domains(
    what: str | Path | pd.DataFrame,
    *,
    label: str | None,
    domain_column: str,
    task: Task | None = None,
    categories: Sequence[str] = (),
    pair: str | None = None,
) -> dict[str, Domain]:
    """Read every domain of one file, by the names in its `domain_column`.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"age": [63, 41, 58], "site": ["a", "b", "a"], "ill": [1, 0, None]})
    >>> sorted(read_domains(rows, label="ill", domain_column="site"))
    ['a', 'b']
    """
    frame, where = _frame(what, categories)
    if isinstance(frame, dict):
        raise InputError(f"{where}: domain columns are for tables; give one .npz file a domain")
    _require_column(frame, domain_column, where, "domain column")
    if domain_column == label:
        raise InputError(f"{where}: {label!r} is named both as label and as domain column")
    of_row = frame[domain_column].astype(object)
    if of_row.isna().any():
        row = int(np.flatnonzero(of_row.isna())[0]) + 1
        raise InputError(f"{where}: row {row}: the domain column {domain_column!r} is empty; name the row's domain")
    names = of_row.map(_text)
    rest = frame.drop(columns=domain_column)
    return {
        name: _domain(rest[(names == name).to_numpy()].reset_index(drop=True), label, name, task, where, pair)
        for name in dict.fromkeys(names)
    }


def _is_absent(label: str | None, frame: pd.DataFrame) -> bool:
    return label is not None and label.casefold().strip() not in {name.casefold().strip() for name in frame.columns}


def _text(value: object) -> str:
    """Write a cell as text: 3.0 (a whole number in a column with a gap, say) is 3."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _stem(what: object) -> str:
    return Path(what).stem if isinstance(what, str | Path) else "table"


def _domain(frame: Any, label: str | None, name: str, task: Task | None, where: str, pair: str | None) -> Domain:
    if isinstance(frame, dict):
        if label is not None and label not in frame and label != "y":
            raise InputError(unknown_name("array", label, frame, where))
        if pair is not None and pair not in frame:
            raise InputError(unknown_name("array", pair, frame, where))
        return Domain(frame["X"], frame.get(label or "y"), name=name, task=task, pair=frame.get(pair or ""))
    pairs = None
    if pair is not None:
        _require_column(frame, pair, where, "pair column")
        if pair == label:
            raise InputError(f"{where}: {label!r} is named both as label and as pair column")
        frame, pairs = frame.drop(columns=pair), frame[pair]
    if label is None:
        return Domain(frame, name=name, task=task, pair=pairs)
    _require_column(frame, label, where, "label column")
    return Domain(frame.drop(columns=label), frame[label], name=name, task=task, label=label, pair=pairs)


def _require_column(frame: pd.DataFrame, column: str, where: str, kind: str) -> None:
    if column not in frame.columns:
        raise InputError(unknown_name(kind, column, frame.columns, where))


def _frame(what: str | Path | pd.DataFrame, categories: Sequence[str]) -> tuple[Any, str]:
    """Return the table (a DataFrame, or the arrays of an .npz file) and what to call it in messages."""
    import pandas as pd

    if isinstance(what, pd.DataFrame):
        frame, where = what, "table"
    else:
        where = str(what)
        frame = read_file(Path(what))
    if isinstance(frame, dict):
        return frame, where
    frame = frame.rename(columns=str)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InputError(f"{where}: column {twice[0]!r} is there twice; rename one")
    if not len(frame):
        raise InputError(f"{where}: has columns but no rows")
    as_text = {name: frame[name].map(_text, na_action="ignore") for name in categories if name in frame.columns}
    frame = frame.assign(**{name: values.astype("category") for name, values in as_text.items()})
    return frame, where


def read_file(path: Path) -> Any:
    """Read a file into a DataFrame, or an .npz file into its arrays.

    Raises
    ------
    InputError
        When it does not exist, is a folder, is empty, is not text, or can't be parsed.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it")
    if not path.is_file():
        raise InputError(_no_such_file(path))
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _read_npz(path)
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: can't tell what a {suffix or 'file without ending'} is; known: {listed(SUFFIXES)}")
    return _read_text(path)


def _no_such_file(path: Path) -> str:
    beside = [item.name for item in path.parent.iterdir() if item.suffix in SUFFIXES] if path.parent.is_dir() else []
    close = unknown_name("file", path.name, beside) if beside else ""
    hint = close.split("; ", 1)[1] if "did you mean" in close else "check the path"
    return f"{path}: no such file; {hint}"


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    from zipfile import BadZipFile

    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, BadZipFile) as error:
        raise InputError(f"{path}: is not an .npz file of plain arrays ({error})") from error
    if "X" not in arrays:
        raise InputError(unknown_name("array", "X", arrays, str(path)))
    return arrays


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: is not a Parquet file ({str(error).splitlines()[0]})") from error


def _read_text(path: Path) -> pd.DataFrame:
    import pandas as pd

    header = _header(path)
    separator = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
    names = next(csv.reader([header], delimiter=separator), [])
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} is there twice; rename one")
    try:
        return pd.read_csv(
            path,
            sep=separator,
            na_values=list(MISSING_MARKS),
            encoding="utf-8-sig",
            low_memory=False,
            index_col=False,
        )
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: can't be read as a table ({str(error).strip().splitlines()[-1]})") from error


def _header(path: Path) -> str:
    """Return the first line that is not blank, refusing what is not text."""
    with path.open("rb") as file:
        head = file.read(1 << 20)
    if b"\0" in head:
        raise InputError(f"{path}: is not text; give a CSV, TSV, Parquet or .npz file")
    try:
        text = head.decode("utf-8-sig", errors="strict" if len(head) < 1 << 20 else "ignore")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    for line in text.splitlines():
        if line.strip():
            return line
    raise InputError(f"{path}: is empty")
