"""Protocols: which rows of the target are learned from, and which are to be foretold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError, NeedsError
from headstart.recommend.ratings import Ratings, ratings_of

#: What a recommender may be asked: for newcomers, for everybody's next thing, for what came later, or for any row.
PROTOCOLS = ("cold", "leave-one-out", "temporal", "random")


def cold_users(
    sources: Domain | Sequence[Domain], target: Domain, share: float = 0.5, random_state: Any = 0
) -> tuple[Domain, Domain]:
    """Return (train, test): of the users who stand in a source and in the target, a share loses all target rows.

    This is how EMCDR and its followers test: who is known elsewhere comes to the target as a newcomer.

    Parameters
    ----------
    sources : Domain or list of Domain
        Of ratings.
    target : Domain
    share : float
        Of the users who stand in both; 0.2, 0.5 and 0.8 are usual.
    random_state : int or numpy Generator

    Raises
    ------
    InputError
        When the share is not between 0 and 1, or nothing is left to learn from.
    NeedsError
        When no user stands in both.

    References
    ----------
    Man, Shen, Jin, Cheng: Cross-Domain Recommendation: An Embedding and Mapping Approach. IJCAI 2017.

    Examples
    --------
    >>> import pandas as pd
    >>> from headstart.recommend import ratings_domain
    >>> game = ratings_domain(pd.DataFrame({"user": [1, 2, 3, 4], "item": "abcd"}), name="game")
    >>> video = ratings_domain(pd.DataFrame({"user": [3, 4, 5, 4], "item": ["up", "up", "up", "heat"]}), name="video")
    >>> train, test = cold_users(game, video, share=0.5)
    >>> sorted(set(test.X.users.tolist()) | set(train.X.users.tolist()))
    [3, 4, 5]
    >>> set(test.X.users.tolist()) & set(train.X.users.tolist())
    set()
    """
    _require_share(share)
    sources = [sources] if isinstance(sources, Domain) else list(sources)
    target = target.labelled_rows()
    both = shared_users(sources, target)
    if not len(both):
        names = " or ".join(source.name for source in sources)
        raise NeedsError(
            f"no user of {target.name} stands in {names}, so there are no cold users to test on; take another "
            "protocol, or write the ids of users one way in all domains"
        )
    n = min(max(1, round(share * len(both))), len(both))
    chosen = np.random.default_rng(random_state).permutation(both)[:n]
    return _parted(target, np.isin(ratings_of(target, "cold_users").users, chosen))


def leave_one_out(target: Domain, random_state: Any = 0) -> tuple[Domain, Domain]:
    """Return (train, test): each user's latest row is the test, or a random one where there are no times.

    Who has one row only keeps it.

    Raises
    ------
    InputError
        When no user has two rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from headstart.recommend import ratings_domain
    >>> rows = pd.DataFrame({"user": [1, 1, 2], "item": ["up", "heat", "up"], "when": [5, 3, 4]})
    >>> train, test = leave_one_out(ratings_domain(rows, time="when"))
    >>> test.X.items.tolist(), len(train)
    (['up'], 2)
    """
    target = target.labelled_rows()
    rows = ratings_of(target, "leave_one_out")
    order = canonical_rows(rows)
    # Rows in random order, then by time: of a user's latest rows a random one is last.
    order = np.random.default_rng(random_state).permutation(order)
    if rows.times is not None:
        order = order[np.argsort(rows.times[order], kind="stable")]
    _, user = np.unique(rows.users, return_inverse=True)
    order = order[np.argsort(user[order], kind="stable")]
    last = np.append(user[order][1:] != user[order][:-1], True)
    several = np.bincount(user)[user[order]] > 1
    if not (last & several).any():
        raise InputError(f"{target.name}: no user has two rows, so none can be left out; take protocol cold or random")
    held = np.zeros(len(rows), dtype=bool)
    held[order[last & several]] = True
    return _parted(target, held)


def temporal(target: Domain, share: float = 0.2) -> tuple[Domain, Domain]:
    """Return (train, test): the test is what came last, about a share of the rows; rows of one time stay together.

    Sources know the future too: `until` cuts them at the same time.

    Raises
    ------
    NeedsError
        When there are no times.
    InputError
        When the share is not between 0 and 1, or all rows are of one time.

    Examples
    --------
    >>> import pandas as pd
    >>> from headstart.recommend import ratings_domain
    >>> rows = pd.DataFrame({"user": [1, 1, 2, 2], "item": ["up", "heat", "up", "heat"], "when": [1, 2, 3, 4]})
    >>> train, test = temporal(ratings_domain(rows, time="when"), share=0.25)
    >>> test.X.times.tolist()
    [4.0]
    """
    _require_share(share)
    target = target.labelled_rows()
    times = _times(target)
    held = times > np.quantile(times, 1 - share, method="lower")
    return _parted(target, held)


def until(domain: Domain, time: float) -> Domain:
    """Return the rows of a domain that are not later than a time.

    Raises
    ------
    NeedsError
        When there are no times, or nothing is left.
    """
    kept = _times(domain) <= time
    if not kept.any():
        raise NeedsError(f"{domain.name}: all rows are later than the target's training rows; take another protocol")
    return domain if kept.all() else domain.rows(kept)


def random_rows(target: Domain, share: float = 0.2, random_state: Any = 0) -> tuple[Domain, Domain]:
    """Return (train, test): a share of the rows, drawn at random.

    Raises
    ------
    InputError
        When the share is not between 0 and 1, or nothing is left to learn from.
    """
    _require_share(share)
    target = target.labelled_rows()
    order = np.random.default_rng(random_state).permutation(canonical_rows(ratings_of(target, "random_rows")))
    held = np.zeros(len(order), dtype=bool)
    held[order[: min(max(1, round(share * len(order))), len(order))]] = True
    return _parted(target, held)


def split(
    protocol: str, sources: Sequence[Domain], target: Domain, share: float | None = None, random_state: Any = 0
) -> tuple[list[Domain], Domain, Domain]:
    """Return sources, train and test of a protocol by name; of "temporal" the sources end where training ends.

    Raises
    ------
    InputError
        When there is no such protocol, or as the protocols do.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol must be one of {', '.join(PROTOCOLS)}, not {protocol!r}")
    if protocol == "cold":
        return list(sources), *cold_users(sources, target, 0.5 if share is None else share, random_state)
    if protocol == "leave-one-out":
        if share is not None:
            raise InputError("leave-one-out leaves out a row of each user; a share goes with the other protocols")
        return list(sources), *leave_one_out(target, random_state)
    share = 0.2 if share is None else share
    if protocol == "random":
        return list(sources), *random_rows(target, share, random_state)
    train, test = temporal(target, share)
    return [until(source, float(_times(train).max())) for source in sources], train, test


