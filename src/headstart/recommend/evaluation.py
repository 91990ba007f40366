"""Evaluation: what carrying is worth to held-out users, beside the best that the target can do alone."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError, NeedsError, unknown_name
from headstart.recommend.contenders import Contender, contenders
from headstart.recommend.judgement import Evaluation, Measured
from headstart.recommend.protocols import canonical_rows, split
from headstart.recommend.ratings import as_domains, ratings_of
from headstart.recommend.recommender import Recommender
from headstart.recommend.twins import find_twins
from headstart.recommend.user_scores import (
    draw_negatives,
    ranking_scores,
    ranks_among,
    ranks_among_unseen,
    rating_scores,
)

#: Users below which a bootstrap over users is said to be rough.
FEW_USERS = 30


def evaluate(
    methods: Any,
    interactions: Any,
    target: str,
    *,
    protocol: str = "cold",
    share: float | None = None,
    negatives: int | None = None,
    k: int = 10,
    metric: str | None = None,
    random_state: int = 0,
    learner: Any = None,
    draws: int = 1000,
    announce: Callable[[str], None] | None = None,
) -> Evaluation:
    """Hold out rows of the target, and tell what each way to recommend is worth without them.

    *Whom it is for.* A figure is first the mean over a user's held-out rows, then over users: who bought a hundred
    things counts as who bought two.

    *Among what.* Each held-out item is ranked among all items of the target that its user has not met: neither in the
    training rows nor among the user's other held-out rows. Publications often draw 999 items at random instead
    (`negatives=999`): that is easier, can put methods in another order, and is said with the figures. Equal scores
    share their mean rank. A held-out item that training knows nothing of is never found, by any method.

    *Against what.* Learners that are given by themselves see the target alone; the best of them, which is named, is
    what carrying has to beat. Intervals are over users (`draws` bootstrap draws), of one split and one fit. Where
    several transfers, or several baselines, are there to choose from, the verdict's interval allows for that: picking
    the luckiest of several does not pass for a gain.

    Nothing is tuned here, on no rows.

    Parameters
    ----------
    methods : sequence of str, CrossDomainMethod or RatingLearner; dict of these by name; or None
        None: what is usual and takes seconds.
    interactions : DataFrame or domains of ratings
        As for `CrossDomainMethod.fit`.
    target : str
    protocol : {"cold", "leave-one-out", "temporal", "random"}
        See `headstart.recommend.protocols`.
    share : float, optional
        What is held out: by default half of the users who stand in both (cold), or a fifth of the rows.
    negatives : int, optional
        Rank among so many random items instead of all.
    k : int
        Length of the list that HR, NDCG and coverage are about.
    metric : str, optional
        The one that decides: by default "NDCG@k" of events and "MAE" of ratings.
    random_state : int
        Of the split, the negatives and the bootstrap.
    learner : RatingLearner, optional
        What methods that carry learn with.
    announce : callable, optional
        Called with the name of each method before it is fitted.

    Raises
    ------
    InputError
        When the target is no domain, there is no source, or nothing would be held out.
    NeedsError
        When no method is left that can work here.

    Examples
    --------
    Who plays chess watches films, who plays go series.

    >>> import pandas as pd
    >>> rows = []
    >>> for user in range(80):
    ...     taste = user % 2
    ...     rows += [(user, f"game {2 * i + taste}", "game") for i in range(5) if (user + i) % 3]
    ...     rows += [(user, f"show {2 * i + taste}", "video") for i in range(9) if (user + 2 * i) % 3]
    >>> table = pd.DataFrame(rows, columns=["user", "item", "domain"])
    >>> told = evaluate(["item-knn", "cross-domain-item-knn"], table, "video", k=5)
    >>> told.verdict, told.delivered
    ('helps', 'cross-domain-item-knn')
    """
    domains = as_domains(interactions)
    if target not in domains:
        raise InputError(unknown_name("domain", target, domains))
    sources = [domain for name, domain in domains.items() if name != target]
    if not sources:
        raise InputError(f"there is no domain but {target}, so there is nothing to carry; give a source too")
    rated = domains[target].task == "regression"
    found = contenders(methods, rated=rated, learner=learner)
    sources, train, test = split(protocol, sources, domains[target], share, random_state)
    return compare(
        found,
        sources,
        train,
        test,
        protocol=protocol,
        negatives=negatives,
        k=k,
        metric=metric,
        random_state=random_state,
        draws=draws,
        announce=announce,
    )


def compare(
    found: Sequence[Contender],
    sources: Sequence[Domain],
    train: Domain,
    test: Domain,
    *,
    protocol: str = "given",
    negatives: int | None = None,
    k: int = 10,
    metric: str | None = None,
    random_state: int = 0,
    draws: int = 1000,
    announce: Callable[[str], None] | None = None,
) -> Evaluation:
    """Fit contenders on sources and training rows, and judge them on test rows that are given: a published split."""
    for what, number in (("k", k), ("negatives", 1 if negatives is None else negatives)):
        if number < 1:
            raise InputError(f"{what} must be 1 or more, not {number}")
    # Rows in an order of their own: sums then round the same way, however rows were given.
    test = test.rows(canonical_rows(ratings_of(test, "evaluate")))
    rated = train.task == "regression"
    if rated and negatives is not None:
        raise InputError("negatives are for events; ratings are foretold, not ranked")
    rows = ratings_of(test, "evaluate")
    users, at = np.unique(rows.users, return_inverse=True)
    ways = _Ways(test, at, users, negatives, k, random_state, rated)
    measured, notes = [], []
    for each in found:
        if announce is not None:
            announce(each.name)
        begun = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                recommender = each.recommender(sources, train)
            except NeedsError as error:
                notes.append(f"{each.name} is left out: {error}")
                continue
        notes += dict.fromkeys(str(warning.message) for warning in caught)
        fitted = time.perf_counter() - begun
        scores, coverage = ways.scores(recommender)
        measured.append(Measured(each.name, each.method is not None, scores, coverage, fitted))
    if not measured:
        raise NeedsError(f"no method is left: {'; '.join(notes)}")
    known = np.isin(rows.items, ratings_of(train, "evaluate").items)
    if not known.all():
        notes.append(f"{int((~known).sum()):,} of {len(rows):,} held-out rows are of items without a training row")
    if len(users) < FEW_USERS:
        notes.append(f"only {len(users)} users are tested; intervals over so few are rough, and rather too narrow")
    warm = np.isin(users, ratings_of(train, "evaluate").users)
    metrics = list(measured[0].scores)
    if metric is not None and metric not in metrics:
        raise InputError(unknown_name("metric", metric, metrics))
    return Evaluation(
        target=train.name,
        sources=[source.name for source in sources],
        protocol=protocol,
        metric=metric or metrics[0],
        users=users,
        warm=warm,
        measured=measured,
        rows=len(rows),
        items=len(np.unique(ratings_of(train, "evaluate").items)),
        negatives=negatives,
        k=k,
        random_state=random_state,
        draws=draws,
        twins=find_twins(sources, train, test),
        notes=notes,
    )


@dataclass
class _Ways:
    """How recommenders are scored on the same test rows."""

    test: Domain
    user: np.ndarray
    users: np.ndarray
    negatives: int | None
    k: int
    random_state: int
    rated: bool
    drawn: np.ndarray | None = None

    def scores(self, recommender: Recommender) -> tuple[dict[str, np.ndarray], float]:
        """Return each user's scores by metric, and the share of items that stand in anybody's first k."""
        top = recommender.recommend_all(self.users, self.k)
        coverage = top["item"].nunique() / len(recommender.items)
        if self.rated:
            return rating_scores(recommender.predict(self.test.X), np.asarray(self.test.labels), self.user), coverage
        if self.negatives is None:
            ranks = ranks_among_unseen(recommender, self.test)
        else:
            if self.drawn is None:
                self.drawn = draw_negatives(recommender, self.test, self.negatives, self.random_state)
            ranks = ranks_among(recommender, self.test, self.drawn)
        return ranking_scores(ranks, self.user, self.k), coverage
