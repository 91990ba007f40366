"""Candidates: methods that could carry this source to this target, ready to be fitted on target rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

from sklearn.base import clone

from headstart.catalogue import make, name_of, names_in, standard_names
from headstart.delivery import Model, Parcel, Plan, fit_target_only, fit_together, pack, unpack
from headstart.domain import Domain, paired_rows
from headstart.errors import NeedsError
from headstart.method import Family, Method, unannounced, unmet_needs

TARGET_ONLY = "target-only"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A method with all it needs from the source: the rows, or a parcel of knowledge.

    `fit` needs target rows only, so that trials, curves and the delivered model go the same way.
    """

    name: str
    method: Method
    learner: Any
    plan: Plan
    source: Domain | None = None
    parcel: Parcel | None = None

    @property
    def family(self) -> Family:
        """The method's family."""
        return self.method.family

    def fit(self, target: Domain) -> Model:
        """Return a model for target rows."""
        return self.fit_timed(target)[0]

    def fit_timed(
        self, target: Domain, announce: Callable[[str], None] = unannounced
    ) -> tuple[Model, dict[str, float]]:
        """Return a model for target rows, and the seconds of each step; `announce` is told each as it begins."""
        if not self.method.needs.source_labels:
            return fit_target_only(clone(self.method), self.learner, target, self.plan, announce)
        if self.parcel is not None:
            return unpack(self.parcel, target, self.plan, announce)
        assert self.source is not None  # noqa: S101  (a candidate has a parcel or the rows)
        return fit_together(self.method, self.learner, self.source, target, self.plan, announce)


def candidate(method: Method, learner: Any, source: Domain, plan: Plan) -> Candidate:
    """Make a candidate; what can be learned at the source is learned now, once."""
    name = name_of(method)
    if method.needs.source_labels and not method.needs.source_rows:
        return Candidate(name, method, learner, plan, parcel=pack(clone(method), learner, source, plan))
    return Candidate(name, method, learner, plan, source=source)


def no_pair_shared(method: Method, source: Domain, target: Domain) -> str | None:
    """Say that a method that learns from pairs would find none; None where it finds some, or learns otherwise."""
    if not method.needs.pairs or source.pair is None or target.pair is None:
        return None
    if len(paired_rows(source.pair, target.pair, type(method).__name__)):
        return None
    return "learns from paired rows, and no value of pair stands in both domains"


def from_parcel(parcel: Parcel, plan: Plan) -> Candidate:
    """Make a candidate of knowledge that has arrived."""
    return Candidate(name_of(parcel.method), parcel.method, parcel.learner, plan, parcel=parcel)


def _seeded(method: Method, random_state: int) -> Method:
    """Hand the run's seed to a method whose `random_state` is what it is by default."""
    parameter = signature(type(method)).parameters.get("random_state")
    if parameter is None or method.get_params()["random_state"] != parameter.default:
        return method
    return clone(method).set_params(random_state=random_state)


def shortlist(
    methods: Sequence[str | Method] | None,
    learner: Any,
    source: Domain,
    target: Domain,
    plan: Plan,
    random_state: int = 0,
) -> tuple[list[Candidate], dict[str, str]]:
    """Return the candidates that can work here, target-only first, and why others are left out.

    Parameters
    ----------
    methods : sequence of names or methods, optional
        By default the standard ones, and where `plan.different` those that need no shared columns; a family's name or
        "all" stands for those of its methods that can work here.
        Target-only is always tried where the target has labels.
    random_state : int
        For the methods that have a `random_state` and in which it is left at its default.

    Raises
    ------
    NeedsError
        When a method asked for by name can't work here.
    """
    asked = [(method, names_in(method) if isinstance(method, str) else None) for method in methods or ()]
    by_group = [name for _, group in asked for name in group or ()]
    if methods is None:
        by_group = standard_names(different=plan.different)
    by_name = [make(method) for method, group in asked if group is None]
    taken = {name_of(method) for method in by_name}
    several = [make(name) for name in dict.fromkeys(by_group) if name not in taken]
    wanted = [_seeded(method, random_state) for method in (*by_name, *several)]
    if target.n_labelled and not any(name_of(method) == TARGET_ONLY for method in wanted):
        wanted.insert(0, make(TARGET_ONLY))
    wanted.sort(key=lambda method: name_of(method) != TARGET_ONLY)
    chosen, left_out = [], {}
    for method in wanted:
        lack = unmet_needs(
            method, learner, task=plan.task, source=source, target=target, different=plan.different
        ) or no_pair_shared(method, source, target)
        if lack is None:
            chosen.append(candidate(method, learner, source, plan))
        elif name_of(method) not in taken:
            left_out[name_of(method)] = lack
        else:
            raise NeedsError(f"{name_of(method)} {lack}")
    return chosen, left_out
