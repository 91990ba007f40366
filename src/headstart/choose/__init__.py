"""Choosing: candidates, trials on paired repeated splits, choice without labels, and the guard."""

from headstart.choose.candidates import Candidate, shortlist
from headstart.choose.guard import GUARDS, Decision, decide
from headstart.choose.kept import Kept
from headstart.choose.search import Searched, search, try_all
from headstart.choose.sources import SourceValues, source_values
from headstart.choose.splits import TargetKFold, folds_of
from headstart.choose.trial import Trial
from headstart.choose.unlabelled import WeightedTrial, try_without_labels

__all__ = [
    "GUARDS",
    "Candidate",
    "Decision",
    "Kept",
    "Searched",
    "SourceValues",
    "TargetKFold",
    "Trial",
    "WeightedTrial",
    "decide",
    "folds_of",
    "search",
    "shortlist",
    "source_values",
    "try_all",
    "try_without_labels",
]
