"""The whole road: look, shortlist, try, verdict, deliver; and its two halves, learn and carry."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from headstart.catalogue import make, travelling_names
from headstart.choose import Candidate, Kept, shortlist
from headstart.choose.candidates import TARGET_ONLY, from_parcel, reading
from headstart.delivery import Plan, described
from headstart.domain import ITEMS, WORLDS, Domain, Task, known_labels, require_classes, require_learnable, stack
from headstart.errors import InputError, NeedsError, listed, unknown_name
from headstart.evidence import measure_shift
from headstart.evidence.gain import metric_for
from headstart.learners import make_learner
from headstart.method import Method, require
from headstart.parcel import Parcel, pack, read_parcel, without_rows
from headstart.readers import align
from headstart.readers.columns import SPACES, align_spaces, in_worlds
from headstart.result import Result
from headstart.road import Progress, Road, silent

if TYPE_CHECKING:
    from headstart.backbones.transformer import BackboneFeatures


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
    model: str | BackboneFeatures | None = None,
    spaces: str = "auto",
    folds: int = 5,
    repeats: int | None = None,
    curve_draws: int | None = None,
    budget: str | float | None = None,
    trials: int = 1,
    keep: str | Path | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> Result:
    """Find out whether and how a source helps a target, and deliver the model.

    Look (how far apart are they?), shortlist (which methods can work here?), try (all on the same repeated splits
    of the labelled target rows), verdict (the gain over target-only with an interval), deliver (what the guard
    allows). A target without labels is told so: of classes a blend is then delivered, which serves best without labels
    elsewhere, of numbers the choice of validators that need no labels.

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
        Candidates: names, with settings as "tca:n_components=5" or without; families ("instance-based"), "all", or
        methods with parameters of their own. By default the
        standard ones of the catalogue, see `headstart.methods()`. Of pictures and texts also strategies of fine-tuning
        ("lp-ft", or all of them: "fine-tuning"), which train the pretrained model itself: each is tried on the target
        alone too, and what is best without the source is then called target-only.
    metric : str, optional
        "accuracy" or "log loss"; "mean absolute error" or "mean squared error".
    guard : {"strict", "warn", "off"}
        strict: target-only is delivered unless the transfer is shown to help. warn: a transfer that looks like helping
        and is not shown to hurt is delivered, with a warning. off: the best-looking transfer is.
    vectorizer : "auto", "passthrough" or transformer
        How rows become numbers; see `headstart.readers.Vectorizer`. Of pictures and texts, it is fitted on features.
    model : str or BackboneFeatures, optional
        The pretrained model whose features pictures or texts become, once and before all else, such as
        "hf:FOLDER"; see `headstart.backbones.backbone`. By default "bundled:efficientnet-lite0" for pictures and
        "bundled:minilm-l6" for texts.
    spaces : {"auto", "same", "different"}
        same: the columns that all domains share are used, and the others left out. different: source and target each
        keep all their columns and are vectorised apart; the candidates are then the methods that need no shared
        columns, and the shift is not measured. Several sources must share columns among themselves. auto: different
        where no column is shared, of arrays where the numbers of columns differ; else same.
    folds : int
        Of the cross-validation on the labelled target rows.
    repeats : int, optional
        How often it is repeated; by default 5 times, where networks are trained once.
    curve_draws : int, optional
        Draws behind each point of the learning curve; 0 leaves the curve out. By default 5, where networks are trained
        none.
    budget : str or float, optional
        Time for the whole run, such as "5m" or seconds. Each candidate is fitted once, those that take too long are
        left out, the better ones are tried further, and no repeat begins that would not end in time. With less time
        than one fit of target-only and of one transfer takes, it takes longer.
    trials : int
        Settings of the best three methods that are tried: 1 is the default's alone.
    keep : path, optional
        A file to which every fit's scores are written as they are made, and from which they are taken when the same
        run begins anew.
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
    read = _read([*sources, target, *([] if test is None else [test])], model, progress)
    sources, (target, *tests) = read.domains[: len(sources)], read.domains[len(sources) :]
    world = next((domain.modality for domain in (*sources, target) if domain.modality in WORLDS), "table")
    aligned = in_worlds(sources, target, tests) if world in WORLDS else align_spaces(sources, target, tests, spaces)
    merged = stack(aligned.sources)
    target = aligned.target
    merged, target, task = _agree_on_task(merged, target)
    test = None if test is None else replace(aligned.tests[0], task=task).labelled_rows()
    require_learnable(merged, target)
    label = (target.label if world in WORLDS else None) or merged.label or target.label
    plan = Plan(task, aligned.kinds, vectorizer, label, aligned.different, aligned.source_kinds, read.reader)
    road = Road(
        plan,
        metric_for(task, metric or ("log loss" if world == "facts" else None)),
        guard,
        folds,
        repeats,
        curve_draws,
        budget,
        random_state,
        n_jobs,
        progress,
        trials=trials,
        kept=None if keep is None else Kept(keep, [merged, target], plan),
    )
    with road.noting():
        road.notes.extend([*read.notes, *aligned.notes])
        learner = make_learner(learner, task, random_state, world)
        candidates, left_out = shortlist(
            methods, learner, merged, target, plan, random_state, lambda step: progress(f"source: {step}", 0, 1)
        )
        shift = None
        if plan.different or world in WORLDS:
            _require_a_transfer(candidates, left_out, merged, target)
        else:
            progress("look", 0, 1)
            shift = measure_shift(merged, target, kinds=plan.kinds, vectorizer=vectorizer, random_state=random_state)
            progress("look", 1, 1)
        result = road.travel(candidates, left_out, target, test, shift, learner, source=merged, sources=sources)
        return read.told(result)


