"""Candidates: methods that could carry this source to this target, ready to be fitted on target rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sklearn.base import clone

from headstart.catalogue import find, make, name_of, names_in, standard_names
from headstart.choose.settings import others_like
from headstart.delivery import Model, Plan, fit_target_only, fit_together
from headstart.domain import WORLDS, Domain, paired_rows
from headstart.errors import NeedsError
from headstart.method import Family, Method, unannounced, unmet_needs
from headstart.parcel import Parcel, pack, unpack

TARGET_ONLY = "target-only"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A method with all it needs from the source: the rows, or a parcel of knowledge.

    `fit` needs target rows only, so that trials, curves and the delivered model go the same way. With `alone` the
    method is given nothing from the source, though it could take it.
    """

    name: str
    method: Method
    learner: Any
    plan: Plan
    source: Domain | None = None
    parcel: Parcel | None = None
    alone: bool = False

    @property
    def family(self) -> Family:
        """The method's family."""
        return self.method.family

    @property
    def from_target_alone(self) -> bool:
        """Whether nothing is taken from the source."""
        return self.alone or not self.method.needs.source_labels

    def fit(self, target: Domain) -> Model:
        """Return a model for target rows."""
        return self.fit_timed(target)[0]

    def fit_timed(
        self, target: Domain, announce: Callable[[str], None] = unannounced
    ) -> tuple[Model, dict[str, float]]:
        """Return a model for target rows, and the seconds of each step; `announce` is told each as it begins."""
        if self.from_target_alone:
            return fit_target_only(clone(self.method), self.learner, target, self.plan, announce)
        if self.parcel is not None:
            return unpack(self.parcel, target, self.plan, announce)
        assert self.source is not None  # noqa: S101  (a candidate has a parcel or the rows)
        return fit_together(self.method, self.learner, self.source, target, self.plan, announce)


def candidate(
    method: Method, learner: Any, source: Domain, plan: Plan, announce: Callable[[str], None] = unannounced
) -> Candidate:
    """Make a candidate; what can be learned at the source is learned now, once."""
    name = name_of(method)
    if method.needs.source_labels and not method.needs.source_rows:
        return Candidate(name, method, learner, plan, parcel=pack(clone(method), learner, source, plan, announce))
    return Candidate(name, method, learner, plan, source=source)


def with_other_settings(entry: Candidate, source: Domain, trials: int) -> list[Candidate]:
    """Return the candidate with other settings that are worth a trial, each named after them."""
    if trials < 2 or entry.from_target_alone:
        return []
    return [
        replace(candidate(method, entry.learner, source, entry.plan), name=name)
        for name, method in others_like(entry.method, trials)
    ]


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
    return _given(method, "random_state", random_state)


def reading(method: Method, plan: Plan) -> Method:
    """Hand the run's pretrained model to a method that trains a network, where none was named for it."""
    if not method.needs.items or plan.reader is None:
        return method
    # By its name, so that what is learned can be written down, unless there is more to say than that.
    return _given(method, "model", plan.reader if plan.reader.options else plan.reader.model)


def _given(method: Method, name: str, value: Any) -> Method:
    """Return the method with a parameter set that is what it is by default."""
    now = method.get_params(deep=False)
    if name not in now or now[name] != type(method)().get_params(deep=False)[name]:
        return method
    return clone(method).set_params(**{name: value})


def shortlist(
    methods: Sequence[str | Method] | None,
    learner: Any,
    source: Domain,
    target: Domain,
    plan: Plan,
    random_state: int = 0,
    announce: Callable[[str], None] = unannounced,
) -> tuple[list[Candidate], dict[str, str]]:
    """Return the candidates that can work here, target-only first, and why others are left out.

    Parameters
    ----------
    methods : sequence of names or methods, optional
        By default the standard ones, and where `plan.different` those that need no shared columns; a family's name or
        "all" stands for those of its methods that can work here.
        Target-only is always tried where the target has labels; and each method that trains a network, also on the
        target alone.
    random_state : int
        For the methods that have a `random_state` and in which it is left at its default.
    announce : callable
        Told each step at the source as it begins.

    Raises
    ------
    NeedsError
        When a method asked for by name can't work here.
    """
    reads = target.modality if target.modality in WORLDS else "table"
    asked = [(method, names_in(method) if isinstance(method, str) else None) for method in methods or ()]
    by_group = [name for _, group in asked for name in group or ()]
    if methods is None:
        by_group = standard_names(different=plan.different, reads=reads)
    by_group = [name for name in by_group if reads in find(name).load().needs.reads]
    by_name = [make(method) for method, group in asked if group is None]
    taken = {name_of(method) for method in by_name}
    several = [make(name) for name in dict.fromkeys(by_group) if name not in taken]
    wanted = [reading(_seeded(method, random_state), plan) for method in (*by_name, *several)]
    if target.n_labelled and not any(name_of(method) == TARGET_ONLY for method in wanted):
        wanted.insert(0, make(TARGET_ONLY))
    wanted.sort(key=lambda method: name_of(method) != TARGET_ONLY)
    chosen, left_out = [], {}
    for method in wanted:
        lack = unmet_needs(method, learner, task=plan.task, source=source, target=target, different=plan.different)
        lack = lack or no_pair_shared(method, source, target) or method.lacks(source, target)
        if lack is None:
            try:
                made = candidate(method, learner, source, plan, announce)
            except NeedsError as error:
                # What a network lacks shows when it is looked at: no head of its own, no batch norm, no teacher.
                if not method.needs.items or name_of(method) in taken:
                    raise
                left_out[name_of(method)] = str(error)
                continue
            chosen.append(made)
            if method.needs.items and target.n_labelled:
                chosen.append(Candidate(f"{TARGET_ONLY}, {made.name}", method, learner, plan, alone=True))
        elif name_of(method) not in taken:
            left_out[name_of(method)] = lack
        else:
            raise NeedsError(f"{name_of(method)} {lack}")
    chosen.sort(key=lambda each: not each.from_target_alone)
    return chosen, left_out
