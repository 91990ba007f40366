"""Tables into domains: CSV, TSV, JSON lines, Parquet, .npz, DataFrame; and folders, by the reader of pictures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from headstart.domain import Domain, Task
from headstart.errors import InputError, listed, unknown_name
from headstart.readers.pictures import is_picture, picture_paths, read_folder, read_folders, read_pictures
from headstart.readers.texts import read_json_lines, texts_of

if TYPE_CHECKING:
    import pandas as pd

#: Cells that mean "not known", beside the empty cell, NA, NaN, null and their kin.
MISSING_MARKS = ("?",)
SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".parquet", ".npz")


@dataclass(frozen=True)
class Item:
    """The one column that the rows are made of, where they are no table: paths of pictures, or texts."""

    column: str
    modality: Literal["image", "text"]


def read(
    what: str | Path | pd.DataFrame | list[str] | list[Path],
    *,
    label: str | None = None,
    domain_column: str | None = None,
    domain: str | None = None,
    name: str | None = None,
    task: Task | None = None,
    categories: Sequence[str] = (),
    pair: str | None = None,
    label_optional: bool = False,
    picture: str | None = None,
    text: str | None = None,
) -> Domain:
    """Read one domain from a file, a folder of pictures or a DataFrame.

    Parameters
    ----------
    what : path, DataFrame or list of paths
        A CSV, TSV, JSON lines (.jsonl) or Parquet file, an .npz file with arrays `X` and (optionally) `y`, or a
        DataFrame. Or a folder of pictures with a folder for each class (pictures beside these, or all of them, have no
        label), or of such folders, one a `domain`. Or pictures: one path, or a list of them.
    label : str, optional
        The column to predict. Empty cells are labels that are not known. Without it no label is known.
    domain_column, domain : str, optional
        Take only the rows whose `domain_column` says `domain`; the column itself is left out. In a folder, `domain`
        is the folder to take.
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
    picture : str, optional
        The column of paths of pictures. Paths are relative to the file and must not leave its folder; those of a
        DataFrame are taken as they stand. Other columns than those named here are left out.
    text : str, optional
        The column of texts. Other columns than those named here are left out.

    Returns
    -------
    Domain
        Of pictures and texts, `X` is one column: of paths, or of texts.

    Raises
    ------
    InputError
        When the file can't be read, or a column or domain is not there; a text is empty, or a picture's file is
        missing, empty or by its ending none. A picture that is broken inside is found when it is opened.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"age": [63, 41, 58], "site": ["a", "b", "a"], "ill": [1, 0, None]})
    >>> read(rows, label="ill", domain_column="site", domain="a")
    Domain('a', 2 rows x 1 columns, 1 labelled, classification)
    """
    if isinstance(what, list):
        return replace(read_pictures(what), name=name or "pictures")
    if isinstance(what, str | Path) and (Path(what).is_dir() or is_picture(Path(what))):
        _require_plain(what, label, domain_column, pair, picture, text)
        if is_picture(Path(what)) and not Path(what).is_dir():
            return replace(read_pictures([what]), name=name or _stem(what))
        return read_folder(Path(what), domain=domain, name=name, task=task)
    item = _item(picture, text)
    if domain_column is None:
        frame, where = _frame(what, categories, item)
        if label_optional and not isinstance(frame, dict) and _is_absent(label, frame):
            label = None
        return _domain(frame, label, name or _stem(what), task, where, pair, item)
    domains = read_domains(
        what,
        label=label,
        domain_column=domain_column,
        task=task,
        categories=categories,
        pair=pair,
        picture=picture,
        text=text,
    )
    if domain is None:
        raise InputError(f"domain_column={domain_column!r} needs domain=...; there is {listed(domains)}")
    if str(domain) not in domains:
        raise InputError(unknown_name(f"domain (in column {domain_column!r})", domain, domains, _stem(what)))
    found = domains[str(domain)]
    return found if name is None else replace(found, name=name)


def read_domains(
    what: str | Path | pd.DataFrame,
    *,
    label: str | None = None,
    domain_column: str | None = None,
    task: Task | None = None,
    categories: Sequence[str] = (),
    pair: str | None = None,
    picture: str | None = None,
    text: str | None = None,
) -> dict[str, Domain]:
    """Read every domain of one file, by the names in its `domain_column`; or of one folder, by its folders' names.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"age": [63, 41, 58], "site": ["a", "b", "a"], "ill": [1, 0, None]})
    >>> sorted(read_domains(rows, label="ill", domain_column="site"))
    ['a', 'b']
    """
    if isinstance(what, str | Path) and Path(what).is_dir():
        _require_plain(what, label, domain_column, pair, picture, text)
        return read_folders(Path(what), task=task)
    if domain_column is None:
        raise InputError(f"{_stem(what)}: name the column that says each row's domain with domain_column=...")
    item = _item(picture, text)
    frame, where = _frame(what, categories, item)
    if isinstance(frame, dict):
        raise InputError(f"{where}: domain columns are for tables; give one .npz file a domain")
    _require_column(frame, domain_column, where, "domain column")
    if domain_column == label:
        raise InputError(f"{where}: {label!r} is named both as label and as domain column")
    if item is not None and domain_column == item.column:
        raise InputError(f"{where}: {domain_column!r} is named both as domain column and as what a row is")
    of_row = frame[domain_column].astype(object)
    if of_row.isna().any():
        row = int(np.flatnonzero(of_row.isna())[0]) + 1
        raise InputError(f"{where}: row {row}: the domain column {domain_column!r} is empty; name the row's domain")
    names = of_row.map(_text)
    rest = frame.drop(columns=domain_column)
    return {
        name: _domain(rest[(names == name).to_numpy()].reset_index(drop=True), label, name, task, where, pair, item)
        for name in dict.fromkeys(names)
    }


def _item(picture: str | None, text: str | None) -> Item | None:
    if picture is not None and text is not None:
        raise InputError("rows are pictures or texts, not both; name picture=... (--picture) or text=... (--text)")
    if picture is not None:
        return Item(picture, "image")
    return None if text is None else Item(text, "text")


def _require_plain(
    what: str | Path,
    label: str | None,
    domain_column: str | None,
    pair: str | None,
    picture: str | None,
    text: str | None,
) -> None:
    """Refuse names of columns where there are none."""
    named = [label, domain_column, pair, picture, text]
    column = next((name for name in named if name is not None), None)
    if column is not None:
        raise InputError(
            f"{what}: has no column {column!r}: it is no table; pictures are labelled by the names of their folders"
        )


def _is_absent(label: str | None, frame: pd.DataFrame) -> bool:
    return label is not None and label.casefold().strip() not in {name.casefold().strip() for name in frame.columns}


def _text(value: object) -> str:
    """Write a cell as text: 3.0 (a whole number in a column with a gap, say) is 3."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _stem(what: object) -> str:
    return Path(what).stem if isinstance(what, str | Path) else "table"