def learn(
    source: Domain | Sequence[Domain],
    method: str | Method = "regular-transfer",
    *,
    learner: Any = "auto",
    vectorizer: Any = "auto",
    model: str | BackboneFeatures | None = None,
    allow_source_rows: bool = False,
    random_state: int = 0,
    progress: Progress = silent,
) -> Parcel:
    """Run the first half of the road at the source: learn the source task and extract what may travel.

    Parameters
    ----------
    source : Domain or sequence of Domain
    method : str or Method
        One that needs no source rows later: "regular-transfer" or "source-only"; or, with `allow_source_rows`, one
        that needs no shared columns, such as "direct-standardization".
    model : str or BackboneFeatures, optional
        As `run` takes it. Its name and the hash of its weights travel, the weights don't: the target site needs the
        same model.
    allow_source_rows : bool
        Some learners keep rows inside (support vectors, neighbours), and methods that need no shared columns carry the
        rows themselves. That is refused unless allowed here.

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
    read = _read(sources, model, progress)
    *others, last = read.domains
    _require_no_ratings(last)
    world = last.modality if last.modality in WORLDS else "table"
    aligned = in_worlds(others, last, []) if world in WORLDS else align(others, last)
    merged = stack([*aligned.sources, aligned.target])
    if not merged.n_labelled or merged.task is None:
        raise InputError(f"{merged.name}: all labels are missing; name the column to predict with label=... (--label)")
    require_classes(merged.task, merged.labels, replace(merged, y=None))
    chosen = make(method)
    _require_travelling(chosen, allow_source_rows)
    plan = Plan(merged.task, aligned.kinds, vectorizer, merged.label, reader=read.reader)
    made = make_learner(learner, merged.task, random_state, world)
    parcel = pack(clone(reading(chosen, plan)), made, merged, plan)
    return without_rows(parcel, merged, allow=allow_source_rows)


def carry(
    knowledge: str | Path | Parcel,
    target: Domain,
    *,
    test: Domain | None = None,
    metric: str | None = None,
    guard: str = "strict",
    spaces: str = "auto",
    folds: int = 5,
    repeats: int | None = None,
    curve_draws: int | None = None,
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
    spaces : {"auto", "same", "different"}
        same: the target's rows are read as the source's were. different: the target has columns of its own, with a
        vectoriser fitted on them. auto: different where the target lacks a column of the source's and the method
        needs no shared ones; else same.

    Returns
    -------
    Result
        Without a shift: the source rows are not here to compare with.
    """
    _require_no_ratings(target)
    parcel = knowledge if isinstance(knowledge, Parcel) else read_parcel(knowledge, make)
    plan = parcel.plan
    _require_domains([], target, test)
    read = _read_as(parcel, [target, *([] if test is None else [test])], progress)
    target, *extra = read.domains
    notes = [f"the rows of {parcel.source} are not here, so the shift was not measured"]
    if target.modality in WORLDS:
        aligned = in_worlds([], target, extra)
        tests, plan = aligned.tests, replace(plan, different=aligned.different)
    elif _is_different(parcel, target, spaces):
        aligned = align(extra, replace(target, task=plan.task))
        plan = replace(plan, kinds=aligned.kinds, different=True, source_kinds=plan.kinds)
        target, tests = aligned.target, aligned.sources
        notes += [f"{target.name} keeps columns of its own, other than those of {parcel.source}", *aligned.notes]
    else:
        tests = [_with_columns_of(parcel, rows) for rows in extra]
        target = _with_columns_of(parcel, target)
    test = replace(tests[0], task=plan.task).labelled_rows() if tests else None
    require_classes(plan.task, _classes_in(parcel), target)
    road = Road(
        plan,
        metric_for(plan.task, metric or ("log loss" if target.modality == "facts" else None)),
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
        road.notes.extend([*read.notes, *notes])
        candidates = [from_parcel(parcel, plan)]
        if target.n_labelled:
            (alone, *_), _ = shortlist([TARGET_ONLY], parcel.learner, target, target, plan)
            candidates.insert(0, alone)
        return read.told(road.travel(candidates, {}, target, test, None, parcel.learner, sources=[parcel.source]))


@dataclass(frozen=True)
class _Read:
    """Domains in numbers or tables, and what made the features of pictures or texts, if they were these."""

    domains: list[Domain]
    reader: BackboneFeatures | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def told(self, result: Result) -> Result:
        """Return the result with what was read and how long it took."""
        if self.reader is None:
            return result
        settings = {**result.settings, "reads": described(self.reader)}
        return replace(result, settings=settings, seconds=result.seconds + self.seconds)


def _read(domains: list[Domain], model: str | BackboneFeatures | None, progress: Progress) -> _Read:
    """Turn pictures or texts into features, with the model named or the one that is the modality's default."""
    modality = next((domain.modality for domain in domains if domain.modality in ITEMS), None)
    if modality is None:
        if model is not None:
            raise InputError("model=... (--model) reads pictures and texts, and these domains are tables; leave it out")
        return _Read(domains)
    from headstart.backbones.sources import lasting
    from headstart.backbones.transformer import DEFAULTS, BackboneFeatures

    reader = model if isinstance(model, BackboneFeatures) else BackboneFeatures(lasting(model or DEFAULTS[modality]))
    return _features(domains, clone(reader).fit(), progress)


def _read_as(parcel: Parcel, domains: list[Domain], progress: Progress) -> _Read:
    """Turn pictures or texts into features, with the model that knowledge was learned with."""
    items = next((domain for domain in domains if domain.modality in ITEMS), None)
    if items is None:
        return _Read(domains)
    if parcel.plan.reader is None:
        raise InputError(f"{items.name}: holds {ITEMS[items.modality]}, and the knowledge is about a table; give one")
    return _features(domains, parcel.plan.reader, progress)


def _features(domains: list[Domain], reader: BackboneFeatures, progress: Progress) -> _Read:
    from headstart.backbones.transformer import domains_as_features

    start = time.monotonic()
    n = 0

    def tell(done: int, total: int) -> None:
        nonlocal n
        n = total
        progress(f"read: {reader.model}", done, total)

    read = domains_as_features(domains, reader, tell)
    seconds = time.monotonic() - start
    what = f"{n} different {ITEMS[reader.modality_]} became {read[0].X.shape[1]} features each in {seconds:.1f} s"
    note = f"{what}, by {reader.model}{f', {reader.layer}' if reader.layer else ''} (weights {reader.weights_[:12]})"
    return _Read(read, reader, seconds, [note])


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
    if target.task != source.task and (not target.n_labelled or target.labels.dtype.kind in "fiu"):
        # A few numbers may look like classes where all numbers of the source do not.
        target = replace(target, task=source.task)
    return source, replace(target, task=target.task or source.task), source.task


def _require_a_transfer(candidates: list[Candidate], left_out: dict[str, str], source: Domain, target: Domain) -> None:
    """Refuse domains with different columns between which no method at hand can carry anything."""
    if any(candidate.name != TARGET_ONLY for candidate in candidates):
        return
    if target.modality in WORLDS:
        reasons = "; ".join(f"{name} {why}" for name, why in left_out.items() if name != TARGET_ONLY)
        raise InputError(
            f"nothing can be carried from {source.name} to {target.name}: {reasons or 'no method asked for'}"
        )
    across = {name: why for name, why in left_out.items() if "same columns" not in why and name != TARGET_ONLY}
    reasons = "".join(f"; {name} {why}" for name, why in across.items())
    raise InputError(
        f"no shared columns: {source.name} has {_columns_of(source)}, {target.name} has {_columns_of(target)}; rename "
        f"them alike, or name a method that needs none{reasons}"
    )


def _columns_of(domain: Domain) -> str:
    return listed(domain.X.columns, 4) if hasattr(domain.X, "columns") else f"{domain.X.shape[1]} columns"


def _require_travelling(method: Method, allow_source_rows: bool) -> None:
    """Refuse a method whose knowledge can't travel, or may not."""
    needs, name = method.needs, type(method).__name__
    if needs.source_rows and not needs.same_features:
        if not allow_source_rows:
            raise NeedsError(
                f"{name} needs the source rows at the target; allow them to travel with allow_source_rows=True "
                "(--allow-source-rows)"
            )
    elif needs.source_rows or not needs.source_labels:
        why = "needs the source rows at the target" if needs.source_rows else "takes nothing from the source"
        raise InputError(f"{name} {why}; methods whose knowledge can travel: {', '.join(travelling_names())}")


def _require_no_ratings(domain: Domain) -> None:
    """Refuse ratings where knowledge is to travel: a recommender needs the histories of the source's users."""
    if domain.modality == "ratings":
        raise InputError(
            f"{domain.name}: holds ratings, and what recommends across domains are the histories of users, who would "
            "travel with them; bring both domains to one place and use run"
        )


def _is_different(parcel: Parcel, target: Domain, spaces: str) -> bool:
    """Tell whether the target is read in columns of its own."""
    if spaces not in SPACES:
        raise InputError(unknown_name("spaces", spaces, SPACES))
    different = not parcel.fits(target) and not parcel.method.needs.same_features
    if spaces != "auto":
        different = spaces == "different"
    require(parcel.method, parcel.learner, different=different)
    return different


def _classes_in(parcel: Parcel) -> np.ndarray:
    """Return the classes that the knowledge tells apart, as far as it says."""
    knowledge = parcel.knowledge
    if knowledge.arrays.get("y") is not None:
        return np.unique(known_labels(knowledge.arrays["y"], classes=parcel.plan.task == "classification"))
    return np.array(knowledge.facts.get("classes") or getattr(knowledge.parts.get("model"), "classes_", []))


def _with_columns_of(parcel: Parcel, target: Domain) -> Domain:
    kinds = parcel.plan.kinds
    target = replace(target, task=parcel.plan.task)
    if kinds is None:
        if not parcel.fits(target):
            raise InputError(
                f"{target.name}: the knowledge is about rows with {parcel.columns} columns, not {target.X.shape[1]}"
            )
        return target
    if not hasattr(target.X, "columns"):
        raise InputError(f"{target.name}: the knowledge is about a table with named columns; give one")
    lost = [name for name in kinds if name not in target.X.columns]
    if lost:
        raise InputError(unknown_name("column", lost[0], target.X.columns, target.name))
    return target.with_rows(target.X[list(kinds)])
