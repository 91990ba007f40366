"""Recommendation across domains, devices and scenarios: what was liked here helps to recommend there."""

from headstart.recommend.base import CrossDomainMethod
from headstart.recommend.baselines import ItemMean, Popularity, UserMean
from headstart.recommend.bi_graph import BiGraphTransfer
from headstart.recommend.codebook import CodebookTransfer
from headstart.recommend.collective import CollectiveMF
from headstart.recommend.ease import EASE
from headstart.recommend.embedding_mapping import EmbeddingMapping
from headstart.recommend.evaluation import compare, evaluate
from headstart.recommend.factorization import MatrixFactorization
from headstart.recommend.global_mean import GlobalMean
from headstart.recommend.histories import Histories
from headstart.recommend.judgement import Evaluation
from headstart.recommend.neighbors import CrossDomainItemKNN, ItemKNN
from headstart.recommend.personalized_bridge import PersonalizedBridge
from headstart.recommend.pooled_ratings import PooledRatings
from headstart.recommend.rating_files import read_ratings
from headstart.recommend.rating_learner import RatingLearner
from headstart.recommend.ratings import Ratings, ratings_domain, ratings_domains
from headstart.recommend.recommender import Guest, Recommendations, Recommender
from headstart.recommend.scenario_net import ScenarioNet
from headstart.recommend.shuffled_scenarios import ScenarioEvidence, scenario_evidence

__all__ = [
    "EASE",
    "BiGraphTransfer",
    "CodebookTransfer",
    "CollectiveMF",
    "CrossDomainItemKNN",
    "CrossDomainMethod",
    "EmbeddingMapping",
    "Evaluation",
    "GlobalMean",
    "Guest",
    "Histories",
    "ItemKNN",
    "ItemMean",
    "MatrixFactorization",
    "PersonalizedBridge",
    "PooledRatings",
    "Popularity",
    "RatingLearner",
    "Ratings",
    "Recommendations",
    "Recommender",
    "ScenarioEvidence",
    "ScenarioNet",
    "UserMean",
    "compare",
    "evaluate",
    "ratings_domain",
    "ratings_domains",
    "read_ratings",
    "scenario_evidence",
]
