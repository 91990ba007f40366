"""What there is to know of a run on ratings: who and what stands in each domain, and what is recommended, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.domain import Domain
from headstart.recommend.base import n_shared
from headstart.recommend.recommender import Recommender

#: Users that are told of, the items that each gets, and the events that are named as reasons.
EXAMPLES, TOP, REASONS = 5, 5, 3
#: By how many rows users are put together: none, up to five, up to twenty, more.
FEW, SOME = 5, 20


@dataclass(frozen=True)
class Inhabitants:
    """Who and what stands in a domain of ratings.

    Attributes
    ----------
    name : str
    rows, users, items : int
    density : float
        The share of all pairs of a user and an item that there is a row of.
    shared_users, shared_items : int
        Those that stand in the target too; 0 where ids don't mean the same.
    """

    name: str
    rows: int
    users: int
    items: int
    density: float
    shared_users: int
    shared_items: int


@dataclass(frozen=True)
class Example:
    """What one user is recommended.

    Attributes
    ----------
    user : str
    how : str
        What it comes from: "history in game, carried to video".
    items : list of str
        Best first.
    reasons : list of (domain, item)
        What of the user's history counts most for these items together, most first.
    """

    user: str
    how: str
    items: list[str]
    reasons: list[tuple[str, str]]


@dataclass(frozen=True)
class Recommendation:
    """Who and what stands in each domain, the target last, and what some users are recommended.

    Attributes
    ----------
    shared : {"users", "items", "both", "none"}
        Which ids mean the same in every domain.
    explicit : bool
        Whether there are ratings, not only events.
    held_out : {"rows", "users"}
    domains : list of Inhabitants
    examples : list of Example
        Of users drawn at random, those who did nothing in the target yet first.
    """

    shared: str
    explicit: bool
    held_out: str
    domains: list[Inhabitants]
    examples: list[Example]

    def document(self) -> dict[str, Any]:
        """Return it in plain types."""
        return asdict(self)


def activity(users: np.ndarray, domain: Domain, less: int = 0) -> np.ndarray:
    """Return in words how many labelled rows of a domain each user has, shape (n,); `less` are not counted.

    Examples
    --------
    >>> from headstart.recommend import Ratings
    >>> rows = Domain(Ratings.of([1] * 7 + [2], range(8)), np.ones(8), task="ranking")
    >>> activity(np.array([1, 2, 3]), rows).tolist()
    ['6 to 20', '1 to 5', 'none']
    """
    known, counts = np.unique(domain.labelled_rows().X.users, return_counts=True)
    if known.dtype.kind != users.dtype.kind:
        known, users = known.astype(str), users.astype(str)
        order = np.argsort(known)
        known, counts = known[order], counts[order]
    at = np.searchsorted(known, users).clip(0, len(known) - 1)
    rows = np.where(known[at] == users, counts[at] - less, 0)
    named = np.array(["none", f"1 to {FEW}", f"{FEW + 1} to {SOME}", f"more than {SOME}"])
    return np.asarray(named[np.searchsorted([1, FEW + 1, SOME + 1], rows, side="right")])


def recommendation_of(
    recommender: Recommender, source: Domain | None, target: Domain, random_state: int = 0
) -> Recommendation:
    """Return who and what stands in the domains, and examples of what a recommender says.

    Parameters
    ----------
    recommender : Recommender
        The delivered one.
    source : Domain, optional
        One domain of ratings, or several that were stacked.
    target : Domain
    random_state : int
        Draws the users of the examples.
    """
    parts = [] if source is None else source.parts()
    return Recommendation(
        target.X.shared,
        target.task == "regression",
        target.X.held_out,
        [inhabitants(part, target) for part in (*parts, target)],
        [example(recommender, user) for user in examples_of(recommender, random_state)],
    )


def inhabitants(domain: Domain, target: Domain) -> Inhabitants:
    """Count who and what stands in a domain, and in the target too."""
    rows = domain.labelled_rows().X
    users, items = len(np.unique(rows.users)), len(np.unique(rows.items))
    return Inhabitants(
        domain.name,
        len(rows),
        users,
        items,
        len(rows) / (users * items),
        n_shared(rows, target.X, "users"),
        n_shared(rows, target.X, "items"),
    )


def examples_of(recommender: Recommender, random_state: int) -> np.ndarray:
    """Return ids of a few users: of those who did nothing in the target about half, where there are any."""
    histories = recommender.histories
    here = histories.active(histories.target)
    order = np.random.default_rng(random_state).permutation(len(histories.users))
    cold = [i for i in order.tolist() if not here[i]][: (EXAMPLES + 1) // 2]
    warm = [i for i in order.tolist() if here[i]][: EXAMPLES - len(cold)]
    return np.asarray(histories.users[[*cold, *warm]])


def example(recommender: Recommender, user: Any) -> Example:
    """Tell what a user is recommended, and which of the user's events count most for it."""
    found = recommender.recommend(user, TOP)
    effects: dict[tuple[str, str], float] = {}
    for item in found.items:
        why = recommender.explain(user, item, REASONS)
        for domain, cause, effect in zip(why["domain"], why["item"], why["effect"], strict=True):
            if effect > 0:
                effects[domain, str(cause)] = effects.get((domain, str(cause)), 0.0) + float(effect)
    reasons = sorted(effects, key=lambda event: (-effects[event], event))[:REASONS]
    return Example(str(user), found.how, [str(item) for item in found.items], reasons)
