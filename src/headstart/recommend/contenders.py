"""Contenders: recommenders by name, those that learn from the target alone and those that carry to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sklearn.base import clone

from headstart.domain import Domain
from headstart.errors import InputError, NeedsError, unknown_name
from headstart.recommend.base import CrossDomainMethod
from headstart.recommend.histories import Histories
from headstart.recommend.protocols import shared_users
from headstart.recommend.rating_learner import RatingLearner
from headstart.recommend.recommender import Recommender

#: Methods that carry, by name: where each stands.
METHODS = {
    "cross-domain-item-knn": ("headstart.recommend.neighbors", "CrossDomainItemKNN"),
    "collective-mf": ("headstart.recommend.collective", "CollectiveMF"),
    "embedding-mapping": ("headstart.recommend.embedding_mapping", "EmbeddingMapping"),
    "personalized-bridge": ("headstart.recommend.personalized_bridge", "PersonalizedBridge"),
    "codebook-transfer": ("headstart.recommend.codebook", "CodebookTransfer"),
    "bi-graph-transfer": ("headstart.recommend.bi_graph", "BiGraphTransfer"),
}
#: Learners of one heap, by name. "pooled-" before a name means that learner on all domains together.
LEARNERS = {
    "popularity": ("headstart.recommend.baselines", "Popularity"),
    "global-mean": ("headstart.recommend.global_mean", "GlobalMean"),
    "item-mean": ("headstart.recommend.baselines", "ItemMean"),
    "user-mean": ("headstart.recommend.baselines", "UserMean"),
    "item-knn": ("headstart.recommend.neighbors", "ItemKNN"),
    "ease": ("headstart.recommend.ease", "EASE"),
    "matrix-factorization": ("headstart.recommend.factorization", "MatrixFactorization"),
}
POOLED = "pooled-"
#: Methods that find their way without a user, or an item, that stands in two domains.
WITHOUT_OVERLAP = ("codebook-transfer",)
#: What is tried when nothing is named, of events and of ratings: what takes seconds.
OF_EVENTS = (
    "popularity",
    "item-knn",
    "ease",
    "matrix-factorization",
    "cross-domain-item-knn",
    "pooled-ease",
    "collective-mf",
    "embedding-mapping",
)
OF_RATINGS = (
    "global-mean",
    "item-mean",
    "user-mean",
    "matrix-factorization",
    "pooled-user-mean",
    "collective-mf",
    "embedding-mapping",
    "codebook-transfer",
)


@dataclass(frozen=True)
class Contender:
    """A recommender to be: a method that carries and its learner, or a learner of the target alone.

    Parameters
    ----------
    name : str
    learner : RatingLearner
    method : CrossDomainMethod, optional
        Without, nothing is carried: a baseline.
    """

    name: str
    learner: RatingLearner
    method: CrossDomainMethod | None = None

    def recommender(self, sources: Sequence[Domain], target: Domain) -> Recommender:
        """Fit, and return what recommends the target's items.

        Raises
        ------
        NeedsError
            When no user stands in two domains and the method needs some, it can't do with its learner, or there are
        ratings and it only orders items.
        """
        tells = "regression" in self.learner.tasks and (self.method is None or "regression" in self.method.needs.tasks)
        if not tells and target.task == "regression":
            raise NeedsError(f"{self.name} orders items and tells no ratings; leave the ratings out (--events)")
        if self.method is None:
            return clone(self.learner).recommender(Histories.of([target]))
        require_overlap(self.name, sources, target)
        refusal = self.method.refuses(self.learner)
        if refusal:
            raise NeedsError(f"{self.name} {refusal}")
        fitted = clone(self.method).fit([*sources, target], target.name, learner=clone(self.learner))
        return fitted.recommender(target.name)


def require_overlap(name: str, sources: Sequence[Domain], target: Domain) -> None:
    """Refuse a method that learns from what stands in two domains where nothing does.

    Raises
    ------
    NeedsError
        Naming the methods that do without.
    """
    rows: Any = target.X
    if name in WITHOUT_OVERLAP or rows.shared in ("items", "both") or len(shared_users(sources, target)):
        return
    there = " or ".join(source.name for source in sources)
    raise NeedsError(
        f"{name} needs users who stand in both, and no user of {target.name} stands in {there}; write their ids one "
        f"way in all domains, or take {', '.join(WITHOUT_OVERLAP)}, which needs none"
    )


def contender(what: Any, learner: RatingLearner | None = None) -> Contender:
    """Return the contender of a name, a method or a learner.

    Parameters
    ----------
    what : str, CrossDomainMethod, RatingLearner or Contender
        Names are those of METHODS and LEARNERS; "pooled-ease" is EASE on all domains.
    learner : RatingLearner, optional
        What methods that carry learn with; by default `MatrixFactorization()`.

    Raises
    ------
    NeedsError
        When there is no such name.

    Examples
    --------
    >>> contender("pooled-item-knn")
    Contender(name='pooled-item-knn', learner=ItemKNN(), method=PooledRatings())
    """
    from headstart.recommend.factorization import MatrixFactorization

    if isinstance(what, Contender):
        return what
    learner = MatrixFactorization() if learner is None else learner
    if isinstance(what, CrossDomainMethod):
        return Contender(name_of(what), learner, what)
    if isinstance(what, RatingLearner):
        return Contender(name_of(what), what)
    name = str(what)
    if name in METHODS:
        return Contender(name, learner, _load(METHODS[name])())
    if name in LEARNERS:
        return Contender(name, _load(LEARNERS[name])())
    if name.removeprefix(POOLED) in LEARNERS:
        from headstart.recommend.pooled_ratings import PooledRatings

        return Contender(name, _load(LEARNERS[name.removeprefix(POOLED)])(), PooledRatings())
    raise NeedsError(unknown_name("recommender", name, [*METHODS, *LEARNERS, f"{POOLED}ease", f"{POOLED}user-mean"]))


def contenders(methods: Any, *, rated: bool, learner: RatingLearner | None = None) -> list[Contender]:
    """Return contenders of names, methods and learners, or of a dict of these by name; None: what is usual.

    Raises
    ------
    InputError
        When two have one name.
    """
    if methods is None:
        methods = OF_RATINGS if rated else OF_EVENTS
    if isinstance(methods, Mapping):
        made = [contender(what, learner) for what in methods.values()]
        return [Contender(str(name), each.learner, each.method) for name, each in zip(methods, made, strict=True)]
    several = [methods] if isinstance(methods, str | CrossDomainMethod | RatingLearner | Contender) else list(methods)
    found = [contender(what, learner) for what in several]
    names = [each.name for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{twice} is named twice; give methods as a dict, with a name for each")
    return found


def name_of(what: Any) -> str:
    """Return what a method or learner is called here.

    >>> from headstart.recommend import CrossDomainItemKNN
    >>> name_of(CrossDomainItemKNN())
    'cross-domain-item-knn'
    """
    named = type(what).__name__
    for name, (_, class_name) in {**METHODS, **LEARNERS}.items():
        if class_name == named:
            return name
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", named).lower()


def _load(place: tuple[str, str]) -> Any:
    return getattr(import_module(place[0]), place[1])
