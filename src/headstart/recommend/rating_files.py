"""Files of ratings: CSV, TSV, JSON lines and Parquet into domains of ratings."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError, listed, unknown_name
from headstart.readers.table import read_file
from headstart.recommend.ratings import ratings_domain, ratings_of

#: What each column is called where nothing else is said.
DEFAULTS = {"user": "user", "item": "item", "domain": "domain", "rating": "rating", "time": "timestamp"}
#: What it is often called elsewhere: in small letters, without what parts words, and without the type that RecBole
#: writes behind a name.
SYNONYMS = {
    "user": ("user", "userid", "uid", "usernumber", "customer", "customerid", "reviewer", "reviewerid", "member",
             "memberid", "visitor", "visitorid", "account", "accountid", "person", "personid", "client", "clientid"),
    "item": ("item", "itemid", "iid", "itemnumber", "product", "productid", "parentasin", "asin", "sku", "movie",
             "movieid", "film", "filmid", "book", "bookid", "isbn", "track", "trackid", "song", "songid", "artist",
             "artistid", "article", "articleid", "news", "newsid", "video", "videoid", "game", "gameid"),
    "domain": ("domain", "domainid", "domainname"),
    "rating": ("rating", "ratings", "score", "stars", "overall", "bookrating", "userrating"),
    "time": ("timestamp", "time", "ts", "date", "datetime", "unixreviewtime", "createdat", "when"),
}  # fmt: skip
#: Files in which a number may begin with a zero, and what that looks like in bytes.
TEXTS, PADDED = (".csv", ".tsv", ".txt"), re.compile(rb"(?m)(?:^|[,;\t\"])0\d")


def read_ratings(
    path: str | Path | Sequence[str | Path],
    *,
    user: str | None = None,
    item: str | None = None,
    domain: str | None = None,
    rating: str | None = None,
    time: str | None = None,
    scale: tuple[float, float] | None = None,
    events: bool = False,
    shared: str = "users",
    held_out: str = "rows",
    name: str | None = None,
) -> dict[str, Domain]:
    r"""Read domains of ratings from a file, or from several.

    A file with a domain column holds a domain for each name in it; one without is a domain, called after the file.

    Parameters
    ----------
    path : path, or sequence of paths
        CSV, TSV, JSON lines or Parquet. A row is a user and an item, and perhaps a rating and a time.
    user, item, domain, rating, time : str, optional
        Columns. By default "user", "item", "domain", "rating" and "timestamp"; where one of these is not there, a
        column of a usual other name is taken (`user_id`, `movieId`, `item_id:token`) if just one fits, and that is
        said. Without ratings, what happened is all there is to learn from.
    scale : (low, high), optional
        Ratings outside are refused.
    events : bool
        Leave the ratings out: that something was rated tells that it happened.
    shared, held_out : str
        As in `Ratings`.
    name : str, optional
        Of the domain of a file without a domain column.

    Raises
    ------
    InputError
        With the file: when a column is not there or two could be meant, an id is missing or written in two ways, a
        rating is not on the scale, a domain is empty or in two files, or ids that should be shared are numbers in one
        domain and text in another.

    Warns
    -----
    UserWarning
        When a column was recognised by another name, and when a user's rows on one item are joined.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "films.csv").write_text("user,item,rating\nann,up,5\nbob,up,4\n")
    ...     read_ratings(Path(folder) / "films.csv", scale=(1, 5))
    {'films': Domain('films', 2 ratings, 2 labelled, regression)}
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(each) for each in path]
    if not paths:
        raise InputError("no file of ratings is named; give one at least")
    asked = {"user": user, "item": item, "domain": domain, "rating": rating, "time": time}
    found: dict[str, Domain] = {}
    source: dict[str, Path] = {}
    for each in paths:
        frame = read_file(each)
        if isinstance(frame, dict):
            raise InputError(f"{each}: holds arrays; give ratings as a CSV, TSV, JSON lines or Parquet file")
        for domain_ in domains_in(frame, asked, each, scale, events, shared, held_out, name):
            if domain_.name in found:
                there = source[domain_.name]
                raise InputError(
                    f"{each}: domain {domain_.name!r} is in {there} too; give it another name, or one file"
                )
            found[domain_.name], source[domain_.name] = domain_, each
    _require_one_kind(found, source, shared)
    return found


