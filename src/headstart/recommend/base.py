"""What methods that carry behaviour between domains have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from headstart.domain import Domain, stack
from headstart.errors import InputError, unknown_name
from headstart.method import Family, Knowledge, Method, Needs, four_steps
from headstart.recommend.factorization import MatrixFactorization
from headstart.recommend.histories import Histories
from headstart.recommend.rating_learner import fallback_scores
from headstart.recommend.ratings import Ratings, as_domains
from headstart.recommend.recommender import Guest, Recommendations, Recommender
from headstart.recommend.scorers import Scorer


def n_shared(one: Ratings, other: Ratings, what: str) -> int:
    """Return how many "users" or "items" stand in both; none where ids don't mean the same.

    >>> n_shared(Ratings.of([1, 2], [7, 8]), Ratings.of([2, 2], [7, 9]), "users")
    1
    """
    if one.shared not in (what, "both"):
        return 0
    return len(np.intersect1d(getattr(one, what), getattr(other, what)))


@dataclass(frozen=True, eq=False)
class Arrived:
    """What has come to the target: all histories, the target last, and what was learned at the source."""

    histories: Histories
    learned: dict[str, Any]


class CrossDomainMethod(Method):
    """A method that carries behaviour in source domains to a target domain.

    A member writes `scorer`, and `at_source` if it learns something at the source alone.
    """

    needs: ClassVar[Needs] = Needs(
        target_labels=True,
        same_features=False,
        learner="any",
        tasks=("regression", "ranking"),
        reads=("ratings",),
    )
    family: ClassVar[Family] = Family.FEATURES
    #: How many users must stand in a source and in the target before a run tries the method; 0 where it needs none.
    least_shared: ClassVar[int] = 0

    def lacks(self, source: Domain, target: Domain) -> str | None:
        """Say that there are too few users who stand in both domains."""
        n = n_shared(source.X, target.labelled_rows().X, "users")
        if n >= self.least_shared:
            return None
        return (
            f"learns from users who stand in {source.name} and in {target.name}: {n} do, and a run takes "
            f"{self.least_shared}"
        )

    def at_source(self, histories: Histories, learner: Any) -> dict[str, Any]:
        """Learn from the sources alone; return arrays by name."""
        return {}

    @abstractmethod
    def scorer(self, arrived: Arrived, learner: Any) -> Scorer:
        """Learn the target task with what has arrived; return what scores the target's items."""

    def learn_source(self, source: Domain, learner: Any) -> Arrived:
        """Step 1: histories of the sources, and what is learned of them alone."""
        histories = Histories.of([source])
        return Arrived(histories, self.at_source(histories, learner))

    def extract(self, learned: Arrived, source: Domain) -> Knowledge:
        """Step 2: what was learned travels, and the histories by which users are found again."""
        rows = source.labelled_rows()
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=True,
            arrays={"X": rows.X, "y": rows.labels, **learned.learned},
            facts={"rows": len(rows), "task": source.task},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> Arrived:
        """Step 3: users and items of source and target stand in one table of histories."""
        ratings = knowledge.arrays["X"]
        source = Domain(ratings, knowledge.arrays["y"], "source", task=knowledge.facts["task"])
        learned = {name: array for name, array in knowledge.arrays.items() if name not in ("X", "y")}
        return Arrived(Histories.of([source, target]), learned)

    def learn_target(self, carried: Arrived, target: Domain, learner: Any) -> Recommender:
        """Step 4: learn to score the target's items."""
        histories = carried.histories
        name = type(self).__name__
        return Recommender(histories, self.scorer(carried, learner), fallback_scores(histories), name)

    def fit(self, interactions: Any, target: str | None = None, *, learner: Any = None) -> Self:
        """Run the four steps towards one domain, or towards each in turn.

        Parameters
        ----------
        interactions : DataFrame or domains of ratings
            With columns user, item, domain and perhaps rating and timestamp; or what `ratings_domains` returns.
        target : str, optional
            The domain whose items are to be recommended; by default each is once the target and the others sources.
        learner : RatingLearner, optional
            What factorises each domain, where the method takes one. By default `MatrixFactorization()`.

        Raises
        ------
        InputError
            When there are fewer than two domains, or the target is none of them.
        """
        domains = as_domains(interactions)
        if len(domains) < 2:
            raise InputError(f"{type(self).__name__} carries between domains, and there is one ({', '.join(domains)})")
        if target is not None and target not in domains:
            raise InputError(unknown_name("domain", target, domains))
        learner = MatrixFactorization() if learner is None else learner
        self.recommenders_ = {}
        for name in [target] if target else domains:
            source = stack([each for each in domains.values() if each.name != name])
            self.recommenders_[name] = four_steps(self, source, domains[name], learner).predictor
        return self

    def recommender(self, domain: str | None = None) -> Recommender:
        """Return the recommender of a domain; the only one where it is not named."""
        check_is_fitted(self, "recommenders_")
        if domain is None and len(self.recommenders_) == 1:
            return next(iter(self.recommenders_.values()))
        if domain is None or domain not in self.recommenders_:
            raise InputError(unknown_name("domain", str(domain), self.recommenders_))
        return self.recommenders_[domain]

    def recommend(
        self,
        user: Any,
        k: int = 10,
        domain: str | None = None,
        *,
        exclude_seen: bool = True,
        candidates: Any = None,
    ) -> Recommendations:
        """Return the k best items of a domain for a user; see `Recommender.recommend`."""
        found = self.recommender(domain)
        return found.recommend(user, k, exclude_seen=exclude_seen, candidates=candidates)

    def fold_in(self, history: Any, domain: str | None = None) -> Guest:
        """Return someone new by what they did; see `Recommender.fold_in`."""
        return self.recommender(domain).fold_in(history)

    def similar_items(self, item: Any, k: int = 10, domain: str | None = None) -> Recommendations:
        """Return items of a domain like one of it; see `Recommender.similar_items`."""
        return self.recommender(domain).similar_items(item, k)

    def explain(self, user: Any, item: Any, domain: str | None = None, k: int = 5) -> Any:
        """Return which events led to an item; see `Recommender.explain`."""
        return self.recommender(domain).explain(user, item, k)
