"""Ratings: who rated, bought or opened what, in which domain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError

#: Which ids mean the same in every domain: 7 may be one person in two shops and another thing in each.
SHARED = ("users", "items", "both", "none")
#: What is held out together when a recommender is judged: single ratings, or all of a user's.
HELD_OUT = ("rows", "users")


@dataclass(frozen=True, eq=False)
class Ratings:
    """Rows of a domain of ratings: a user and an item each. What the user thought of it is the row's label.

    It behaves as a matrix of shape (n, 2) does where rows are taken.

    Parameters
    ----------
    users, items : array of shape (n,)
        Ids as they were given: whole numbers or text.
    domains : array of str of shape (n,)
        The domain of each row.
    times : array of float of shape (n,), optional
        When it was, in any unit that grows.
    shared : {"users", "items", "both", "none"}
        Which ids mean the same in every domain. Without shared users, or shared items, no person, or thing, is known
        to stand in two domains.
    held_out : {"rows", "users"}
        What cross-validation leaves out together: single rows, or all rows of a user, who then starts cold.

    Examples
    --------
    >>> rows = Ratings.of(["ann", "bob", "ann"], [7, 7, 9], domain="video")
    >>> rows
    Ratings(3 of 2 users and 2 items of video)
    >>> rows[rows.users == "ann"].items.tolist()
    [7, 9]
    """

    #: What a domain of such rows is.
    modality: ClassVar[str] = "ratings"

    users: np.ndarray
    items: np.ndarray
    domains: np.ndarray
    times: np.ndarray | None = None
    shared: str = "users"
    held_out: str = "rows"

    @classmethod
    def of(
        cls,
        users: Any,
        items: Any,
        domain: str = "target",
        times: Any = None,
        *,
        shared: str = "users",
        held_out: str = "rows",
    ) -> Ratings:
        """Make ratings of one domain from ids.

        Raises
        ------
        InputError
            When there is none, they differ in number, or an id is missing.
        """
        users, items = as_ids(users, "user", domain), as_ids(items, "item", domain)
        if len(users) != len(items):
            raise InputError(f"{domain}: {len(users)} users but {len(items)} items; a row has one of each")
        if shared not in SHARED:
            raise InputError(f"shared must be one of {', '.join(SHARED)}, not {shared!r}")
        if held_out not in HELD_OUT:
            raise InputError(f"held_out must be one of {', '.join(HELD_OUT)}, not {held_out!r}")
        when = None if times is None else np.asarray(times, dtype=float)
        if when is not None and when.shape != users.shape:
            raise InputError(f"{domain}: {len(users)} rows but {len(when)} times")
        return cls(users, items, np.full(len(users), domain), when, shared, held_out)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and the two ids of each."""
        return len(self.users), 2

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, index: Any) -> Ratings:
        return replace(
            self,
            users=self.users[index],
            items=self.items[index],
            domains=self.domains[index],
            times=None if self.times is None else self.times[index],
        )

    def __repr__(self) -> str:
        users, items = len(np.unique(self.users)), len(np.unique(self.items))
        return f"Ratings({len(self):,} of {users:,} users and {items:,} items of {'+'.join(self.names)})"

    @property
    def names(self) -> list[str]:
        """The domains of the rows, in order of appearance."""
        return list(dict.fromkeys(self.domains.tolist()))

    @property
    def groups(self) -> np.ndarray | None:
        """What is held out together, shape (n,): users, or None where each row is for itself."""
        return np.unique(self.users, return_inverse=True)[1] if self.held_out == "users" else None

    @property
    def clusters(self) -> np.ndarray:
        """Whose each row is, as numbers from 0, shape (n,): rows of one user are no independent observations."""
        return np.unique(self.users, return_inverse=True)[1]

    @staticmethod
    def stack_rows(blocks: Sequence[Ratings]) -> Ratings:
        """Put ratings on top of each other."""
        first = blocks[0]
        if any(block.shared != first.shared for block in blocks):
            raise InputError("ratings whose ids are shared in different ways can't stand together")
        times = [block.times for block in blocks]
        return Ratings(
            joined_ids([block.users for block in blocks], "user"),
            joined_ids([block.items for block in blocks], "item"),
            np.concatenate([block.domains for block in blocks]),
            None if any(when is None for when in times) else np.concatenate([w for w in times if w is not None]),
            first.shared,
            first.held_out,
        )