def _domain(
    frame: Any, label: str | None, name: str, task: Task | None, where: str, pair: str | None, item: Item | None
) -> Domain:
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
    labels = None
    if label is not None:
        _require_column(frame, label, where, "label column")
        frame, labels = frame.drop(columns=label), frame[label]
    if item is None:
        return Domain(frame, labels, name=name, task=task, label=label, pair=pairs)
    if item.column in (label, pair):
        raise InputError(f"{where}: {item.column!r} is named both as what a row is and as its label or pair")
    rows = frame[[item.column]].to_numpy(dtype=object)
    return Domain(rows, labels, name=name, modality=item.modality, task=task, label=label, pair=pairs)


def _require_column(frame: pd.DataFrame, column: str, where: str, kind: str) -> None:
    if column not in frame.columns:
        raise InputError(unknown_name(kind, column, frame.columns, where))


def _frame(what: Any, categories: Sequence[str], item: Item | None = None) -> tuple[Any, str]:
    """Return the table (a DataFrame, or the arrays of an .npz file) and what to call it in messages.

    Paths of pictures, and texts, are looked at here, where rows still have the numbers that they have in the file.
    """
    import pandas as pd

    if isinstance(what, pd.DataFrame):
        frame, where = what, "table"
    else:
        where = str(what)
        frame = read_file(Path(what), None if item is None else item.column)
    if isinstance(frame, dict):
        if item is not None:
            raise InputError(f"{where}: holds arrays and no column {item.column!r}; give a table")
        return frame, where
    frame = frame.rename(columns=str)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InputError(f"{where}: column {twice[0]!r} is there twice; rename one")
    if not len(frame):
        raise InputError(f"{where}: has columns but no rows")
    as_text = {name: frame[name].map(_text, na_action="ignore") for name in categories if name in frame.columns}
    frame = frame.assign(**{name: values.astype("category") for name, values in as_text.items()})
    if item is not None:
        _require_column(frame, item.column, where, "column")
        values = frame[item.column].astype(object)
        folder = None if isinstance(what, pd.DataFrame) else Path(what).parent
        looked = picture_paths(values, where, folder) if item.modality == "image" else texts_of(values, where)
        frame = frame.assign(**{item.column: looked})
    return frame, where


def read_file(path: Path, as_text: str | None = None) -> Any:
    """Read a file into a DataFrame, or an .npz file into its arrays; a text file's column `as_text` as it is written.

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
    if suffix == ".jsonl":
        return read_json_lines(path)
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: can't tell what a {suffix or 'file without ending'} is; known: {listed(SUFFIXES)}")
    return _read_text(path, as_text)


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


def _read_text(path: Path, as_text: str | None) -> pd.DataFrame:
    import pandas as pd

    header = _header(path)
    separator = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
    names = next(csv.reader([header], delimiter=separator), [])
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} is there twice; rename one")
    try:
        layout: dict[str, Any] = {"sep": separator, "encoding": "utf-8-sig", "low_memory": False, "index_col": False}
        table = pd.read_csv(path, na_values=list(MISSING_MARKS), **layout)
        if as_text in names:
            # Here "NA" and "?" are texts, and 007 stays 007; pandas can't leave out one column when it looks for gaps.
            table[as_text] = pd.read_csv(path, usecols=[as_text], dtype=str, na_filter=False, **layout)[as_text]
        return table
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
