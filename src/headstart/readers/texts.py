"""Columns of text into the rows of a domain, and files of JSON lines into tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def texts_of(values: Iterable[object], where: str) -> np.ndarray:
    """Return a column of texts, shape (n,), of objects: arrays of text take the longest one's room for each.

    Raises
    ------
    InputError
        With the row: when a cell is empty or no text.

    Examples
    --------
    >>> texts_of(["good", "bad"], "reviews.csv")
    array(['good', 'bad'], dtype=object)
    >>> texts_of(["good", " "], "reviews.csv")
    Traceback (most recent call last):
        ...
    headstart.errors.InputError: reviews.csv: row 2: the text is empty; leave the row out, or write what is known
    """
    import pandas as pd

    texts = np.array(list(values), dtype=object)
    for row, text in enumerate(texts, start=1):
        if pd.isna(text) or (isinstance(text, str) and not text.strip()):
            raise InputError(f"{where}: row {row}: the text is empty; leave the row out, or write what is known")
        if not isinstance(text, str):
            raise InputError(f"{where}: row {row}: {text!r} is no text; name the column that holds the texts")
    return texts


def read_json_lines(path: Path) -> pd.DataFrame:
    """Read a file with one JSON object a line; what is nested in an object stays JSON.

    Raises
    ------
    InputError
        With the line that is no object, or not UTF-8.
    """
    import pandas as pd

    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    rows = [_object(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise InputError(f"{path}: is empty")
    return pd.DataFrame.from_records(rows)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: is not JSON ({error}); write one object a line") from error
    if not isinstance(found, dict):
        raise InputError(f"{where}: is no object; write {{...}} with a name for each value")
    return {key: json.dumps(cell) if isinstance(cell, dict | list) else cell for key, cell in found.items()}