def as_ids(ids: Any, what: str, where: str = "ratings") -> np.ndarray:
    """Bring ids into an array of whole numbers or of text, shape (n,).

    Raises
    ------
    InputError
        When there is none, one is missing, or they are neither.

    Examples
    --------
    >>> as_ids([3.0, 7.0], "user"), as_ids(["ann", 7], "user")
    (array([3, 7]), array(['ann', '7'], dtype='<U21'))
    """
    import pandas as pd

    ids = np.asarray(ids.to_numpy() if hasattr(ids, "to_numpy") else ids)
    if ids.ndim != 1 or not len(ids):
        raise InputError(f"{where}: {what} ids must be one column with a row at least, not of shape {ids.shape}")
    lost = pd.isna(ids)
    if lost.any():
        raise InputError(f"{where}: row {int(np.flatnonzero(lost)[0]) + 1}: the {what} id is missing")
    if ids.dtype.kind in "iu":
        return ids.astype(np.int64)
    if ids.dtype.kind == "f":
        if (ids != np.round(ids)).any():
            raise InputError(f"{where}: {what} ids are whole numbers or text, not {ids[ids != np.round(ids)][0]}")
        return ids.astype(np.int64)
    if ids.dtype.kind == "O" and all(isinstance(each, int | np.integer) for each in ids.tolist()):
        return ids.astype(np.int64)
    return ids.astype(str)


def joined_ids(blocks: Sequence[np.ndarray], what: str) -> np.ndarray:
    """Put ids on top of each other; all are numbers, or all are text.

    Raises
    ------
    InputError
        When some are numbers and some text: 7 and "7" would be two people.
    """
    kinds = {block.dtype.kind for block in blocks}
    if len(kinds) > 1:
        raise InputError(f"{what} ids are numbers in one domain and text in another; write them one way")
    return np.concatenate(list(blocks))


def ratings_domains(
    rows: Any,
    *,
    user: str = "user",
    item: str = "item",
    domain: str = "domain",
    rating: str | None = "rating",
    time: str | None = "timestamp",
    scale: tuple[float, float] | None = None,
    shared: str = "users",
    held_out: str = "rows",
    where: str = "ratings",
) -> dict[str, Domain]:
    """Return a domain of ratings for each name in a table's domain column.

    Parameters
    ----------
    rows : DataFrame
        A row each time that a user rated an item, or bought, opened, heard it.
    user, item, domain, rating, time : str
        Its columns. Without a column of ratings, what happened is all there is to learn from: the task is then
        "ranking", else "regression". `rating` and `time` may be absent.
    scale : (low, high), optional
        Ratings outside are refused.
    shared, held_out : str
        As in `Ratings`.

    Raises
    ------
    InputError
        When a column is missing, an id is missing, a rating is no number or not on the scale, or a user has two
        ratings of one item and there is no time to tell which is newer.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"user": [1, 1, 2], "item": ["x", "y", "x"], "domain": ["a", "b", "b"]})
    >>> ratings_domains(table)
    {'a': Domain('a', 1 ratings, 1 labelled, ranking), 'b': Domain('b', 2 ratings, 2 labelled, ranking)}
    """
    for column in (user, item, domain):
        if column not in rows.columns:
            from headstart.errors import unknown_name

            raise InputError(unknown_name("column", column, rows.columns, where))
    if not len(rows):
        raise InputError(f"{where}: holds no rows")
    rating = rating if rating in rows.columns else None
    time = time if time in rows.columns else None
    names = rows[domain].astype(str).to_numpy()
    return {
        name: ratings_domain(
            rows[names == name],
            user=user,
            item=item,
            rating=rating,
            time=time,
            scale=scale,
            shared=shared,
            held_out=held_out,
            name=name,
        )
        for name in dict.fromkeys(names.tolist())
    }