def domains_in(
    frame: Any,
    asked: dict[str, str | None],
    where: Path,
    scale: tuple[float, float] | None,
    events: bool,
    shared: str,
    held_out: str,
    name: str | None,
) -> list[Domain]:
    """Return the domains in one table; see `read_ratings`."""
    frame = frame.rename(columns=str)
    columns = {what: find_column(what, given, frame.columns, where) for what, given in asked.items()}
    if events:
        columns["rating"] = None
    if not len(frame):
        raise InputError(f"{where}: has columns but no rows")
    guessed = {w: c for w, c in columns.items() if c is not None and c not in (asked[w], DEFAULTS[w])}
    if guessed:
        told = ", ".join(f"{column!r} for the {what}" for what, column in guessed.items())
        _warn(f"{where}: takes {told}; name other columns with {', '.join(map(_option, guessed))}")
    # Both are needed, and so they are there.
    user, item = str(columns["user"]), str(columns["item"])
    for what, column in (("user", user), ("item", item)):
        frame = frame.assign(**{column: written_ids(frame[column], column, what, where)})
    if columns["rating"] is not None and scale is not None:
        _require_on_scale(frame[columns["rating"]], scale, where)
    time = columns["time"]
    if time is not None:
        frame = frame.assign(**{time: _times(frame[time], f"{where}: column {time!r}")})
    parts = {name or where.stem: frame}
    if columns["domain"] is not None:
        of_row = frame[columns["domain"]]
        if of_row.isna().any():
            at = int(np.flatnonzero(of_row.isna())[0]) + 1
            raise InputError(f"{where}: row {at}: the domain is missing")
        named = of_row.astype(str).to_numpy()
        parts = {each: frame[named == each] for each in dict.fromkeys(named.tolist())}
    found = []
    for called, rows in parts.items():
        try:
            domain = ratings_domain(
                rows,
                user=user,
                item=item,
                rating=columns["rating"],
                time=time,
                scale=scale,
                shared=shared,
                held_out=held_out,
                name=called,
            )
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        joined = len(rows) - len(domain)
        if joined:
            kept = "the last" if time is None else "the latest"
            _warn(f"{where}: {called}: {joined:,} of {len(rows):,} rows repeat a user and an item; {kept} counts")
        found.append(domain)
    return found


def find_column(
    what: str, given: str | None, columns: Sequence[str], where: Any, needed: bool | None = None
) -> str | None:
    """Return the column of users, items, domains, ratings or times; None where none is there and none is needed.

    Users and items are needed where nothing else is said.

    Raises
    ------
    InputError
        When the one that was named, or one that must be, is not there, or two could be meant.

    Examples
    --------
    >>> find_column("item", None, ["userId", "movieId"], "films.csv")
    'movieId'
    """
    option = f"{what}=... ({_option(what)})"
    if given is not None:
        if given not in columns:
            raise InputError(unknown_name(f"{what} column", given, columns, str(where)))
        return given
    if DEFAULTS[what] in columns:
        return DEFAULTS[what]
    fits = [column for column in columns if _plain(column) in SYNONYMS[what]]
    if len(fits) > 1:
        raise InputError(f"{where}: {listed(fits)} could all be the {what} column; name it with {option}")
    if fits:
        return fits[0]
    if what in ("user", "item") if needed is None else needed:
        raise InputError(f"{where}: no {what} column; there is {listed(columns)}; name it with {option}")
    return None


def _option(what: str) -> str:
    return "--domain-column" if what == "domain" else f"--{what}"


def _plain(column: str) -> str:
    return re.sub(r"[^a-z]", "", re.sub(r":(token|float|token_seq|float_seq)$", "", column).casefold())


def written_ids(ids: Any, column: str, what: str, where: Path) -> Any:
    """Return ids as they are written: 007 is not 7.

    Raises
    ------
    InputError
        When one is missing, or of 7 and "7" both are there, which would become one.
    """
    if ids.isna().any():
        raise InputError(f"{where}: row {int(np.flatnonzero(ids.isna())[0]) + 1}: the {what} id is missing")
    if ids.dtype.kind in "iu" and where.suffix.lower() in TEXTS and PADDED.search(where.read_bytes()):
        written = read_file(where, as_text=column)[column].str.strip()
        padded = written.str.match(r"0\d")
        return written if padded.any() else ids
    if ids.dtype.kind != "O":
        return ids
    distinct = ids.unique().tolist()
    text = {each for each in distinct if isinstance(each, str)}
    both = next((each for each in distinct if not isinstance(each, str) and str(each) in text), None)
    if both is not None:
        raise InputError(f"{where}: {what} ids hold {both} as a number and as text; write them one way")
    return ids


def _require_on_scale(ratings: Any, scale: tuple[float, float], where: Any) -> None:
    """Refuse ratings off the scale, by the row of the file; what is no number is refused later."""
    import pandas as pd

    given = pd.to_numeric(ratings, errors="coerce")
    off = np.flatnonzero((given < scale[0]) | (given > scale[1]))
    if len(off):
        raise InputError(
            f"{where}: row {off[0] + 1}: the rating {given.iloc[off[0]]:g} is not on the scale of {scale[0]:g} to "
            f"{scale[1]:g}"
        )


def _require_one_kind(found: dict[str, Domain], source: dict[str, Path], shared: str) -> None:
    """Refuse ids that should mean the same in all domains and are numbers in one and text in another."""
    for what, kinds in (("user", ("users", "both")), ("item", ("items", "both"))):
        if shared not in kinds:
            continue
        ids = {name: getattr(ratings_of(domain, "read_ratings"), f"{what}s") for name, domain in found.items()}
        numbers = [name for name, each in ids.items() if each.dtype.kind in "iu"]
        texts = [name for name in ids if name not in numbers]
        if numbers and texts:
            one, other = texts[0], numbers[0]
            raise InputError(
                f"{source[one]}: {what} ids of {one} are text (such as {str(ids[one][0])!r}) and those of {other} are "
                f"numbers (such as {ids[other][0]}); write them one way in all domains"
            )


def _times(column: Any, where: str) -> Any:
    """Return dates that are written as text as dates; numbers as they are."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column
    dates = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
    if dates.isna().any():
        at = int(np.flatnonzero(dates.isna())[0])
        raise InputError(f"{where}: row {at + 1}: {column.iloc[at]!r} is neither a number nor a date like 2024-01-31")
    return dates.dt.tz_localize(None)


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)
