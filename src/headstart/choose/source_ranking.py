"""Ranking sources: which of several labelled data sets helps a target most."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from threadpoolctl import threadpool_limits

from headstart.catalogue import make
from headstart.choose.candidates import TARGET_ONLY, Candidate, candidate
from headstart.choose.ranking import Progress, Ranked, Ranking, holds_zero, require_rankable
from headstart.choose.search import try_all
from headstart.choose.trial import Trial
from headstart.delivery import Plan
from headstart.domain import ITEMS, Domain, require_learnable
from headstart.errors import InputError, listed
from headstart.evidence.gain import metric_for
from headstart.evidence.shift import measure_shift
from headstart.learners import make_learner
from headstart.readers.columns import align

#: The way in which every source is carried over to be compared: all rows in one heap, both domains counting alike.
CARRIED_BY = "pooled"
#: An order that never looks at the target.
ROWS = "rows"


def rank_sources(
    sources: Sequence[Domain],
    target: Domain,
    *,
    learner: Any = "auto",
    model: str | None = None,
    folds: int = 5,
    repeats: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: Progress = lambda stage, done, total: None,
) -> Ranking:
    """Rank labelled data sets by how much each helps a target that has a few labels.

    For each source a learner is fitted on its rows together with most of the target's labelled rows, and scored on the
    target rows held out, in the same repeated cross-validation for all. Beside them stands the target alone: a source
    below it does harm. The differences between two sources have Nadeau and Bengio's corrected interval; where that
    holds zero, the two are tied.

    Parameters
    ----------
    sources : sequence of Domain
        Two or more, with labels. Of tables, the columns that all and the target share are used.
    target : Domain
        With a few labelled rows at least.
    learner : str or estimator, default "auto"
        See `headstart.run`.
    model : str, optional
        The pretrained model whose features pictures or texts become; by default the bundled one.
    folds, repeats : int
        Of the cross-validation.
    random_state, n_jobs : int
    progress : callable
        Called with (what is going on, done, total).

    Returns
    -------
    Ranking
        By the gain over the target alone. Among what is told about each source is how well a classifier tells its
        rows from the target's (AUC: 0.5 not at all).

    Raises
    ------
    InputError
        When there are fewer than two sources, two of one name, or the target has too few labels.

    References
    ----------
    Nadeau & Bengio: Inference for the Generalization Error. Machine Learning 52, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(440, 3))
    >>> y = (X.sum(axis=1) > 0).astype(int)
    >>> like, unlike = Domain(X[:200], y[:200], "like"), Domain(X[200:400], 1 - y[200:400], "unlike")
    >>> found = rank_sources([unlike, like], Domain(X[400:], y[400:], "here"), repeats=2)
    >>> found.first, found.order[1].score < 0
    ('like', True)
    """
    require_rankable(target)
    _require_several(sources, target)
    domains, notes, reader = _as_rows([*sources, target], model, progress)
    aligned = align(domains[:-1], domains[-1])
    target = aligned.target
    if target.labels.dtype.kind in "fiu":
        # A few numbers may look like classes where all numbers of a source do not.
        target = replace(target, task=aligned.sources[0].task)
    for source in aligned.sources:
        require_learnable(source, target)
    assert target.task is not None  # noqa: S101  (it has labels)
    plan = Plan(target.task, aligned.kinds, "auto", target.label, reader=reader)
    fitter = make_learner(learner, target.task, random_state)
    apart = {}
    with threadpool_limits(1), warnings.catch_warnings():
        # What a fit has to say is said in a run with the source that is taken.
        warnings.simplefilter("ignore")
        tried: list[Candidate] = [candidate(make(TARGET_ONLY), fitter, aligned.sources[0], plan)]
        tried += [replace(candidate(make(CARRIED_BY), fitter, each, plan), name=each.name) for each in aligned.sources]
        trial = try_all(
            tried,
            target,
            metric_for(target.task, None),
            folds=folds,
            repeats=repeats,
            n_jobs=n_jobs,
            random_state=random_state,
            tick=lambda done, total: progress("try", done, total),
        )
        for done, source in enumerate(aligned.sources, start=1):
            apart[source.name] = measure_shift(source, target, kinds=plan.kinds, random_state=random_state).auc
            progress("look", done, len(aligned.sources))
    return _ranking(trial, aligned.sources, target, apart, [*notes, *aligned.notes])


def _ranking(
    trial: Trial, sources: Sequence[Domain], target: Domain, apart: dict[str, float], notes: list[str]
) -> Ranking:
    metric = trial.metric
    of = {source.name: source for source in sources}
    names = sorted(of, key=lambda name: (-trial.score(name), name))
    ranked = []
    for name in names:
        gain, low, high = _over(trial, name, TARGET_ONLY)
        behind = _over(trial, names[0], name)
        about = {"rows": len(of[name]), "labelled": of[name].n_labelled, "auc": apart[name]}
        scores = {"gain": gain, metric.name: metric.sign * trial.score(name)}
        ranked.append(Ranked(name, gain, low, high, behind, holds_zero(behind), scores, about))
    ties = tuple(
        (one, other)
        for at, one in enumerate(names)
        for other in names[at + 1 :]
        if holds_zero(_over(trial, one, other))
    )
    alone = f"the target alone: {metric.name} {metric.show(trial.score(TARGET_ONLY))}"
    harmful = [one.name for one in ranked if one.high is not None and one.high < 0]
    shown_to_help = [one.name for one in ranked if one.low is not None and one.low > 0]
    said = [f"worse than the target alone: {listed(harmful)}"] if harmful else []
    said += [] if shown_to_help else ["none is shown to help: the target alone may do as well"]
    how = f"gain in {metric.name} over the target alone, source and target rows in one heap; {trial.how}"
    by_rows = tuple(sorted(names, key=lambda name: (-len(of[name]), name)))
    return Ranking(
        "sources",
        target.name,
        target.n_labelled,
        "gain",
        how,
        tuple(ranked),
        ties,
        {ROWS: by_rows},
        (*notes, alone, *said),
    )


def _over(trial: Trial, one: str, other: str) -> tuple[float, float, float]:
    """Return how much more one scores than another, with its interval."""
    gain = trial.only([other, one]).gain(one)
    return gain.gain, gain.low, gain.high


def _require_several(sources: Sequence[Domain], target: Domain) -> None:
    if len(sources) < 2:
        raise InputError(f"a ranking needs two sources or more, not {len(sources)}; headstart run takes one")
    names = [*(source.name for source in sources), target.name, TARGET_ONLY]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InputError(f"two domains are called {listed(twice)}; give each a name of its own")
    for source in sources:
        if not source.n_labelled:
            raise InputError(f"{source.name}: no label is known; a source needs labels (--label)")


def _as_rows(domains: list[Domain], model: str | None, progress: Progress) -> tuple[list[Domain], list[str], Any]:
    """Return domains whose rows are numbers or columns: of pictures and texts, features of one model."""
    modality = next((domain.modality for domain in domains if domain.modality in ITEMS), None)
    if modality is None:
        if model is not None:
            raise InputError("model=... (--model) reads pictures and texts, and these are tables; leave it out")
        return domains, [], None
    from headstart.backbones.transformer import DEFAULTS, BackboneFeatures, domains_as_features

    name = model or DEFAULTS[modality]
    reader = BackboneFeatures(name).fit()
    read = domains_as_features(domains, reader, lambda done, total: progress(f"read: {name}", done, total))
    return read, [f"{ITEMS[modality]} became {read[0].X.shape[1]} features each, by {name}"], reader
