"""Relation-based transfer: structure carried between worlds whose predicates and objects have other names."""

from headstart.relations.boosting import Boosted, RelationalBoosting
from headstart.relations.examples import Examples, facts_domain
from headstart.relations.facts import Facts, Predicate
from headstart.relations.predicate_mapping import PredicateMapping, Transferred

__all__ = ["Boosted", "Examples", "Facts", "Predicate", "PredicateMapping", "RelationalBoosting", "Transferred", "facts_domain"]
