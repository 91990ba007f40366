"""Recommender: what a user of the target may like, from what they did anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, vstack

from headstart.errors import InputError, unknown_name
from headstart.recommend.histories import Histories, find_ids
from headstart.recommend.ratings import ratings_of
from headstart.recommend.scorers import Scorer, products, scores_of
from headstart.recommend.top_items import top_items

#: Users whose scores of all items are held at a time where every score is needed.
USERS_AT_A_TIME = 256
#: What stands behind what everybody gets who did nothing yet.
FALLBACK = {True: "mean ratings of the items", False: "popularity"}


@dataclass(frozen=True, eq=False)
class Recommendations:
    """The best items for one user.

    Attributes
    ----------
    items : array of ids, best first
    scores : array of float
        Ratings where the recommender learned from ratings; else numbers that only order.
    how : str
        What they come from: "history in video", "history in game, carried to video", or a fallback.
    """

    items: np.ndarray
    scores: np.ndarray
    how: str

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[tuple[Any, float]]:
        return iter(zip(self.items.tolist(), self.scores.tolist(), strict=True))

    def __repr__(self) -> str:
        listed = ", ".join(f"{item} ({score:.3g})" for item, score in self)
        return f"Recommendations({listed or 'none'}; from {self.how})"


@dataclass(frozen=True, eq=False)
class Guest:
    """Someone who was not fitted: a history, in the columns of a recommender.

    `Recommender.fold_in` makes it, and takes it wherever it takes a user.
    """

    history: csr_matrix


@dataclass(frozen=True, eq=False)
class Recommender:
    """Recommends items of one domain, the target.

    Parameters
    ----------
    histories : Histories
        What the users did that it was fitted on; what they saw is not recommended again.
    scorer : Scorer
        What was learned.
    fallback : array of shape (m,)
        Scores for everybody who did nothing yet: how popular an item is, or its mean rating.
    name : str
        Of the method.
    """

    histories: Histories
    scorer: Scorer
    fallback: np.ndarray
    name: str = "recommender"

    def __repr__(self) -> str:
        return (
            f"Recommender({self.name}; {len(self.histories.users):,} users, {len(self.items):,} items of {self.target})"
        )

    @property
    def target(self) -> str:
        """The domain whose items are recommended."""
        return self.histories.target

    @property
    def items(self) -> np.ndarray:
        """Ids of the items that can be recommended, sorted."""
        return self.histories.ids(self.target)

    def fold_in(self, history: Any) -> Guest:
        """Return someone new by what they did, without fitting again.

        Parameters
        ----------
        history : sequence of (domain, item) or (domain, item, rating), or DataFrame with these columns
        """
        return Guest(self.histories.history(history))

    def recommend(
        self,
        user: Any,
        k: int = 10,
        domain: str | None = None,
        *,
        exclude_seen: bool = True,
        candidates: Any = None,
    ) -> Recommendations:
        """Return the k best items for a user.

        Parameters
        ----------
        user : id or Guest
            An id that is not known gets the fallback, and `how` says so.
        k : int
        domain : str, optional
            The target; for the sake of callers that name it.
        exclude_seen : bool
            Leave out what is in the user's history.
        candidates : array-like of ids, optional
            Choose among these items only; ids that are not known are passed over.

        Raises
        ------
        InputError
            When k is less than 1, or the domain is another one.
        """
        history, at = self._histories_of([user])
        items, scores = self._top(history, at, k, domain, exclude_seen, candidates)
        found = items[0] >= 0
        return Recommendations(self.items[items[0][found]], scores[0][found], self._how(history)[0])

    def recommend_each(self, users: Sequence[Any], k: int = 10) -> list[Recommendations]:
        """Return what `recommend` returns for each user, made in one pass over the items."""
        history, at = self._histories_of(users)
        items, scores = self._top(history, at, k, None, exclude_seen=True, candidates=None)
        return [
            Recommendations(self.items[best[best >= 0]], of[best >= 0], how)
            for best, of, how in zip(items, scores, self._how(history), strict=True)
        ]

    def recommend_all(
        self,
        users: Any = None,
        k: int = 10,
        domain: str | None = None,
        *,
        exclude_seen: bool = True,
        candidates: Any = None,
    ) -> pd.DataFrame:
        """Return the k best items for many users: a table of user, rank, item, score and how.

        Parameters
        ----------
        users : array-like of ids, optional
            By default all that are known.
        """
        ids = self.histories.users if users is None else np.asarray(users)
        history, at = self._histories_of(ids)
        items, scores = self._top(history, at, k, domain, exclude_seen, candidates)
        found = items >= 0
        row, rank = np.nonzero(found)
        return pd.DataFrame(
            {
                "user": ids[row],
                "rank": rank + 1,
                "item": self.items[items[found]],
                "score": scores[found],
                "how": np.array(self._how(history), dtype=object)[row],
            }
        )

    def similar_items(self, item: Any, k: int = 10, domain: str | None = None) -> Recommendations:
        """Return the items of the target that someone may like who did nothing but this one thing.

        Parameters
        ----------
        item : id
        k : int
        domain : str, optional
            The item's domain: the target by default, or a source, whose items are so compared across domains.

        Raises
        ------
        InputError
            When the item is not known.
        """
        domain = domain or self.target
        at = find_ids(self.histories.ids(domain), [item])[0]
        if at < 0:
            raise InputError(f"{domain}: no item {item!r}; give one that the recommender was fitted on")
        column = self.histories.span(domain).start + at
        value = self.histories.highest[column]
        one = csr_matrix(([value], ([0], [column])), shape=(1, self.histories.matrix.shape[1]), dtype=np.float32)
        items, scores = self._top(one, np.array([-1]), k, None, exclude_seen=True, candidates=None)
        found = items[0] >= 0
        return Recommendations(self.items[items[0][found]], scores[0][found], f"item {item} of {domain}")

    def explain(self, user: Any, item: Any, k: int = 5) -> pd.DataFrame:
        """Return which events of a user's history led to an item: a table of domain, item and effect.

        The effect is by how much the item's score would be lower without the event.

        Parameters
        ----------
        user : id or Guest
        item : id
            Of the target.
        k : int
            How many events; those of the largest effect come first.
        """
        history, _ = self._histories_of([user])
        at = self._item_at(item)
        events = history.indices
        if not len(events):
            return pd.DataFrame({"domain": [], "item": [], "effect": []})
        # As a guest each time: what is asked is what the history does.
        without = vstack([history, *(_without(history, column) for column in events.tolist())]).tocsr()
        if hasattr(self.scorer, "queries_on_one_scale"):
            queries = self.scorer.queries_on_one_scale(without)
        else:
            queries = self.scorer.queries(without, np.full(without.shape[0], -1))
        scores = products(queries, self.scorer.item_vectors[[at]], self.scorer.item_bias[[at]])[:, 0]
        effects = scores[0] - scores[1:]
        best = np.argsort(-effects, kind="stable")[:k]
        named = [self._name_of(column) for column in events[best].tolist()]
        return pd.DataFrame(
            {"domain": [d for d, _ in named], "item": [i for _, i in named], "effect": effects[best].astype(float)}
        )

    def predict(self, X: Any) -> np.ndarray:
        """Return how much the user of each row likes its item, shape (n,): a rating, or a number that orders.

        An item that is not known gets the mean of what the user's known items would get, a user who did nothing the
        fallback.
        """
        rows = ratings_of(X, type(self).__name__)
        found = np.empty(len(rows))
        at_item = find_ids(self.items, rows.items)
        for _, index, at, S in self._blocks(rows.users):
            columns = at_item[index]
            found[index] = np.where(columns < 0, S.mean(axis=1)[at], S[at, columns.clip(0)])
        return found

    def ranks(self, X: Any) -> np.ndarray:
        """Return the rank of each row's item among all that its user has not seen, shape (n,): 1 is the best.

        Items of equal score share their mean rank. An item that is not known comes after all others.
        """
        rows = ratings_of(X, type(self).__name__)
        at_item = find_ids(self.items, rows.items)
        found = np.full(len(rows), len(self.items) + 1.0)
        for history, index, at, S in self._blocks(rows.users):
            seen = self._seen(history)
            columns = at_item[index]
            own = S[at, columns.clip(0)]
            # The row's own item is one of the equal ones, unless it was seen before.
            itself = ~np.asarray(seen[at, columns.clip(0)]).ravel().astype(bool)
            S[seen.nonzero()] = -np.inf
            S.sort(axis=1)
            ends = np.searchsorted(at, np.arange(len(S) + 1))
            for user, (first, last) in enumerate(pairwise(ends.tolist())):
                below = np.searchsorted(S[user], own[first:last])
                up_to = np.searchsorted(S[user], own[first:last], side="right")
                ranks = 1 + S.shape[1] - up_to + (up_to - below - itself[first:last]) / 2
                found[index[first:last]] = np.where(columns[first:last] < 0, S.shape[1] + 1.0, ranks)
        return found

    def scores(self, users: Any) -> np.ndarray:
        """Return the scores of all items of the target for users, shape (n, m)."""
        history, at = self._histories_of(users)
        return self._scores(history, at)

    def _blocks(self, users: np.ndarray) -> Iterator[tuple[csr_matrix, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield users whose scores fit into memory: histories, their rows, whose each is (ascending), scores (n, m)."""
        names, whose = np.unique(users, return_inverse=True)
        order = np.argsort(whose, kind="stable")
        for start in range(0, len(names), USERS_AT_A_TIME):
            first, last = np.searchsorted(whose[order], [start, start + USERS_AT_A_TIME])
            index = order[first:last]
            history, position = self._histories_of(names[start : start + USERS_AT_A_TIME])
            yield history, index, whose[index] - start, self._scores(history, position)

    def _scores(self, history: csr_matrix, at: np.ndarray) -> np.ndarray:
        found = scores_of(self.scorer, history, at)
        found[np.diff(history.indptr) == 0] = self.fallback
        return found

    def _histories_of(self, users: Any) -> tuple[csr_matrix, np.ndarray]:
        """Return histories, shape (n, columns), and positions of the users, -1 for guests and unknown ones."""
        if any(isinstance(user, Guest) for user in users):
            rows = [user.history if isinstance(user, Guest) else self._histories_of([user])[0] for user in users]
            places = [-1 if isinstance(user, Guest) else int(self.histories.positions([user])[0]) for user in users]
            return vstack(rows).tocsr(), np.array(places)
        at = self.histories.positions(users)
        history = self.histories.matrix[at.clip(0)]
        if (at < 0).any():
            from scipy.sparse import diags_array

            history = csr_matrix(diags_array((at >= 0).astype(np.float32)) @ history)
            history.eliminate_zeros()
        return history, at

    def _top(
        self, history: csr_matrix, at: np.ndarray, k: int, domain: str | None, exclude_seen: bool, candidates: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        if k < 1:
            raise InputError(f"k must be 1 or more, not {k}")
        if domain is not None and domain != self.target:
            raise InputError(unknown_name("domain to recommend from", domain, [self.target]))
        left_out = self._seen(history) if exclude_seen else None
        chosen = None
        V, b, fallback = self.scorer.item_vectors, self.scorer.item_bias, self.fallback
        if candidates is not None:
            places = find_ids(self.items, candidates)
            chosen = np.unique(places[places >= 0])
            if not len(chosen):
                return np.full((history.shape[0], k), -1), np.full((history.shape[0], k), np.nan)
            V, b, fallback = V[chosen], b[chosen], fallback[chosen]
            left_out = None if left_out is None else left_out[:, chosen]
        items, scores = np.full((history.shape[0], k), -1), np.full((history.shape[0], k), np.nan)
        known = np.diff(history.indptr) > 0
        if known.all():
            items, scores = top_items(self.scorer.queries(history, at), V, b, k, left_out)
        elif known.any():
            queries = self.scorer.queries(history[known], at[known])
            items[known], scores[known] = top_items(queries, V, b, k, None if left_out is None else left_out[known])
        if not known.all():
            empty = np.zeros((1, 0), dtype=np.float32)
            items[~known], scores[~known] = top_items(empty, np.zeros((len(fallback), 0)), fallback, k)
        if chosen is not None:
            items = np.where(items >= 0, chosen[items.clip(0)], -1)
        return items, scores

    def _seen(self, history: csr_matrix) -> csr_matrix:
        """Return which target items stand in histories, shape (n, m); also when they were met in another domain."""
        span = self.histories.span(self.target)
        if self.histories.shared not in ("items", "both"):
            return history[:, span]
        things = self.histories.things
        m = int(things.max()) + 1
        to_thing = csr_matrix((np.ones(len(things)), (np.arange(len(things)), things)), shape=(len(things), m))
        return csr_matrix((abs(history) @ to_thing)[:, things[span]])

    def _how(self, history: csr_matrix) -> list[str]:
        """Say what scores come from, user by user."""
        ends = np.cumsum([len(ids) for ids in self.histories.items])
        texts = []
        for row in range(history.shape[0]):
            columns = history.indices[history.indptr[row] : history.indptr[row + 1]]
            if not len(columns):
                texts.append(f"{FALLBACK[self.histories.explicit]}, for want of a history")
                continue
            places = np.unique(np.searchsorted(ends, columns, side="right"))
            names = " and ".join(self.histories.domains[i] for i in places.tolist())
            carried = "" if places[-1] == len(ends) - 1 else f", carried to {self.target}"
            texts.append(f"history in {names}{carried}")
        return texts

    def _item_at(self, item: Any) -> int:
        at = int(find_ids(self.items, [item])[0])
        if at < 0:
            raise InputError(f"{self.target}: no item {item!r}; give one that the recommender was fitted on")
        return at

    def _name_of(self, column: int) -> tuple[str, Any]:
        for name in self.histories.domains:
            span = self.histories.span(name)
            if span.start <= column < span.stop:
                return name, self.histories.ids(name)[column - span.start]
        raise IndexError(column)


def _without(history: csr_matrix, column: int) -> csr_matrix:
    left = history.copy()
    left.data[left.indices == column] = 0.0
    left.eliminate_zeros()
    return left
