"""What headstart map reads: the numbers and labels of two files, and which rows are pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import InputError, listed, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from headstart.domain import Domain


@dataclass(frozen=True, eq=False)
class Rows:
    """One file, as it is mapped.

    Parameters
    ----------
    path : Path
    domain : Domain
        As it was read.
    columns : list of str
        The columns that are numbers.
    X : array of shape (n, d)
        What they hold; no gap is left.
    kept : DataFrame of n rows
        Columns that are no features and are written beside the mapped ones.
    notes : list of str
        What was left out or filled.
    """

    path: Path
    domain: Domain
    columns: list[str]
    X: np.ndarray
    kept: pd.DataFrame
    notes: list[str]

    def __len__(self) -> int:
        return len(self.X)


def read_rows(
    path: Path, label: str | None, categories: Sequence[str], pair: str | None, *, label_optional: bool
) -> Rows:
    """Read a file's numbers.

    Raises
    ------
    InputError
        When it can't be read, has no column of numbers, or an infinite one.
    """
    import pandas as pd

    from headstart.readers import read
    from headstart.readers.columns import kind_of

    domain = read(path, label=label, categories=categories, pair=pair, label_optional=label_optional)
    frame = domain.X
    if not isinstance(frame, pd.DataFrame):
        frame = pd.DataFrame(frame, columns=[f"x{j}" for j in range(1, frame.shape[1] + 1)])
    kinds = {name: kind_of(frame[name]) for name in frame.columns}
    columns = [name for name, kind in kinds.items() if kind == "number"]
    texts = [name for name, kind in kinds.items() if kind not in ("number", None)]
    if not columns:
        raise InputError(f"{path}: no column of numbers beside the label; a mapping needs one at least")
    notes = []
    if label is not None and domain.y is None:
        notes.append(f"{path}: no column {label!r}, so no label is known there")
    if texts:
        notes.append(f"{path}: left out, no numbers: {listed(texts)}")
    empty = [name for name, kind in kinds.items() if kind is None]
    if empty:
        notes.append(f"{path}: left out, empty: {listed(empty)}")
    X, filled = _numbers(frame[columns], path)
    if filled:
        notes.append(f"{path}: missing numbers are filled with the column's mean: {', '.join(filled)}")
    kept = frame[[name for name in categories if name in texts]].astype(object)
    if pair is not None and domain.pair is not None:
        kept.insert(0, pair, domain.pair)
    return Rows(path, domain, columns, X, kept, notes)


def _numbers(frame: pd.DataFrame, path: Path) -> tuple[np.ndarray, list[str]]:
    """Return the columns as floats, gaps filled with means, and which gaps there were."""
    import pandas as pd

    X = np.empty(frame.shape)
    filled = []
    for j, name in enumerate(frame.columns):
        values = pd.to_numeric(frame[name]).to_numpy(dtype=float, na_value=np.nan)
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0]) + 1
            raise InputError(f"{path}: column {name!r}, row {row}: infinite; mend or remove the row")
        gone = np.isnan(values)
        X[:, j] = np.where(gone, values[~gone].mean(), values)
        if gone.any():
            filled.append(f"{name!r} ({int(gone.sum())})")
    return X, filled


def find_pairs(source: Rows, target: Rows, pairs: Path | None, column: str | None) -> np.ndarray | None:
    """Return the positions of paired rows, shape (p, 2); None where none are named.

    Raises
    ------
    InputError
        When the file of pairs names rows that are not there, or one twice, or the column has no value in common.
    """
    if pairs is not None:
        return _in_file(source, target, pairs, column)
    if column is None:
        return None
    from headstart.domain import paired_rows

    names = source.domain.pair, target.domain.pair
    assert names[0] is not None and names[1] is not None  # noqa: PT018, S101  (the reader has found both)
    found = paired_rows(names[0], names[1], f"column {column!r}")
    if not len(found):
        raise InputError(f"no value of column {column!r} stands in both {source.path} and {target.path}; check it")
    return found


def _in_file(source: Rows, target: Rows, path: Path, column: str | None) -> np.ndarray:
    from headstart.readers.table import read_file

    table = read_file(path)
    if isinstance(table, dict):
        raise InputError(f"{path}: pairs are read from a table with columns 'source' and 'target', not from arrays")
    table = table.rename(columns=str)
    for name in ("source", "target"):
        if name not in table.columns:
            raise InputError(unknown_name("column", name, table.columns, str(path)))
    if not len(table):
        raise InputError(f"{path}: has no pairs; leave out --pairs where none are known")
    return np.stack(
        [_positions(table[end], side, path, column) for end, side in (("source", source), ("target", target))]
    ).T


def _positions(values: pd.Series, side: Rows, path: Path, column: str | None) -> np.ndarray:
    """Return the positions of the rows that one column of the file of pairs names."""
    named = None if column is None else _named(side)
    positions: list[int] = []
    first: dict[int, int] = {}
    for number, value in enumerate(values.tolist(), start=1):
        where = f"{path}: row {number}: {values.name}"
        if value is None or value != value:  # noqa: PLR0124  (NaN alone differs from itself)
            raise InputError(f"{where} is empty; name a row, or leave out the line")
        if named is None:
            place = _row_number(value, len(side), where)
        elif as_text(value) not in named:
            raise InputError(f"{where} {as_text(value)!r} is not in column {column!r} of {side.path}; mend the pair")
        else:
            places = named[as_text(value)]
            if len(places) > 1:
                raise InputError(
                    f"{where} {as_text(value)!r} stands twice in column {column!r} of {side.path}, rows "
                    f"{places[0] + 1} and {places[1] + 1}; each row needs a name of its own"
                )
            place = places[0]
        if place in first:
            raise InputError(f"{where} {as_text(value)!r} has a partner already, in row {first[place]}; give it one")
        first[place] = number
        positions.append(place)
    return np.array(positions)


def _row_number(value: Any, n: int, where: str) -> int:
    text = as_text(value)
    if not text.isdecimal() or not 1 <= int(text) <= n:
        raise InputError(
            f"{where} {text!r} is no row number from 1 to {n}; name rows by number, or by a column with --pair"
        )
    return int(text) - 1


def _named(side: Rows) -> dict[str, list[int]]:
    """Return the positions of each name in the pair column."""
    from headstart.domain import missing

    places: dict[str, list[int]] = {}
    if side.domain.pair is not None:
        for place in np.flatnonzero(~missing(side.domain.pair)).tolist():
            places.setdefault(as_text(side.domain.pair[place]), []).append(place)
    return places


def as_text(value: Any) -> str:
    """Write a cell as text: 3.0 (a whole number in a column with a gap, say) is 3.

    >>> as_text(3.0), as_text(np.int64(3)), as_text("s3")
    ('3', '3', 's3')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
