"""Twins: items of two domains that are bought by the same people, and may be one thing under two names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from headstart.domain import Domain
from headstart.recommend.histories import Histories, find_ids
from headstart.recommend.ratings import ratings_of


@dataclass(frozen=True)
class Twins:
    """How much of a test may be read off the source, because it lists the same things.

    Attributes
    ----------
    items : int
        Items of the target's training rows.
    with_twin : int
        Those of them that have a twin in a source.
    rows : int
        Test rows.
    given_away : int
        Those of them whose item has a twin in what their user did in a source.
    examples : tuple of (target item, source item), the likest first
    """

    items: int
    with_twin: int
    rows: int
    given_away: int
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def share(self) -> float:
        """Share of the test rows that are given away."""
        return self.given_away / self.rows if self.rows else 0.0

    def __str__(self) -> str:
        if not self.with_twin:
            return f"twins: none of {self.items:,} items has one in a source"
        example = f", such as {self.examples[0][0]} and {self.examples[0][1]}" if self.examples else ""
        return (
            f"twins: {self.with_twin:,} of {self.items:,} items have one in a source{example}; of {self.rows:,} test "
            f"rows {100 * self.share:.1f} % have their item's twin in the user's source history"
        )

    def document(self) -> dict[str, Any]:
        """Return it in plain types."""
        return {**asdict(self), "share": self.share, "examples": [list(pair) for pair in self.examples]}


def find_twins(
    sources: Sequence[Domain], train: Domain, test: Domain, likeness: float = 0.8, common: int = 3, shown: int = 3
) -> Twins:
    r"""Look for twins of the target's items among those of the sources.

    Item i of the target and j of a source are twins when :math:`|U_i \cap U_j| / \sqrt{|U_i| |U_j|}` is more than
    `likeness` and at least `common` users had both. Test rows take no part in finding them.

    Parameters
    ----------
    sources : sequence of Domain
    train, test : Domain
        Rows of the target.
    likeness : float
    common : int
    shown : int
        How many pairs are named.

    Examples
    --------
    >>> import pandas as pd
    >>> from headstart.recommend import ratings_domain
    >>> game = pd.DataFrame({"user": [1, 2, 3, 4, 4], "item": ["lotr", "lotr", "lotr", "lotr", "go"]})
    >>> video = pd.DataFrame({"user": [1, 2, 3], "item": ["Lord of the Rings"] * 3})
    >>> test = pd.DataFrame({"user": [4], "item": ["Lord of the Rings"]})
    >>> found = find_twins([ratings_domain(game, name="game")], *(ratings_domain(rows) for rows in (video, test)))
    >>> found.with_twin, found.share, found.examples
    (1, 1.0, (('Lord of the Rings', 'lotr'),))
    """
    histories = Histories.of([*sources, train])
    rows = ratings_of(test, "find_twins")
    span = histories.span(histories.target)
    here = histories.ids(histories.target)
    X = histories.matrix.copy()
    X.data = np.ones_like(X.data)
    counts = np.asarray(X.sum(axis=0)).ravel()
    T, S = X[:, span], X[:, : span.start]
    # Fewer users than must be common can't be twins.
    often_here, often_there = (np.flatnonzero(n >= common) for n in (counts[span], counts[: span.start]))
    both = (T[:, often_here].T @ S[:, often_there]).tocoo()
    i, j = often_here[both.row], often_there[both.col]
    like = both.data / np.sqrt(counts[span][i] * counts[j])
    twin = (both.data >= common) & (like > likeness)
    i, j, like = i[twin], j[twin], like[twin]
    of_item = csr_matrix((np.ones(len(i), dtype=np.float32), (i, j)), shape=(len(here), span.start))
    item, user = find_ids(here, rows.items), histories.positions(rows.users)
    known = np.flatnonzero((item >= 0) & (user >= 0))
    given_away = of_item[item[known]].multiply(S[user[known]]).sum(axis=1) if len(known) else np.zeros(0)
    order = np.lexsort((j, i, -like))[:shown]
    names = np.concatenate([ids.astype(str) for ids in histories.items[:-1]])
    examples = tuple((str(here[a]), str(names[b])) for a, b in zip(i[order].tolist(), j[order].tolist(), strict=True))
    return Twins(len(here), len(np.unique(i)), len(rows), int((np.asarray(given_away) > 0).sum()), examples)