def ratings_domain(
    rows: Any,
    *,
    user: str = "user",
    item: str = "item",
    rating: str | None = None,
    time: str | None = None,
    scale: tuple[float, float] | None = None,
    shared: str = "users",
    held_out: str = "rows",
    name: str = "target",
) -> Domain:
    """Return one domain of ratings; see `ratings_domains`."""
    users, items = as_ids(rows[user], "user", name), as_ids(rows[item], "item", name)
    when = None if time is None else _numbers(rows[time], f"{name}: {time}")
    given = None if rating is None else _numbers(rows[rating], f"{name}: {rating}")
    if given is not None and scale is not None:
        off = (given < scale[0]) | (given > scale[1])
        if off.any():
            at = int(np.flatnonzero(off)[0])
            raise InputError(
                f"{name}: row {at + 1}: the rating {given[at]:g} is not on the scale of {scale[0]:g} to {scale[1]:g}"
            )
    kept = latest(users, items, given, when, name)
    X = Ratings.of(
        users[kept], items[kept], name, None if when is None else when[kept], shared=shared, held_out=held_out
    )
    if given is None:
        return Domain(X, np.ones(len(X)), name, task="ranking")
    return Domain(X, given[kept], name, task="regression", label=rating)


def latest(
    users: np.ndarray, items: np.ndarray, ratings: np.ndarray | None, times: np.ndarray | None, name: str
) -> np.ndarray:
    """Return the positions of the rows that count: of a user's rows on one item the latest, in the rows' order.

    Raises
    ------
    InputError
        When two ratings of a user for one item differ and no time tells which is newer.
    """
    pair = np.unique(users, return_inverse=True)[1] * (len(items) + 1) + np.unique(items, return_inverse=True)[1]
    order = np.lexsort((np.arange(len(pair)), np.zeros(len(pair)) if times is None else times, pair))
    last = np.append(pair[order][1:] != pair[order][:-1], True)
    if ratings is not None and times is None and not last.all():
        again = np.flatnonzero(~last)
        differ = again[ratings[order[again]] != ratings[order[again + 1]]]
        if len(differ):
            first, second = order[differ[0]], order[differ[0] + 1]
            raise InputError(
                f"{name}: user {users[first]} rated item {items[first]} twice, {ratings[first]:g} and "
                f"{ratings[second]:g} (rows {first + 1} and {second + 1}); give a column of times, or keep one"
            )
    return np.sort(order[last])


def _numbers(column: Any, where: str) -> np.ndarray:
    """Return a column as floats; times may be dates."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        return column.to_numpy().astype("datetime64[s]").astype(float)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not np.isfinite(numbers).all():
        at = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InputError(f"{where}: row {at + 1}: {column.iloc[at]!r} is not a number")
    return numbers


def ratings_of(rows: Any, name: str) -> Ratings:
    """Return rows as ratings, from a domain or as they are; refuse what is none."""
    X = rows.X if isinstance(rows, Domain) else rows
    if not isinstance(X, Ratings):
        raise InputError(
            f"{name} takes ratings, not {type(X).__name__}; make them with headstart.recommend.ratings_domains"
        )
    return X


def as_domains(interactions: Any) -> dict[str, Domain]:
    """Return domains of ratings by name, from a table or from domains."""
    if isinstance(interactions, dict):
        interactions = list(interactions.values())
    if isinstance(interactions, Domain):
        interactions = [interactions]
    if isinstance(interactions, Iterable) and not hasattr(interactions, "columns"):
        domains = list(interactions)
        for each in domains:
            ratings_of(each, "fit")
        return {each.name: each for each in domains}
    return ratings_domains(interactions)
