"""Choosing: candidates, trials on paired repeated splits, choice without labels, and the guard."""

from headstart.choose.candidates import Candidate, shortlist
from headstart.choose.guard import GUARDS, Decision, decide
from headstart.choose.kept import Kept
from headstart.choose.model_ranking import rank_models
from headstart.choose.ranking import Ranking
from headstart.choose.scorers import target_accuracy, validator_scorer
from headstart.choose.search import Searched, search, try_all
from headstart.choose.source_ranking import rank_sources
from headstart.choose.sources import SourceValues, source_values
from headstart.choose.splits import (
    LeaveOneSourceOut,
    RepeatedTargetKFold,
    SourceKFold,
    TargetKFold,
    folds_of,
    pseudo_targets,
)
from headstart.choose.trial import Trial
from headstart.choose.unlabelled import Validation, validate
from headstart.choose.validators import VALIDATORS, Unlabelled

__all__ = [
    "GUARDS",
    "VALIDATORS",
    "Candidate",
    "Decision",
    "Kept",
    "LeaveOneSourceOut",
    "Ranking",
    "RepeatedTargetKFold",
    "Searched",
    "SourceKFold",
    "SourceValues",
    "TargetKFold",
    "Trial",
    "Unlabelled",
    "Validation",
    "decide",
    "folds_of",
    "pseudo_targets",
    "rank_models",
    "rank_sources",
    "search",
    "shortlist",
    "source_values",
    "target_accuracy",
    "try_all",
    "validate",
    "validator_scorer",
]
