"""Validators: numbers that say which candidate is good, where no target label is known."""

from headstart.choose.validators.certainty import entropy, information_maximisation, nuclear_norm
from headstart.choose.validators.clusters import class_clusters, class_silhouette
from headstart.choose.validators.crowd import agreement
from headstart.choose.validators.evidence import Probes, Unlabelled, Validator
from headstart.choose.validators.neighbours import mixed_rows, soft_neighbourhood_density
from headstart.choose.validators.source import deep_embedded, importance_weighted, source_risk
from headstart.choose.validators.stability import stability
from headstart.choose.validators.way_back import circular, reverse
from headstart.domain import Task

_BOTH: tuple[Task, ...] = ("classification", "regression")
_PROBABILITIES = "target_probabilities"

VALIDATORS = {
    validator.name: validator
    for validator in (
        Validator("source-risk", "source", source_risk, tasks=_BOTH),
        Validator("importance-weighted", "source", importance_weighted, tasks=_BOTH),
        Validator("dev", "source", deep_embedded, tasks=_BOTH),
        Validator("entropy", "certainty", entropy, _PROBABILITIES),
        Validator("information-maximisation", "certainty", information_maximisation, _PROBABILITIES),
        Validator("nuclear-norm", "certainty", nuclear_norm, _PROBABILITIES),
        Validator("soft-neighbourhood-density", "neighbours", soft_neighbourhood_density, _PROBABILITIES),
        Validator("mixval", "neighbours", mixed_rows, "probes"),
        Validator("class-clusters", "clusters", class_clusters),
        Validator("class-silhouette", "distances", class_silhouette),
        Validator("reverse", "way back", reverse, "way_back", _BOTH),
        Validator("circular", "way back", circular, "way_back_by_method", _BOTH),
        Validator("stability", "stability", stability, "by_fold", _BOTH),
        Validator("crowd", "crowd", agreement, "crowd", _BOTH),
    )
}

__all__ = ["VALIDATORS", "Probes", "Unlabelled", "Validator"]
