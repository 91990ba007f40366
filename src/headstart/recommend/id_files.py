"""Files that say for whom to recommend, and among what: ids, and histories of people who are new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, listed
from headstart.readers.table import read_file
from headstart.recommend.rating_files import DEFAULTS, find_column, written_ids
from headstart.recommend.recommender import Guest, Recommender

#: What somebody new is called who has no name.
NOBODY = "guest"


def read_ids(path: Path, what: str) -> list[str]:
    r"""Read ids of users or items: one a line, or the column of a table.

    A text file of one column may go without a header; a first line that is what ids are called ("user", "user_id") is
    one.

    Raises
    ------
    InputError
        When there is none, or several columns and none fits.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "who.txt").write_text("ann\n007\n")
    ...     read_ids(Path(folder) / "who.txt", "user")
    ['ann', '007']
    """
    path = Path(path)
    frame: Any = read_file(path)
    if isinstance(frame, dict):
        raise InputError(f"{path}: holds arrays; give {what}s one a line")
    frame = frame.rename(columns=str)
    if path.suffix.lower() in (".csv", ".tsv", ".txt") and frame.shape[1] == 1:
        lines = [line.strip().strip('"') for line in path.read_text(encoding="utf-8-sig").splitlines()]
        ids = [line for line in lines if line]
        if find_column(what, None, [ids[0]], path, needed=False) is not None:
            ids = ids[1:]
    else:
        column = find_column(what, None, frame.columns, path)
        ids = [str(each) for each in frame[column].dropna().tolist()]
    if not ids:
        raise InputError(f"{path}: holds no {what}")
    return list(dict.fromkeys(ids))


def read_guests(path: Path, recommender: Recommender) -> dict[str, Guest]:
    """Read what people who are new did: a table of item, and of domain, rating and user where there are several.

    Raises
    ------
    InputError
        When a domain is not one of the recommender's, or somebody did nothing that it knows.
    """
    frame: Any = read_file(Path(path))
    if isinstance(frame, dict):
        raise InputError(f"{path}: holds arrays; give a table of item and domain")
    path, frame = Path(path), frame.rename(columns=str)
    known = recommender.histories.domains
    item = str(find_column("item", None, frame.columns, path))
    domain, rating, user = (
        find_column(what, None, frame.columns, path, needed=False) for what in ("domain", "rating", "user")
    )
    for column in (domain, rating, user):
        if column is not None and frame[column].isna().any():
            row = int(np.flatnonzero(frame[column].isna())[0]) + 1
            raise InputError(f"{path}: row {row}: the {column} is missing")
    if domain is None and path.stem not in known and len(known) > 1:
        raise InputError(
            f"{path}: no domain column, which must say {listed(known)}; add one, or call the file after one"
        )
    if recommender.histories.explicit and rating is None:
        raise InputError(
            f"{path}: no rating column, and the recommender learned from ratings; add {DEFAULTS['rating']}"
        )
    stated = path.stem if path.stem in known else known[-1]
    items = written_ids(frame[item], item, "item", path).tolist()
    domains = [stated] * len(frame) if domain is None else frame[domain].astype(str).tolist()
    people = np.full(len(frame), NOBODY) if user is None else frame[user].astype(str).to_numpy()
    ratings = [1.0] * len(frame) if rating is None else frame[rating].tolist()
    events = list(zip(domains, items, ratings, strict=True))
    guests = {}
    for name in dict.fromkeys(people.tolist()):
        try:
            guests[name] = recommender.fold_in([events[at] for at in np.flatnonzero(people == name)])
        except InputError as error:
            raise InputError(f"{path}: {name}: {error}") from error
    return guests
