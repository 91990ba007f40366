"""The search: halving, a budget, other settings, and going on where it was stopped."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from headstart import Domain, run
from headstart.catalogue import make
from headstart.choose import Kept, search, shortlist, try_all
from headstart.choose.candidates import Candidate, with_other_settings
from headstart.choose.settings import SETTINGS, others_like
from headstart.delivery import Plan
from headstart.errors import InputError, NeedsError
from headstart.evidence import METRICS

PLAN, ACCURACY = Plan("classification"), METRICS["accuracy"]


def domains(n=60, shift=0.4):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200 + n, 4))
    y = (X @ [1, 1, 0, 0] + 0.4 * rng.normal(size=len(X)) > 0).astype(int)
    return Domain(X[:200] + shift, y[:200], "source"), Domain(X[200:], y[200:], "target")


def candidates_of(names, source, target):
    found, _ = shortlist(names, LogisticRegression(), source, target, PLAN)
    return found


class Counted(Candidate):
    """A candidate whose fits are counted, and take a given time."""

    fits = 0
    pause = 0.0

    def fit(self, target):
        object.__setattr__(self, "fits", self.fits + 1)
        time.sleep(self.pause)
        return super().fit(target)


def counted(candidates, **pauses):
    made = [Counted(**vars(candidate)) for candidate in candidates]
    for candidate in made:
        object.__setattr__(candidate, "pause", pauses.get(candidate.name.replace("-", "_"), 0.0))
    return made


def test_better_half_of_many_transfers_goes_on_after_each_repeat():
    source, target = domains()
    names = ["source-only", "pooled", "coral", "tca", "subspace-alignment", "gfk", "regular-transfer", "kmm", "ulsif"]
    candidates = counted(candidates_of(names, source, target))
    found = search(candidates, target, ACCURACY, folds=3, repeats=4, most=2)
    transfers = sorted((found.repeats[name] for name in names), reverse=True)
    assert transfers == [4, 4, 3, 2, 2, 1, 1, 1, 1]
    assert found.repeats["target-only"] == 4
    assert sum(candidate.fits for candidate in candidates) == 3 * (4 + sum(transfers))
    first = try_all(candidates, target, ACCURACY, folds=3, repeats=1)
    worst, best = (sorted(names, key=first.score)[i] for i in (0, -1))
    assert found.repeats[worst] == 1
    assert found.repeats[best] > 1


def test_few_transfers_are_all_tried_to_the_end_and_score_as_without_a_search():
    source, target = domains()
    candidates = candidates_of(["source-only", "coral"], source, target)
    found = search(candidates, target, ACCURACY, folds=4, repeats=3)
    assert set(found.repeats.values()) == {3}
    whole = try_all(candidates, target, ACCURACY, folds=4, repeats=3)
    np.testing.assert_array_equal(found.trial.utilities, whole.utilities)


def test_candidate_dropped_keeps_the_mean_of_its_repeats():
    source, target = domains()
    names = ["source-only", "pooled", "coral", "tca"]
    candidates = candidates_of(names, source, target)
    found = search(candidates, target, ACCURACY, folds=3, repeats=3, most=1)
    whole = try_all(candidates, target, ACCURACY, folds=3, repeats=3)
    dropped = min(names, key=found.repeats.get)
    at = found.trial.names.index(dropped)
    n = found.repeats[dropped]
    assert n < 3
    np.testing.assert_array_equal(found.trial.utilities[at, :n], whole.utilities[at, :n])
    np.testing.assert_allclose(found.trial.utilities[at, -1], whole.utilities[at, :n].mean(axis=0))


def test_budget_leaves_out_what_takes_too_long_and_says_so():
    source, target = domains(20)
    candidates = counted(candidates_of(["source-only", "pooled", "coral"], source, target), pooled=1.0)
    found = search(candidates, target, ACCURACY, folds=4, repeats=2, seconds=3)
    assert "pooled" not in found.trial.names
    assert "the budget has no time for it" in found.left_out["pooled"]
    assert {"target-only", "source-only", "coral"} <= set(found.trial.names)


def test_smallest_budget_still_makes_one_repeat_of_target_only_and_a_transfer():
    source, target = domains(20)
    candidates = candidates_of(["source-only", "pooled", "coral"], source, target)
    found = search(candidates, target, ACCURACY, folds=4, repeats=5, seconds=1e-9)
    assert found.trial.names[0] == "target-only"
    assert len(found.trial.names) == 2
    assert len(found.trial.folds) == 1


def test_best_methods_are_tried_with_other_settings():
    source, target = domains()
    candidates = candidates_of(["source-only", "coral"], source, target)
    found = search(
        candidates,
        target,
        ACCURACY,
        folds=3,
        repeats=2,
        others=lambda entry: with_other_settings(entry, source, 3),
    )
    assert {"coral:reg=0.01", "coral:align_means=False"} <= set(found.trial.names)
    mild = replace(candidates_of([make("coral", {"reg": 0.01})], source, target)[1], name="coral:reg=0.01")
    direct = try_all([candidates[0], mild], target, ACCURACY, folds=3, repeats=1)
    at = found.trial.names.index("coral:reg=0.01")
    np.testing.assert_array_equal(found.trial.utilities[at, 0], direct.utilities[1, 0])


def test_each_other_setting_is_one_its_method_has_and_its_name_makes_it_again():
    for name in SETTINGS:
        for written, method in others_like(make(name), 5):
            assert make(written).get_params(deep=False) == method.get_params(deep=False)
            assert method.get_params(deep=False) != make(name).get_params(deep=False)


def test_stopped_search_goes_on_from_what_was_kept_and_ends_the_same(tmp_path):
    source, target = domains()
    names = ["source-only", "coral"]
    file = tmp_path / "kept.jsonl"

    def made():
        return counted(candidates_of(names, source, target))

    whole = search(made(), target, ACCURACY, folds=3, repeats=3)
    search(made(), target, ACCURACY, folds=3, repeats=3, kept=Kept(file, [source, target], PLAN))
    lines = file.read_text().splitlines(keepends=True)
    assert len(lines) == 3 * 3 * 3
    # A kill in the middle of a line.
    file.write_text("".join(lines[:10]) + lines[10][:25])
    again = made()
    found = search(again, target, ACCURACY, folds=3, repeats=3, kept=Kept(file, [source, target], PLAN))
    assert sum(candidate.fits for candidate in again) == 27 - 10
    np.testing.assert_array_equal(found.trial.utilities, whole.trial.utilities)
    assert len(file.read_text().splitlines()) == 27
    assert all(json.loads(line)["key"] for line in file.read_text().splitlines())


def test_kept_scores_of_other_rows_or_settings_are_not_taken(tmp_path):
    source, target = domains()
    file = tmp_path / "kept.jsonl"
    first = candidates_of(["source-only", "coral"], source, target)
    search(first, target, ACCURACY, folds=3, repeats=1, kept=Kept(file, [source, target], PLAN))
    changed = target.with_rows(target.X + 1e-9)
    other = counted(candidates_of(["source-only", make("coral", {"reg": 0.5})], source, target))
    search(other, target, ACCURACY, folds=3, repeats=1, kept=Kept(file, [source, target], PLAN))
    assert {candidate.name: candidate.fits for candidate in other} == {"target-only": 0, "source-only": 0, "coral": 3}
    anew = counted(candidates_of(["source-only"], source, changed))
    search(anew, changed, ACCURACY, folds=3, repeats=1, kept=Kept(file, [source, changed], PLAN))
    assert all(candidate.fits == 3 for candidate in anew)


def test_file_that_holds_no_kept_scores_is_named_with_its_line(tmp_path):
    source, target = domains()
    file = tmp_path / "notes.txt"
    file.write_text("first\nsecond\n")
    with pytest.raises(InputError, match=r"notes\.txt, line 1: is no kept score"):
        Kept(file, [source, target], PLAN)
    assert file.read_text() == "first\nsecond\n"


def test_run_with_trials_and_kept_scores_is_the_same_when_run_again(tmp_path):
    source, target = domains()
    asked = {"methods": ["coral", "pooled"], "trials": 2, "repeats": 2, "curve_draws": 0}
    first = run(source, target, keep=tmp_path / "kept.jsonl", **asked)
    assert "coral:reg=0.01" in [line.name for line in first.tried]
    again = run(source, target, keep=tmp_path / "kept.jsonl", **asked)
    assert [vars(line) for line in again.tried] == [vars(line) for line in first.tried]
    assert again.sentence == first.sentence


def test_settings_in_a_method_name_are_read_and_unknown_ones_refused():
    assert make("tca:n_components=5,kernel=rbf").get_params()["n_components"] == 5
    with pytest.raises(NeedsError, match="kernels"):
        make("tca:kernels=rbf")
    with pytest.raises(InputError, match="trials must be 1 or more"):
        run(*domains(), trials=0)
