"""The whole road: look, shortlist, try, verdict, deliver; and its two halves, learn and carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from headstart.catalogue import make, travelling_names
from headstart.choose import shortlist
from headstart.choose.candidates import TARGET_ONLY, from_parcel
from headstart.delivery import Parcel, Plan, pack, read_parcel, without_rows
from headstart.domain import Domain, Task, require_classes, require_learnable, stack
from headstart.errors import InputError, unknown_name
from headstart.evidence import measure_shift
from headstart.evidence.gain import metric_for
from headstart.learners import make_learner
from headstart.method import Method
from headstart.readers import align
from headstart.result import Result
from headstart.road import Progress, Road, silent


def run(
    source: Domain | Sequence[Domain],
    target: Domain,
    *,
    test: Domain | None = None,
    learner: Any = "auto",
    methods: Sequence[str | Method] | None = None,
    metric: str | None = None,
    guard: str = "strict",
    vectorizer: Any = "auto",
    folds: int = 5,
    repeats: int = 5,
    curve_draws: int = 5,
    budget: str | float | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> Result:
    """Find out whether and how a source helps a target, and deliver the model.

    Look (how far apart are they?), shortlist (which methods can work here?), try (all on the same repeated splits
    of the labelled target rows), verdict (the gain over target-only with an interval), deliver (what the guard
    allows). A target without labels is told so: candidates are then chosen by importance-weighted validation on
    the source.

    Parameters
    ----------
    source : Domain or sequence of Domain
        Labelled source data; several sources are stacked.
    target : Domain
        The target; labels may be missing in part or altogether.
    test : Domain, optional
        More labelled target rows, never used to learn or to choose. When given, the verdict is measured on them.
    learner : str or estimator, default "auto"
        "auto" (logistic or ridge regression), "logistic", "ridge", "svm", "forest", "boosting", or a scikit-learn
        estimator.
    methods : sequence of str or Method, optional
        Candidates: names, families ("instance-based"), "all", or methods with parameters of their own. By default the
        standard ones of the catalogue, see `headstart.methods()`.
    metric : str, optional
        "accuracy" or "log loss"; "mean absolute error" or "mean squared error".
    guard : {"strict", "lenient", "off"}
        strict: target-only is delivered unless the transfer is shown to help. lenient: a transfer that looks like
        helping and is not shown to hurt is delivered. off: the best-looking transfer is.
    vectorizer : "auto", "passthrough" or transformer
        How rows become numbers; see `headstart.readers.Vectorizer`.
    folds, repeats : int
        Cross-validation on the labelled target rows.
    curve_draws : int
        Draws behind each point of the learning curve; 0 leaves the curve out.
    budget : str or float, optional
        Time for trying, such as "5m" or seconds; no further repeat begins after it.
    random_state : int
        The same number gives the same result.
    n_jobs : int
        Fits at the same time (threads).
    progress : callable
        Called with (what is going on, done, total).

    Returns
    -------
    Result

    Raises
    ------
    InputError, NeedsError
        When data or settings don't allow a run.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart import Domain, run
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 5))
    >>> y = (X @ [1, 1, 1, 0, 0] + 0.3 * rng.normal(size=400) > 0).astype(int)
    >>> result = run(Domain(X[:360], y[:360], "source"), Domain(X[360:], y[360:], "target"), curve_draws=0)
    >>> result.verdict in ("helps", "no evidence")
    True
    """
    sources = [source] if isinstance(source, Domain) else list(source)
    _require_domains(sources, target, test)
    aligned = align([*sources, *([] if test is None else [test])], target)
    merged = stack(aligned.sources[: len(sources)])
    target = aligned.target
    merged, target, task = _agree_on_task(merged, target)
    test = None if test is None else replace(aligned.sources[-1], task=task).labelled_rows()
    require_learnable(merged, target)
    plan = Plan(task, aligned.kinds, vectorizer, merged.label or target.label)
    road = Road(
        plan,
        metric_for(task, metric),
        guard,
        folds,
        repeats,
        curve_draws,
        budget,
        random_state,
        n_jobs,
        progress,
    )
    with road.noting():
        road.notes.extend(aligned.notes)
        learner = make_learner(learner, task, random_state)
        candidates, left_out = shortlist(methods, learner, merged, target, plan, random_state)
        progress("look", 0, 1)
        shift = measure_shift(merged, target, kinds=plan.kinds, vectorizer=vectorizer, random_state=random_state)
        progress("look", 1, 1)
        return road.travel(candidates, left_out, target, test, shift, learner, source=merged, sources=sources)


def learn(
    source: Domain | Sequence[Domain],
    method: str | Method = "regular-transfer",
    *,
    learner: Any = "auto",
    vectorizer: Any = "auto",
    allow_source_rows: bool = False,
    random_state: int = 0,
) -> Parcel:
    """Run the first half of the road at the source: learn the source task and extract what may travel.

    Parameters
    ----------
    source : Domain or sequence of Domain
    method : str or Method
        One that needs no source rows later: "regular-transfer" or "source-only".
    allow_source_rows : bool
        Some learners keep rows inside (support vectors, neighbours). That is refused unless allowed here.

    Returns
    -------
    Parcel
        `parcel.save("site.knowledge")`, then `headstart.carry("site.knowledge", target)` elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart import Domain, carry, learn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(340, 5))
    >>> y = (X @ [1, 1, 1, 0, 0] > 0).astype(int)
    >>> parcel = learn(Domain(X[:300], y[:300], "here"))
    >>> parcel.knowledge
    Knowledge(RegularTransfer: W (1, 5), b (1,); no source row)
    >>> result = carry(parcel, Domain(X[300:], y[300:], "there"), curve_draws=0)
    >>> result.choice
    'regular-transfer'
    """
    sources = [source] if isinstance(source, Domain) else list(source)
    aligned = align(sources[:-1], sources[-1])
    merged = stack([*aligned.sources, aligned.target])
    if not merged.n_labelled or merged.task is None:
        raise InputError(f"{merged.name}: all labels are missing; name the column to predict with label=... (--label)")
    require_classes(merged.task, merged.labels, replace(merged, y=None))
    chosen = make(method)
    if chosen.needs.source_rows or not chosen.needs.source_labels:
        why = "needs the source rows at the target" if chosen.needs.source_rows else "takes nothing from the source"
        raise InputError(
            f"{type(chosen).__name__} {why}; methods whose knowledge can travel: {', '.join(travelling_names())}"
        )
    plan = Plan(merged.task, aligned.kinds, vectorizer, merged.label)
    parcel = pack(clone(chosen), make_learner(learner, merged.task, random_state), merged, plan)
    return without_rows(parcel, merged, allow=allow_source_rows)


def carry(
    knowledge: str | Path | Parcel,
    target: Domain,
    *,
    test: Domain | None = None,
    metric: str | None = None,
    guard: str = "strict",
    folds: int = 5,
    repeats: int = 5,
    curve_draws: int = 5,
    budget: str | float | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> Result:
    """Run the second half of the road at the target: the same result as `run` with that method, without the source.

    Parameters
    ----------
    knowledge : path or Parcel
        What `learn` made, or the file it was saved in.
    target : Domain
        At least twelve labelled rows are needed to measure a gain, or four and test rows.

    Returns
    -------
    Result
        Without a shift: the source rows are not here to compare with.
    """
    parcel = knowledge if isinstance(knowledge, Parcel) else read_parcel(knowledge, make)
    plan = parcel.plan
    _require_domains([], target, test)
    target = _with_columns_of(parcel, target)
    test = None if test is None else replace(_with_columns_of(parcel, test), task=plan.task).labelled_rows()
    classes = parcel.knowledge.facts.get("classes") or getattr(parcel.knowledge.parts.get("model"), "classes_", [])
    require_classes(plan.task, np.array(classes), target)
    road = Road(
        plan,
        metric_for(plan.task, metric),
        guard,
        folds,
        repeats,
        curve_draws,
        budget,
        random_state,
        n_jobs,
        progress,
    )
    with road.noting():
        road.notes.append(f"the rows of {parcel.source} are not here, so the shift was not measured")
        candidates = [from_parcel(parcel, plan)]
        if target.n_labelled:
            (alone, *_), _ = shortlist([TARGET_ONLY], parcel.learner, target, target, plan)
            candidates.insert(0, alone)
        return road.travel(candidates, {}, target, test, None, parcel.learner, sources=[parcel.source])


def _require_domains(sources: list[Domain], target: Domain, test: Domain | None) -> None:
    for domain in (*sources, target, *([] if test is None else [test])):
        if not isinstance(domain, Domain):
            raise InputError(f"run takes domains, not {type(domain).__name__}; make one with headstart.read(...)")
        if not len(domain):
            raise InputError(f"{domain.name}: has no rows")
    if test is not None and not test.n_labelled:
        raise InputError(f"{test.name}: the test rows have no labels; there is nothing to measure on")
    names = [domain.name for domain in (*sources, target)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two domains are called {name!r}; name them apart (read(..., name=...))")


def _agree_on_task(source: Domain, target: Domain) -> tuple[Domain, Domain, Task]:
    """Let the source say what the task is where the target alone can't."""
    if source.task is None:
        raise InputError(f"{source.name}: all labels are missing; name the column to predict with label=... (--label)")
    if target.n_labelled and target.task != source.task and target.labels.dtype.kind in "fiu":
        # A few numbers may look like classes where all numbers of the source do not.
        target = replace(target, task=source.task)
    return source, replace(target, task=target.task or source.task), source.task


def _with_columns_of(parcel: Parcel, target: Domain) -> Domain:
    kinds = parcel.plan.kinds
    target = replace(target, task=parcel.plan.task)
    if kinds is None:
        return target
    if not hasattr(target.X, "columns"):
        raise InputError(f"{target.name}: the knowledge is about a table with named columns; give one")
    lost = [name for name in kinds if name not in target.X.columns]
    if lost:
        raise InputError(unknown_name("column", lost[0], target.X.columns, target.name))
    return target.with_rows(target.X[list(kinds)])