def shared_users(sources: Sequence[Domain], target: Domain) -> np.ndarray:
    """Return the ids of the target's users who stand in a source too, sorted; none where ids are not shared."""
    here = ratings_of(target, "shared_users")
    if here.shared not in ("users", "both"):
        return here.users[:0]
    there = [np.unique(ratings_of(source.labelled_rows(), "shared_users").users) for source in sources]
    users = np.unique(here.users)
    found = np.zeros(len(users), dtype=bool)
    for ids in there:
        found |= np.isin(users, ids) if ids.dtype.kind == users.dtype.kind else False
    return users[found]


def canonical_rows(rows: Ratings) -> np.ndarray:
    """Return the positions of rows in an order that does not hang on how they were given, shape (n,)."""
    keys = (rows.items, rows.users)
    return np.lexsort(keys if rows.times is None else (*keys, rows.times))


def _times(domain: Domain) -> np.ndarray:
    times = ratings_of(domain, "temporal").times
    if times is None:
        raise NeedsError(f"{domain.name}: has no times, which a temporal protocol parts by; name their column")
    return times


def _parted(target: Domain, held: np.ndarray) -> tuple[Domain, Domain]:
    if held.all():
        raise InputError(f"{target.name}: all rows would be test rows; hold out a smaller share")
    if not held.any():
        raise InputError(
            f"{target.name}: no row would be a test row; hold out a larger share, or take another protocol"
        )
    return target.rows(~held), target.rows(held)


def _require_share(share: float) -> None:
    if not 0 < share < 1:
        raise InputError(f"the share that is held out must be between 0 and 1, not {share:g}")
