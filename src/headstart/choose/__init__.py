"""Choosing: candidates, trials on paired repeated splits, choice without labels, and the guard."""

from headstart.choose.candidates import Candidate, shortlist
from headstart.choose.guard import GUARDS, Decision, decide
from headstart.choose.splits import TargetKFold
from headstart.choose.trial import Trial, try_all
from headstart.choose.unlabelled import WeightedTrial, try_without_labels

__all__ = [
    "GUARDS",
    "Candidate",
    "Decision",
    "TargetKFold",
    "Trial",
    "WeightedTrial",
    "decide",
    "shortlist",
    "try_all",
    "try_without_labels",
]
