"""Recommendation across domains, devices and scenarios: what was liked here helps to recommend there."""

from headstart.recommend.base import CrossDomainMethod, RatingLearner
from headstart.recommend.collective import CollectiveMF
from headstart.recommend.embedding_mapping import EmbeddingMapping
from headstart.recommend.factorization import MatrixFactorization
from headstart.recommend.histories import Histories
from headstart.recommend.neighbors import CrossDomainItemKNN, ItemKNN
from headstart.recommend.ratings import Ratings, ratings_domain, ratings_domains
from headstart.recommend.recommender import Guest, Recommendations, Recommender

__all__ = [
    "CollectiveMF",
    "CrossDomainItemKNN",
    "CrossDomainMethod",
    "EmbeddingMapping",
    "Guest",
    "Histories",
    "ItemKNN",
    "MatrixFactorization",
    "RatingLearner",
    "Ratings",
    "Recommendations",
    "Recommender",
    "ratings_domain",
    "ratings_domains",
]
