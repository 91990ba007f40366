"""What recommenders have in common: learners of one heap of histories, and methods that carry between domains."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from headstart.domain import Domain, Task, stack
from headstart.errors import InputError, NeedsError, unknown_name
from headstart.method import Family, Knowledge, Method, Needs, four_steps
from headstart.recommend.histories import Histories
from headstart.recommend.ratings import Ratings, as_domains
from headstart.recommend.recommender import Guest, Recommendations, Recommender
from headstart.recommend.scorers import Scorer

#: How many ratings the mean of all counts for where an item has few of its own.
PRIOR = 5.0


def fallback_scores(histories: Histories) -> np.ndarray:
    """Return what everybody gets who did nothing yet, shape (m,): popularity, or mean ratings drawn to the mean.

    An item's mean counts with its ratings, and the mean of all as five.
    """
    R = histories.part(histories.target)
    counts = np.asarray((R != 0).sum(axis=0)).ravel() if not histories.explicit else R.getnnz(axis=0)
    if not histories.explicit:
        return np.asarray(counts, dtype=np.float32)
    mean = float(R.data.mean()) if R.nnz else 0.0
    sums = np.asarray(R.sum(axis=0)).ravel()
    return np.asarray((sums + PRIOR * mean) / (counts + PRIOR), dtype=np.float32)


class RatingLearner(RegressorMixin, BaseEstimator):
    """Learns to recommend from one heap of histories; what a method does with several is the method's.

    A member writes `scorer`.
    """

    #: "regression" where its scores are ratings, "ranking" where they order items.
    tasks: ClassVar[tuple[Task, ...]] = ("regression", "ranking")

    @abstractmethod
    def scorer(self, histories: Histories) -> Scorer:
        """Learn from histories of all domains in them, and return what scores the items of the last."""

    def recommender(self, histories: Histories) -> Recommender:
        """Return a recommender of the last domain's items."""
        return Recommender(histories, self.scorer(histories), fallback_scores(histories), type(self).__name__)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from ratings.

        Parameters
        ----------
        X : Ratings, Domain, or DataFrame with columns user, item, domain and perhaps rating
            Of one domain or several; the last one's items are recommended.
        y : array-like of shape (n,), optional
            Ratings. Without, what happened is all there is to learn from.
        sample_weight : None
            Rows are not weighed.
        """
        if sample_weight is not None:
            raise NeedsError(f"{type(self).__name__} takes no sample_weight; leave the weights out")
        if isinstance(X, Ratings):
            if y is not None and len(np.asarray(y)) != len(X):
                raise InputError(f"{len(X)} rows but {len(np.asarray(y))} ratings")
            implicit = y is None or (np.asarray(y) == 1).all()
            task: Any = "ranking" if implicit else "regression"
            parts = [Domain(X, np.ones(len(X)) if implicit else y, X.names[-1], task=task)]
        else:
            parts = list(as_domains(X).values())
        self.recommender_ = self.recommender(Histories.of(parts))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return how much the user of each row likes its item, shape (n,)."""
        check_is_fitted(self, "recommender_")
        return self.recommender_.predict(X)

    def ranks(self, X: Any) -> np.ndarray:
        """Return the rank of each row's item among those its user has not seen, shape (n,)."""
        check_is_fitted(self, "recommender_")
        return self.recommender_.ranks(X)


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
        from headstart.recommend.factorization import MatrixFactorization

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


