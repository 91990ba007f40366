"""Recommendation across domains, devices and scenarios: what was liked here helps to recommend there."""

from headstart.recommend.base import CrossDomainMethod, RatingLearner
from headstart.recommend.collective import CollectiveMF
from headstart.recommend.embedding_mapping import EmbeddingMapping
from headstart.recommend.evaluation import compare, evaluate
from headstart.recommend.factorization import MatrixFactorization
from headstart.recommend.global_mean import GlobalMean
from headstart.recommend.histories import Histories
from headstart.recommend.judgement import Evaluation
from headstart.recommend.neighbors import CrossDomainItemKNN, ItemKNN
from headstart.recommend.pooled_ratings import PooledRatings
from headstart.recommend.rating_files import read_ratings
from headstart.recommend.ratings import Ratings, ratings_domain, ratings_domains
from headstart.recommend.recommender import Guest, Recommendations, Recommender

__all__ = [
    "CollectiveMF",
    "CrossDomainItemKNN",
    "CrossDomainMethod",
    "EmbeddingMapping",
    "Evaluation",
    "GlobalMean",
    "Guest",
    "Histories",
    "ItemKNN",
    "MatrixFactorization",
    "PooledRatings",
    "RatingLearner",
    "Ratings",
    "Recommendations",
    "Recommender",
    "compare",
    "evaluate",
    "ratings_domain",
    "ratings_domains",
    "read_ratings",
]
