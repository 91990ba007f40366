"""Relation-based transfer: structure carried between worlds whose predicates and objects have other names."""

from headstart.relations.boosting import Boosted, RelationalBoosting
from headstart.relations.examples import Examples, facts_domain
from headstart.relations.facts import Facts, Predicate

__all__ = ["Boosted", "Examples", "Facts", "Predicate", "RelationalBoosting", "facts_domain"]
