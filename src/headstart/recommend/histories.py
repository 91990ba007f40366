"""Histories: what every user did in every domain, as one sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from headstart.domain import Domain
from headstart.errors import InputError, unknown_name
from headstart.recommend.ratings import Ratings, joined_ids, ratings_of


@dataclass(frozen=True, eq=False)
class Histories:
    """What every user did in every domain.

    Parameters
    ----------
    users : array of shape (n,)
        Ids, sorted. A user of another domain whose id is not shared is called "domain:id".
    domains : tuple of str
        The target last.
    items : tuple of array
        Of each domain the ids of its items, sorted.
    matrix : csr_matrix of float32, shape (n, sum of items)
        Ratings, or ones; the columns of the domains stand side by side.
    explicit : bool
        Whether there are ratings.
    shared : str
        As in `Ratings`.

    Examples
    --------
    >>> from headstart.recommend import ratings_domain
    >>> import pandas as pd
    >>> game = ratings_domain(pd.DataFrame({"user": [1, 2], "item": ["chess", "go"]}), name="game")
    >>> video = ratings_domain(pd.DataFrame({"user": [2, 3], "item": ["up", "up"]}), name="video")
    >>> both = Histories.of([game, video])
    >>> both
    Histories(3 users; game 2 items, video 1 item)
    >>> both.users[both.shared_users("game", "video")]
    array([2])
    """

    users: np.ndarray
    domains: tuple[str, ...]
    items: tuple[np.ndarray, ...]
    matrix: csr_matrix
    explicit: bool
    shared: str = "users"

    @classmethod
    def of(cls, parts: Sequence[Domain]) -> Histories:
        """Make histories of domains of ratings, the target last; rows without a label are left out.

        Raises
        ------
        InputError
            When rows are no ratings, a domain is empty or named twice, or some have ratings and others none.
        """
        split = [piece for part in parts for piece in _by_domain(part)]
        names = [name for name, _, _ in split]
        if len(set(names)) < len(names):
            raise InputError(f"domains of ratings must have names of their own, not {', '.join(names)}")
        rated = {part.task == "regression" for part in parts}
        if len(rated) > 1:
            raise InputError("some domains have ratings and others have none; leave the ratings out, or give them all")
        shared = split[0][1].shared
        of_users = [
            rows.users if shared in ("users", "both") or name == names[-1] else _called(name, rows.users)
            for name, rows, _ in split
        ]
        if shared not in ("users", "both"):
            of_users = [ids.astype(str) for ids in of_users]
        users, at = np.unique(joined_ids(of_users, "user"), return_inverse=True)
        items, columns, offset = [], [], 0
        for _, rows, _ in split:
            ids, codes = np.unique(rows.items, return_inverse=True)
            items.append(ids)
            columns.append(codes + offset)
            offset += len(ids)
        values = np.concatenate([labels for _, _, labels in split]).astype(np.float32)
        matrix = csr_matrix((values, (at, np.concatenate(columns))), shape=(len(users), offset))
        matrix.sort_indices()
        if not rated.pop():
            # A thing bought twice is bought.
            matrix.data[:] = 1.0
        return cls(users, tuple(names), tuple(items), matrix, parts[-1].task == "regression", shared)

    def __repr__(self) -> str:
        sizes = [
            f"{name} {len(ids):,} item{'s' * (len(ids) != 1)}"
            for name, ids in zip(self.domains, self.items, strict=True)
        ]
        return f"Histories({len(self.users):,} users; {', '.join(sizes)})"

    @property
    def target(self) -> str:
        """The last domain."""
        return self.domains[-1]

    @property
    def sources(self) -> tuple[str, ...]:
        """The other domains."""
        return self.domains[:-1]

    def place(self, domain: str) -> int:
        """Return the position of a domain.

        Raises
        ------
        InputError
            When there is none of that name.
        """
        if domain not in self.domains:
            raise InputError(unknown_name("domain", domain, self.domains))
        return self.domains.index(domain)

    def span(self, domain: str) -> slice:
        """Return the columns of a domain's items."""
        at = self.place(domain)
        start = sum(len(ids) for ids in self.items[:at])
        return slice(start, start + len(self.items[at]))

    def ids(self, domain: str) -> np.ndarray:
        """Return the ids of a domain's items, sorted."""
        return self.items[self.place(domain)]

    def part(self, domain: str) -> csr_matrix:
        """Return what all users did in one domain, shape (n, items of it)."""
        return self.matrix[:, self.span(domain)]

    def active(self, domain: str) -> np.ndarray:
        """Return the mask of the users who did something in a domain, shape (n,)."""
        return np.asarray(np.diff(self.part(domain).indptr) > 0)

    def shared_users(self, one: str, other: str) -> np.ndarray:
        """Return the positions of the users who did something in both domains."""
        return np.flatnonzero(self.active(one) & self.active(other))

    def only(self, *domains: str) -> Histories:
        """Return the histories in some domains, of the same users."""
        kept = [name for name in self.domains if name in domains]
        columns = np.concatenate([np.arange(self.matrix.shape[1])[self.span(name)] for name in kept])
        return replace(
            self,
            domains=tuple(kept),
            items=tuple(self.ids(name) for name in kept),
            matrix=self.matrix[:, columns].tocsr(),
        )

    @cached_property
    def things(self) -> np.ndarray:
        """What each column is, shape (columns,): columns of the same item in several domains have the same number."""
        if self.shared not in ("items", "both"):
            return np.arange(self.matrix.shape[1])
        return np.asarray(np.unique(joined_ids(self.items, "item"), return_inverse=True)[1])

    @cached_property
    def highest(self) -> np.ndarray:
        """The highest rating of each column, shape (columns,): what it is to like an item."""
        if not self.explicit:
            return np.ones(self.matrix.shape[1], dtype=np.float32)
        highest = np.full(self.matrix.shape[1], -np.inf, dtype=np.float32)
        np.maximum.at(highest, self.matrix.indices, self.matrix.data)
        return highest

    def positions(self, users: Any) -> np.ndarray:
        """Return the positions of users by id, -1 where one is not known."""
        return find_ids(self.users, users)

    def history(self, rows: Any) -> csr_matrix:
        """Return the history of one guest, shape (1, columns).

        Parameters
        ----------
        rows : sequence of (domain, item) or (domain, item, rating), DataFrame with these columns, or Ratings

        Raises
        ------
        InputError
            When a domain is not known, or not one item is.
        """
        found, values, lost = [], [], []
        for domain, item, value in _events(rows):
            at = int(find_ids(self.ids(domain), [item])[0])
            if at < 0:
                lost.append(str(item))
                continue
            found.append(self.span(domain).start + at)
            values.append(value if self.explicit else 1.0)
        if not found:
            raise InputError(
                f"no item of this history is known ({', '.join(lost[:3]) or 'it is empty'}); give items that the "
                "recommender was fitted on"
            )
        if self.explicit and any(value is None for value in values):
            raise InputError("this recommender learned from ratings: give (domain, item, rating)")
        # Said twice, the last counts.
        last = dict(zip(found, values, strict=True))
        columns = np.array(sorted(last))
        data = np.array([last[c] for c in columns.tolist()], dtype=np.float32)
        return csr_matrix((data, (np.zeros(len(columns), dtype=int), columns)), shape=(1, self.matrix.shape[1]))


def find_ids(known: np.ndarray, ids: Any) -> np.ndarray:
    """Return where ids stand among sorted ones, -1 where one doesn't; numbers written as text are found too.

    >>> find_ids(np.array([3, 5]), [5, 4, "3", "x"])
    array([ 1, -1,  0, -1])
    """
    ids = np.asarray(ids.to_numpy() if hasattr(ids, "to_numpy") else ids)
    if ids.dtype.kind == "O":
        ids = np.array([str(each) for each in ids.tolist()])
    if known.dtype.kind in "iu" and ids.dtype.kind not in "iu":
        text = ids.astype(str)
        whole = np.array([each.lstrip("-").isdigit() and len(each) < 19 for each in text.tolist()], dtype=bool)
        numbers = np.array(
            [int(each) if fine else 0 for each, fine in zip(text.tolist(), whole, strict=True)], np.int64
        )
        return np.where(whole, find_ids(known, numbers), -1)
    if known.dtype.kind not in "iu":
        ids = ids.astype(str)
    # Of one type: else all known ids would be copied into a wider one.
    at = np.searchsorted(known, ids.astype(known.dtype)).clip(0, len(known) - 1)
    return np.where(known[at] == ids, at, -1)


def _called(name: str, ids: np.ndarray) -> np.ndarray:
    return np.array([f"{name}:{each}" for each in ids.tolist()])


def _by_domain(part: Domain) -> list[tuple[str, Ratings, np.ndarray]]:
    """Return a domain's labelled rows, one piece for each domain that they are of."""
    labelled = part.labelled_rows()
    rows = ratings_of(labelled, "histories")
    if not len(rows):
        raise InputError(f"{part.name}: is empty; there is no rating to learn from")
    labels = np.asarray(labelled.labels, dtype=float)
    return [(name, rows[rows.domains == name], labels[rows.domains == name]) for name in rows.names]


def _events(rows: Any) -> list[tuple[str, Any, float | None]]:
    """Return a guest's history as (domain, item, rating or None)."""
    if isinstance(rows, Ratings):
        return [(str(d), i, None) for d, i in zip(rows.domains.tolist(), rows.items.tolist(), strict=True)]
    if hasattr(rows, "columns"):
        for column in ("domain", "item"):
            if column not in rows.columns:
                raise InputError(unknown_name("column", column, rows.columns, "history"))
        given = rows["rating"].tolist() if "rating" in rows.columns else [None] * len(rows)
        return list(zip(rows["domain"].astype(str).tolist(), rows["item"].tolist(), given, strict=True))
    events: list[tuple[str, Any, float | None]] = []
    for row in rows:
        if isinstance(row, str) or len(row) not in (2, 3):
            raise InputError("a history is rows of (domain, item) or (domain, item, rating)")
        events.append((str(row[0]), row[1], float(row[2]) if len(row) == 3 else None))
    return events
